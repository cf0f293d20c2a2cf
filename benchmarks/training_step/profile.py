"""Where the time of a training step goes: shares of its operations by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness.text import markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["KINDS", "profiled", "shares_table"]

KINDS: dict[str, tuple[str, ...]] = {
    "products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "attention": ("scaled_dot_product", "_Sorted", "softmax"),
    "norms": ("layer_norm", "LayerNorm"),
    "activations": ("gelu", "softplus"),
    "embedding": ("aten::index_select", "embedding", "aten::where"),
    "sums and copies": (
        "aten::add", "aten::add_", "aten::sum", "aten::copy_", "aten::fill_", "aten::cat", "aten::mul", "aten::div",
    ),
}  # fmt: skip
"""Names of operations by kind: whole ones of PyTorch's, or parts of a name. What fits none is the rest."""


def profiled(step: Callable[[], None]) -> dict[str, float]:
    """Run a step under PyTorch's profiler; return the share of each of `KINDS`, and of the rest, in its own time."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step()
    times = dict.fromkeys([*KINDS, "rest"], 0.0)
    for event in seen.key_averages():
        times[_kind(event.key)] += event.self_cpu_time_total
    total = sum(times.values())
    return {kind: time / total for kind, time in times.items()}


def shares_table(rows: Sequence[dict[str, Any]]) -> str:
    """A markdown table of the shares, a row a model."""
    lines = [[f"`{row['name']}`", *(f"{row[kind]:.0%}" for kind in [*KINDS, "rest"])] for row in rows]
    return markdown_table(["model", *KINDS, "rest"], lines)


def _kind(name: str) -> str:
    for kind, parts in KINDS.items():
        if any(name == part if part.startswith("aten::") else part in name for part in parts):
            return kind
    return "rest"
