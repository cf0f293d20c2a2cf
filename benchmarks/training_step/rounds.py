"""Training steps of several models in turn: rows of numbers, the table and the figure."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.harness.children import NOT_INSTALLED, OUT_OF_MEMORY
from benchmarks.harness.rounds import Ratio, interleaved, ratio, warmed
from benchmarks.harness.text import markdown_table
from benchmarks.training_step.cases import TORCH_ENCODER, NotInstalledError, TrainingStep
from benchmarks.training_step.profile import profiled
from scgraph.memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

    from benchmarks.training_step.cases import Entry, ModelSizes

__all__ = ["REFERENCES", "draw_training", "measure_training", "training_table", "with_shares"]

REFERENCES = {"tf": "tf", "encoder": TORCH_ENCODER}
"""What every model is compared with, by the name of the columns."""


def measure_training(
    entries: Sequence[Entry],
    sizes: ModelSizes,
    *,
    rounds: int,
    seconds: float,
    shares: list[dict[str, Any]] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """Train all models in turn, A B C A B C.

    Args:
        entries: the models.
        sizes: the same for all.
        rounds: at most.
        seconds: no round but the first is started after so long.
        shares: takes a row a model with where the time of a step goes, see `profiled`; compiled models are left out.
        clock: what tells the time of a step, and how long rounds go on.

    Returns:
        A row a model, those that could not be run included, and the seconds of every step by model and round.
    """
    rows: list[dict[str, Any]] = []
    steps: dict[str, TrainingStep] = {}
    for entry in entries:
        row: dict[str, Any] = {"name": entry.name, "model": entry.model, "attention": entry.attention, "status": "ok"}
        rows.append(row | {"cells": sizes.cells, "genes": sizes.genes, "channels": sizes.channels})
        try:
            step = TrainingStep(entry, sizes)
            rows[-1] |= {"multiply_adds": step.multiply_adds(), "saved_mb": step.saved_mb()}
            rows[-1] |= _cuda_peak(step)
            steps[entry.name] = step
        except NotInstalledError:
            rows[-1]["status"] = NOT_INSTALLED
        except (RuntimeError, MemoryError) as error:
            said = " ".join(str(error).split())[:200]
            rows[-1]["status"] = OUT_OF_MEMORY if is_out_of_memory(error) else f"failed: {said}"
        _empty_cache(sizes)
    able, failures = warmed(steps)
    times = interleaved(able, rounds=rounds, seconds=seconds, clock=clock)
    if shares is not None:
        shares += [
            {"name": name} | profiled(step)
            for name, step in steps.items()
            if name in times and "compile" not in step.entry.options
        ]
    for row in rows:
        row["status"] = failures.get(row["name"], row["status"])
        own = times.get(row["name"], [])
        row |= {"rounds": len(own), "cells_per_second": sizes.cells / median(own) if own else None}
        row["precision"] = sizes.precision
        for column, reference in REFERENCES.items():
            found = ratio(times.get(reference, []), own) if own and reference in times else ratio([], [])
            row |= {
                f"times_{column}": found.median,
                f"times_{column}_low": found.low,
                f"times_{column}_high": found.high,
            }
    return rows, times


def with_shares(rows: Sequence[dict[str, Any]], peak: float) -> list[dict[str, Any]]:
    """Add the arithmetic rate, 6 operations a multiply-add, and its share of the rate of a large matrix product."""
    found = []
    for row in rows:
        rate = None
        if row["cells_per_second"]:
            rate = 6 * row["multiply_adds"] * row["cells_per_second"]
        found.append(row | {"operations_per_second": rate, "matmul_share": rate / peak if rate else None})
    return found


def training_table(rows: Sequence[dict[str, Any]]) -> str:
    """A markdown table with a row a model; what could not be run says so."""
    lines = []
    peaks = any(row.get("peak_mb") is not None for row in rows)
    for row in rows:
        if row["cells_per_second"] is None:
            lines.append([f"`{row['name']}`", str(row["status"]), *["-"] * (4 + peaks)])
            continue
        cells = [f"`{row['name']}`", _digits(row["cells_per_second"]), f"{row['matmul_share']:.0%}"]
        cells.append(f"{row['saved_mb']:.1f}")
        cells += [f"{row['peak_mb']:,.1f}"] if peaks else []
        cells += [
            str(Ratio(row[f"times_{c}"], row[f"times_{c}_low"], row[f"times_{c}_high"], row["rounds"]))
            for c in REFERENCES
        ]
        lines.append(cells)
    header = ["model", "cells/s", "of matmul peak", "saved, MB a cell", *(["peak, MB a cell"] if peaks else [])]
    return markdown_table([*header, *(f"over `{name}` [95 %]" for name in REFERENCES.values())], lines)


def draw_training(rows: Sequence[dict[str, Any]], title: str) -> Figure:
    """Cells a second and memory of every model that ran, as bars."""
    from scgraph.reporting.drawing import FAINT, model_colors, new_figure, open_axis

    good = [row for row in rows if row["cells_per_second"]]
    colors = model_colors(dict.fromkeys(row["model"] for row in good))
    figure = new_figure(10.4, 1.2 + 0.3 * max(len(good), 1))
    axes = figure.subplots(1, 2, sharey=True)
    places = list(range(len(good)))[::-1]
    for axis, column, name in zip(
        axes, ("cells_per_second", "saved_mb"), ("cells a second", "MB a cell saved for backward"), strict=True
    ):
        values = [row[column] for row in good]
        axis.barh(places, values, color=[colors[row["model"]] for row in good], height=0.62)
        for place, row, value in zip(places, good, values, strict=True):
            share = f" ({row['matmul_share']:.0%} of peak)" if column == "cells_per_second" else ""
            axis.text(value, place, f" {_digits(value)}{share}", va="center", fontsize=8.5)
        axis.set_xlim(0, 1.35 * max(values, default=1.0))
        axis.set_title(name, loc="left", fontsize=10.5)
        axis.grid(axis="x", color=FAINT, linewidth=0.7)
        open_axis(axis)
    axes[0].set_yticks(places, [row["name"] for row in good])
    figure.suptitle(title, x=0.0, ha="left", fontsize=11)
    return figure


def _digits(value: float) -> str:
    return f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def _cuda_peak(step: TrainingStep) -> dict[str, float]:
    """What the allocator of a GPU holds at most during a step beyond what it held before, MB a cell."""
    if step.place.type != "cuda":
        return {}
    before = torch.cuda.memory_allocated(step.place)
    torch.cuda.reset_peak_memory_stats(step.place)
    step()
    return {"peak_mb": (torch.cuda.max_memory_allocated(step.place) - before) / step.sizes.cells / 1e6}


def _empty_cache(sizes: ModelSizes) -> None:
    if sizes.device.startswith("cuda"):
        torch.cuda.empty_cache()
