"""The tables of a committed search: what each model gained, the settings found, and the comparison on the test part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from docs.make.sources import RESULTS, source
from scgraph.bench.results import summarise
from scgraph.bench.tables import table_cells
from scgraph.reporting.wording import records

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["study_block", "study_tables"]

SCORE = "validation macro-F1"
GROUPS = ("model.", "train.", "probe.")


def study_block(name: str) -> str:
    """Return what a search found, and where it comes from."""
    return f"{study_tables(RESULTS / name)}\n{source(name)}\n"


def study_tables(folder: Path) -> str:
    """Return the tables of a search in markdown.

    The first trial of every model ran the settings that the search started from.

    Args:
        folder: of `scgraph tune` with one objective, the macro-F1 of the probe.
    """
    trials = pd.read_csv(folder / "trials.csv")
    trials = trials[~trials["lost"]]
    scores = [
        "| model | trials | given up early | failed | start | best | gain |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    chosen: dict[str, dict[str, Any]] = {}
    for model, own in trials.groupby("model", sort=False):
        states = own["state"].value_counts()
        first = own[own["slot"] == 0].iloc[0]
        best = own.loc[own[SCORE].idxmax()]
        cells = [str(len(own)), str(states.get("pruned", 0)), str(states.get("failed", 0))]
        cells += [f"{first[SCORE]:.3f}", f"{best[SCORE]:.3f}", f"{best[SCORE] - first[SCORE]:+.3f}"]
        scores.append(f"| `{model}` | " + " | ".join(cells) + " |")
        chosen[str(model)] = {"start": first, "best": best}
    settings = [name for name in trials.columns if name.startswith(GROUPS)]
    found = ["| setting | start | " + " | ".join(f"`{model}`" for model in chosen) + " |"]
    found.append("|---|---:|" + "---:|" * len(chosen))
    for name in settings:
        starts = {_said(rows["start"][name]) for rows in chosen.values()} - {"-"}
        cells = [_said(rows["best"][name]) for rows in chosen.values()]
        found.append(f"| `{name}` | {', '.join(sorted(starts))} | " + " | ".join(cells) + " |")
    return "\n".join([*scores, "", *found, "", *_compared(pd.read_csv(folder / "bench" / "results.csv"))]) + "\n"


def _compared(results: pd.DataFrame) -> list[str]:
    """Return macro-F1 on the test part of every set, and its paired difference to tf."""
    summary = summarise(results)
    sets = list(dict.fromkeys(summary["dataset"]))
    lines = ["| model | " + " | ".join(f"{name}, macro-F1 | minus tf [95 %]" for name in sets) + " |"]
    lines.append("|---|" + "---:|---:|" * len(sets))
    for model in dict.fromkeys(summary["model"]):
        cells = [str(model)]
        for name in sets:
            (record,) = records(summary[(summary["dataset"] == name) & (summary["model"] == model)])
            own = table_cells(record, "tf")
            cells += [own[1], own[4]]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _said(value: Any) -> str:
    if pd.isna(value):
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
