"""Sentences that keep the headline of a bench honest: what pretraining gains, the plain baseline, and who is ahead."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scgraph.bench.across_sets import trained_models
from scgraph.bench.results import HEADLINE_METRIC, best_baseline, first_graph_model
from scgraph.reporting.rows import BESIDE, CONTROLS, PAIR, REGRESSION
from scgraph.reporting.wording import interval, mean_and_sd, records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

__all__ = ["findings"]


def findings(summary: pd.DataFrame) -> list[str]:
    """What keeps the headline honest, each difference paired by seed with its 95 % interval.

    For every dataset and split: the gain over the untrained backbone, every model against logistic regression on
    components and against the best baseline, components with and without the vectors of a model, controls that do as
    well as the graph model, and at the end the row that is ahead, whichever it is. With one seed there is no interval,
    and nothing is compared.
    """
    found = []
    for (dataset, _), group in summary.groupby(["dataset", "split"], sort=False):
        rows = records(group)
        where = f"{dataset}:"
        gains = _listed(rows, "over_untrained")
        if gains:
            found.append(f"{where} pretraining changes macro-F1 over the untrained backbone by {gains}.")
        trained = [row for row in rows if row["model"] in trained_models(group)]
        against = _listed(trained, "over_regression")
        if against:
            own = next(row for row in rows if row["model"] == REGRESSION)
            found.append(
                f"{where} macro-F1 minus that of logistic regression on principal components "
                f"({mean_and_sd(own, HEADLINE_METRIC)}): {against}."
            )
        found += [f"{where} {text}" for text in (*_best_baseline(rows, trained), *_combined(rows), *_controls(rows))]
        closing = _closing(rows)
        if closing:
            found.append(f"{where} {closing}")
    return found


def _best_baseline(rows: Sequence[Mapping[str, Any]], trained: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the models are worth beside the best baseline, where that is another than `REGRESSION`."""
    name = best_baseline(rows)
    against = _listed(trained, "over_baseline")
    if against and name != REGRESSION:
        own = next(row for row in rows if row["model"] == name)
        yield (
            f"macro-F1 minus that of the best baseline, {name} ({mean_and_sd(own, HEADLINE_METRIC)}, picked by these "
            f"test scores): {against}."
        )


def _combined(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Whether the vectors of a model add to components."""
    for row in rows:
        if math.isfinite(row["over_components_low"]):
            model = row["model"].removeprefix(BESIDE)
            shown = "" if row["over_components_low"] > 0 else f", so {model} is not shown to add to them"
            yield (
                f"components and {model} side by side ({row['model']}) minus these components alone ({PAIR}): "
                f"{interval(row, 'over_components')}{shown}."
            )


def _controls(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The controls that the graph model is not ahead of."""
    graph = first_graph_model(row["model"] for row in rows)
    for row in rows:
        if row["model"] in CONTROLS and row["to_graph_high"] >= 0:  # NaN is not
            control = CONTROLS[row["model"]]
            if row["to_graph_low"] > 0:
                text = f"{control} does better than {graph}"
            elif row["to_graph_difference"] >= 0:
                text = f"{control} does as well as {graph}"
            else:
                text = f"{graph} is not shown to be ahead of {control}"
            yield f"{text}: {row['model']} minus {graph} {interval(row, 'to_graph')}."


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
