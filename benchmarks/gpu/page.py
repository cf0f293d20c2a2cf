"""The page of `gpu`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness.children import NOT_TRIED, OUT_OF_MEMORY
from benchmarks.harness.exponents import fit_exponent
from benchmarks.harness.text import markdown_table
from benchmarks.training_step.rounds import training_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Rows = Sequence[dict[str, Any]]

__all__ = ["gpu_markdown"]

MEASURES = {
    "milliseconds": "ms of forward and backward",
    "saved_mb": "MB held for backward",
    "peak_mb": "MB at most",
}


def gpu_markdown(training: Rows, layers: Rows, peaks: Mapping[str, float], plan: Mapping[str, Any], name: str) -> str:
    """The text of `table.md`.

    Args:
        training: a row a setting, precision and model.
        layers: a row a precision, layer and size.
        peaks: rates of a large matrix product, a precision.
        plan: entries of `Plan`.
        name: of the device.
    """
    rates = ", ".join(f"{precision} {rate / 1e12:,.1f} T" for precision, rate in peaks.items())
    blocks = [
        f"# Layers and training steps on {name}\n",
        f"Matmul peak, operations a second: {rates or 'not measured'}. Memory is what the allocator of the GPU holds "
        "beyond what it held before.\n",
    ]
    keys = dict.fromkeys((row["channels"], row["genes"], row["precision"], row["compiled"]) for row in training)
    for channels, genes, precision, compiled in keys:
        part = [
            row
            for row in training
            if (row["channels"], row["genes"], row["precision"], row["compiled"])
            == (channels, genes, precision, compiled)
        ]
        rounds = max(row["rounds"] for row in part)
        blocks += [
            f"## A training step, C {channels}, G {genes}, {precision}{', compiled' if compiled else ''}\n",
            f"L {plan['layers']}, R {plan['rank']}, {plan['cells']} cells a step; all models in turn, median of "
            f"{rounds} round{'s' if rounds > 1 else ''}. `(math)` forms the scores of attention.\n",
            training_table(part),
        ]
    for precision in dict.fromkeys(row["precision"] for row in layers):
        part = [row for row in layers if row["precision"] == precision]
        blocks.append(
            f"## Layers, C {plan['channels']}, R {plan['rank']}, {plan['layer_cells']} "
            f"cell{'s' if plan['layer_cells'] > 1 else ''}, {precision}\n"
        )
        for measure, title in MEASURES.items():
            if any(row.get(measure) is not None for row in part):
                blocks += [f"{title}:\n", _layers_table(part, measure)]
        blocks.append(f"-: {NOT_TRIED}, since the time was up or a smaller cell had failed.\n")
    return "\n".join(blocks)


def _layers_table(rows: Rows, measure: str) -> str:
    genes = sorted({row["genes"] for row in rows})
    lines = []
    for name in dict.fromkeys(row["case"] for row in rows):
        own = {row["genes"]: row for row in rows if row["case"] == name}
        good = [row for row in own.values() if row["status"] == "ok" and row.get(measure)]
        fit = fit_exponent([row["genes"] for row in good], [row[measure] for row in good])
        lines.append([f"`{name}`", *(_cell(own.get(number), measure) for number in genes), str(fit)])
    return markdown_table(["layer", *(f"{number:,}" for number in genes), "exponent"], lines)


def _cell(row: dict[str, Any] | None, measure: str) -> str:
    if row is None or row["status"] == NOT_TRIED:
        return "-"
    if row["status"] != "ok":
        return OUT_OF_MEMORY if row["status"] == OUT_OF_MEMORY else "failed"
    value = row.get(measure)
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:,.0f}"
