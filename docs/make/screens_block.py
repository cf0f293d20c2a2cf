"""The committed runs on real screens side by side: floor, ceiling, and what each table of genes adds to the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from docs.make.sources import RESULTS, source
from scgraph.perturb.scores import ALL, CEILING, MEAN
from scgraph.reporting.wording import records

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["screens_block"]

ROWS = {
    "split half (ceiling)": CEILING,
    "mean change (floor)": MEAN,
    "random vectors": "kernel+random",
    "components of the cells": "kernel+pca",
    "network, genes shuffled": "kernel+network shuffled",
    "network": "kernel+network",
    "model, untrained": "kernel+gnn untrained",
    "model, pretrained": "kernel+gnn",
    "its learned graph": "kernel+gnn graph",
    "the small network on the model, untrained": "gnn untrained",
    "the small network on the model": "gnn",
}
METRICS = {"pearson": "Pearson of the change", "discrimination": "Discrimination"}


def screens_block(*names: str) -> str:
    """Return a table a score: rows are methods, columns the screens; bold is better than the floor by its interval."""
    found = {name: pd.read_csv(RESULTS / name / "summary.csv") for name in names}
    titles = [name.rpartition("-")[2] for name in names]
    lines: list[str] = []
    for metric, title in METRICS.items():
        lines += [f"| {title} | " + " | ".join(titles) + " |", "|---|" + "---:|" * len(titles)]
        for label, model in ROWS.items():
            cells = [_cell(summary, model, metric) for summary in found.values()]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        lines.append("")
    counts = [str(summary[summary["group"] == ALL]["perturbations"].iloc[0]) for summary in found.values()]
    shown = ", ".join(f"{title} {count}" for title, count in zip(titles, counts, strict=True))
    lines += [f"Perturbations: {shown}. In brackets the difference to the floor and its 95 % interval over them.", ""]
    for name, title in zip(names, titles, strict=True):
        lines += [f"- {title}: [all methods and scores](benchmarks/results/{name}/table.md). {source(name)}"]
    return "\n".join(lines) + "\n"


def _cell(summary: pd.DataFrame, model: str, metric: str) -> str:
    rows = records(summary[(summary["group"] == ALL) & (summary["model"] == model)])
    if not rows:
        return "-"
    row: Mapping[str, float] = rows[0]
    text = f"{row[f'{metric}_mean']:.3f}"
    if model in (MEAN, CEILING):
        return text
    low, high = row[f"{metric}_floor_low"], row[f"{metric}_floor_high"]
    text += f" ({row[f'{metric}_floor']:+.3f} [{low:+.3f}, {high:+.3f}])"
    return f"**{text}**" if low > 0 else text
