"""Sentences that keep the headline of a bench honest: what pretraining gains, the plain baseline, and who is ahead."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scgraph.bench.overall import compared
from scgraph.bench.results import HEADLINE_METRIC, REGRESSION
from scgraph.bench.wording import interval, mean_and_sd, records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

__all__ = ["findings"]


def findings(summary: pd.DataFrame) -> list[str]:
    """What keeps the headline honest, each difference paired by seed with its 95 % interval.

    For every dataset and split: the gain over the untrained backbone, every model against logistic regression, and at
    the end the row that is ahead, whichever it is. With one seed there is no interval, and nothing is compared.
    """
    found = []
    for (dataset, _), group in summary.groupby(["dataset", "split"], sort=False):
        rows = records(group)
        where = f"{dataset}:"
        gains = _listed(rows, "over_untrained")
        if gains:
            found.append(f"{where} pretraining changes macro-F1 over the untrained backbone by {gains}.")
        trained = [row for row in rows if row["model"] in compared(group)]
        against = _listed(trained, "over_regression")
        if against:
            own = next(row for row in rows if row["model"] == REGRESSION)
            found.append(
                f"{where} macro-F1 minus that of logistic regression on principal components "
                f"({mean_and_sd(own, HEADLINE_METRIC)}): {against}."
            )
        closing = _closing(rows)
        if closing:
            found.append(f"{where} {closing}")
    return found


def _listed(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """Models and one of their paired differences, those that have an interval."""
    return ", ".join(f"{row['model']} {interval(row, name)}" for row in rows if math.isfinite(row[f"{name}_low"]))


def _closing(rows: Sequence[Mapping[str, Any]]) -> str:
    """The row with the largest mean macro-F1, baselines and controls included, and how far the next one is behind."""
    ranked = sorted(
        (row for row in rows if math.isfinite(row[f"{HEADLINE_METRIC}_mean"])),
        key=lambda row: -row[f"{HEADLINE_METRIC}_mean"],
    )
    first = next((row for row in ranked if not math.isfinite(row["to_leader_difference"])), None)
    others = [row for row in ranked if row is not first]
    if first is None or not others:
        return ""
    text = f"of all rows {first['model']} has the largest mean macro-F1, {mean_and_sd(first, HEADLINE_METRIC)}"
    behind = others[0]
    if not math.isfinite(behind["to_leader_low"]):
        return f"{text}; with one seed that is no comparison."
    shown = "" if behind["to_leader_high"] < 0 else ", so it is not shown to be ahead"
    return (
        f"{text}; the next, {behind['model']}, minus it: {interval(behind, 'to_leader')}{shown} "
        "(both picked by these test scores)."
    )
