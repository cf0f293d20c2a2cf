"""One point of `layers`, as a child process measures it."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.harness.children import peak_mb, resident_mb, restart_peak
from benchmarks.harness.rounds import interleaved, ratio, repeated
from benchmarks.layers.cases import LayerStep, Sizes, named_case

if TYPE_CHECKING:
    from benchmarks.layers.cases import Case

__all__ = ["DENSE_GNN", "EDGES_GNN", "measure_against_edges", "measure_case", "measure_layer"]

DENSE_GNN = "gnn"
EDGES_GNN = "gnn (edges)"


def measure_layer(request: dict[str, Any]) -> dict[str, Any]:
    """Time and memory of one layer.

    Args:
        request: `case`, its name; `sizes`, entries of `Sizes`; `seconds`, how long steps are timed.

    Returns:
        `milliseconds` of a step (median), `steps` timed, `saved_mb` for backward, and `peak_mb`, the most that the
        process held above what it held before the layer was built.
    """
    return measure_case(named_case(request["case"]), Sizes(**request["sizes"]), request["seconds"])


def measure_case(case: Case, sizes: Sizes, seconds: float) -> dict[str, Any]:
    """What `measure_layer` returns, of any layer; steps are timed for so many seconds, at least one."""
    _load(case, sizes)
    before = resident_mb()
    exact = restart_peak()
    step = LayerStep(case, sizes)
    times = repeated(step, seconds)
    peak = peak_mb() - before if exact else None
    # Counting what is kept leaves small pieces of memory behind, which would make the peak larger.
    saved = step.saved_mb()
    return {"milliseconds": 1e3 * median(times), "steps": len(times), "saved_mb": saved, "peak_mb": peak}


def measure_against_edges(request: dict[str, Any]) -> dict[str, Any]:
    """The layer `gnn` as products of matrices and as messages on edges, in turn in this process.

    Args:
        request: `sizes`, entries of `Sizes`; `rounds`.

    Returns:
        A row for each, and `times`, `low`, `high`: how many times as long the edges take.
    """
    sizes = Sizes(**request["sizes"])
    steps: dict[str, LayerStep] = {}
    rows: list[dict[str, Any]] = []
    for name in (DENSE_GNN, EDGES_GNN):
        _load(named_case(name), sizes)
    for name in (DENSE_GNN, EDGES_GNN):
        before = resident_mb()
        exact = restart_peak()
        steps[name] = step = LayerStep(named_case(name), sizes)
        step()  # not counted: the first one pays for memory and threads
        peak = peak_mb() - before if exact else None
        rows.append({"case": name, "saved_mb": step.saved_mb(), "peak_mb": peak})
    times = interleaved(steps, rounds=request["rounds"])
    for row in rows:
        row |= {"milliseconds": 1e3 * median(times[row["case"]]), "rounds": len(times[row["case"]])}
    found = ratio(times[EDGES_GNN], times[DENSE_GNN])
    return {"rows": rows, "times": found.median, "low": _finite(found.low), "high": _finite(found.high)}


def _load(case: Case, sizes: Sizes) -> None:
    """Run a cell of a few genes, so that code which is loaded when first used is no memory of the layer."""
    LayerStep(case, replace(sizes, genes=16, cells=1))()


def _finite(value: float) -> float | None:
    return value if value == value else None
