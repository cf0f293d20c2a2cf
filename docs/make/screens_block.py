"""The committed runs on real screens side by side: floor, ceiling, and what each table of genes adds to the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from docs.make.sources import RESULTS, source
from scgraph.perturb.scores import ALL, CEILING, MEAN
from scgraph.reporting.statistics import paired_difference
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
    "nearest perturbed gene by random vectors": "nearest+random",
    "nearest by the network": "nearest+network",
    "nearest by the model, untrained": "nearest+gnn untrained",
    "nearest by the model": "nearest+gnn",
    "nearest by its learned graph": "nearest+gnn graph",
    "the small network on the model, untrained": "gnn untrained",
    "the small network on the model": "gnn",
}
CONTROLS = {
    "model minus random vectors": ("gnn", "random"),
    "model minus untrained model": ("gnn", "gnn untrained"),
    "learned graph minus random vectors": ("gnn graph", "random"),
    "network minus network with genes shuffled": ("network", "network shuffled"),
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
    lines += _controls([pd.read_csv(RESULTS / name / "results.csv") for name in names], titles)
    counts = [str(summary[summary["group"] == ALL]["perturbations"].iloc[0]) for summary in found.values()]
    shown = ", ".join(f"{title} {count}" for title, count in zip(titles, counts, strict=True))
    lines += [
        f"Perturbations: {shown}. In brackets the difference to the floor and its 95 % interval over them; "
        "bold is above 0 by this interval.",
        "",
    ]
    for name, title in zip(names, titles, strict=True):
        lines += [f"- {title}: [all methods and scores](benchmarks/results/{name}/table.md). {source(name)}"]
    return "\n".join(lines) + "\n"


def _controls(results: list[pd.DataFrame], titles: list[str]) -> list[str]:
    """A table a kind of perturbation: Pearson with a table of genes minus Pearson with its control, by one method."""
    parts = {
        f"{title}{'' if kind is None else f', {kind}'}": table if kind is None else table[_is(table, kind)]
        for table, title in zip(results, titles, strict=True)
        for kind in ((None,) if not _is(table, "doubles").any() else ("singles", "doubles"))
    }
    lines = ["| Pearson minus that of the control | " + " | ".join(parts) + " |", "|---|" + "---:|" * len(parts)]
    for how, method in {"kernel": "kernel ridge", "nearest": "nearest"}.items():
        for label, pair in CONTROLS.items():
            cells = []
            for table in parts.values():
                means = table.pivot_table("pearson", "perturbation", "model")
                found = paired_difference(*(means[f"{how}+{one}"] for one in pair))
                text = f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
                cells.append(f"**{text}**" if found.low > 0 else text)
            lines.append(f"| {method}: {label} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _is(results: pd.DataFrame, kind: str) -> pd.Series[bool]:
    return (results["group"] == "single") == (kind == "singles")


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
