"""Results of a bench: one row a model x dataset x split x seed, and what several seeds say together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scgraph.display import short_repr
from scgraph.reporting.escape import csv_text
from scgraph.reporting.rows import CONTROLS, PAIR, REGRESSION, UNTRAINED, model_order, row_kind
from scgraph.reporting.statistics import METRICS, PairedDifference, mean_sd, paired_difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pandas as pd

    from scgraph.costs.profiling import Costs

__all__ = [
    "RESULT_COLUMNS",
    "BenchResult",
    "best_baseline",
    "difference_columns",
    "first_graph_model",
    "results_csv",
    "results_frame",
    "summarise",
]

HEADLINE_METRIC = "macro_f1"
OVER = ("over_untrained", "over_regression", "over_baseline", "over_components", "to_graph", "to_leader")
"""Further paired differences in `HEADLINE_METRIC`: to the model's untrained row, to `REGRESSION`, to the baseline with
the largest mean, of components beside a model to the same components alone, to the first graph model, and to the row
with the largest mean of all."""
KEY = ("dataset", "split", "model")
COSTS = ("parameters", "multiply_adds", "saved_mb", "cells_per_second", "seconds_pretrain")
LOSSES = ("loss", "validation_loss", "mvp_loss", "validation_mvp_loss")
SIZES = ("n_train", "n_validation", "n_test")
RESULT_COLUMNS = ("dataset", "split", "seed", "model", *METRICS, *LOSSES, *COSTS, *SIZES)
REQUIRED = ("dataset", "split", "seed", "model", *METRICS)


@short_repr
@dataclass(frozen=True)
class BenchResult:
    """What a bench found.

    Attributes:
        results: one row a model, dataset, split and seed.
        summary: one row a model and dataset, see `scgraph.bench.results.summarise`.
        overall: what all sets say together, see `scgraph.bench.across_sets.across_sets`; empty for one set.
        costs: one entry a model.
        notes: what must be said aloud: splits, leaks, what was done to the data.
        folder: where it was written; None where nothing was.
        uses: one row a model, dataset, split, seed, use, level, draw and metric, see `scgraph.bench.uses.summary`.
    """

    results: pd.DataFrame
    summary: pd.DataFrame
    overall: pd.DataFrame
    costs: tuple[Costs, ...]
    notes: tuple[str, ...]
    folder: Path | None
    uses: pd.DataFrame


def results_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a frame with the columns of `RESULT_COLUMNS`, further ones behind them; what is not given is NaN.

    Raises:
        ValueError: a row lacks one of dataset, split, seed, model and the metrics, or a run stands there twice.
    """
    import pandas as pd

    listed = list(rows)
    for row in listed:
        lacking = [name for name in REQUIRED if name not in row]
        if lacking:
            raise ValueError(f"a result row lacks {', '.join(lacking)}: {dict(row)}")
    further = list(dict.fromkeys(name for row in listed for name in row if name not in RESULT_COLUMNS))
    frame = pd.DataFrame(listed, columns=[*RESULT_COLUMNS, *further])
    twice = frame.duplicated([*KEY, "seed"])
    if twice.any():
        raise ValueError(f"the same run stands there twice: {frame.loc[twice, [*KEY, 'seed']].iloc[0].to_dict()}")
    return frame


def results_csv(results: pd.DataFrame) -> str:
    """The text of `results.csv`."""
    return csv_text(results, float_format="%.10g")


def summarise(results: pd.DataFrame, reference: str = "tf", *, margin: float = 0.01) -> pd.DataFrame:
    """One row a dataset x split x model, over its seeds.

    Columns: `dataset`, `split`, `model`, `n` (seeds); for every metric `_mean`, `_sd`, `_difference` (paired, model
    minus `reference`), `_low`, `_high` (95 % interval), `_p` and `_equivalent` (two one-sided tests within
    ± `margin`); the same for macro-F1 minus that of other rows, see `OVER`; means of losses, costs and sizes of the
    parts. NaN and None where a value does not exist: one seed, no reference, a baseline without costs.

    Args:
        results: as `results_frame` makes it.
        reference: the model the others are compared with; may be absent.
        margin: for the test of equivalence, in units of the metric.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for (dataset, split), group in results.groupby(["dataset", "split"], sort=False):
        by_seed = group.set_index("seed")
        against = by_seed[by_seed["model"] == reference]
        scores = {str(name): own[HEADLINE_METRIC] for name, own in by_seed.groupby("model", sort=False)}
        means = {name: mean_sd(own).mean for name, own in scores.items()}
        leader = leading(means)
        baseline = leading({name: mean for name, mean in means.items() if row_kind(name) == "baseline"})
        graph = first_graph_model(means, reference)
        for model in model_order(group["model"]):
            own = by_seed[by_seed["model"] == model]
            row: dict[str, Any] = {"dataset": dataset, "split": split, "model": model, "n": len(own)}
            for metric in METRICS:
                whole = mean_sd(own[metric])
                row |= {f"{metric}_mean": whole.mean, f"{metric}_sd": whole.sd}
                row |= _difference(own[metric], against[metric], metric, margin, same=model == reference)
            alone = PAIR if row_kind(model) == "combined" else ""
            others = (model + UNTRAINED, REGRESSION, baseline, alone, graph, leader)
            for name, other in zip(OVER, others, strict=True):
                same = model == other or other not in scores
                row |= _difference(
                    own[HEADLINE_METRIC], scores.get(other, own[HEADLINE_METRIC]), name, margin, same=same
                )
            for name in (*LOSSES, *COSTS, *SIZES):
                # Results of earlier versions lack some.
                row[name] = mean_sd(own[name]).mean if name in own else math.nan
            rows.append(row)
    return pd.DataFrame(rows)


def leading(means: Mapping[str, float]) -> str:
    """The row with the largest mean, the first of `model_order` on a tie; `""` where none is a number."""
    finite = {name: means[name] for name in model_order(means) if math.isfinite(means[name])}
    return max(finite, key=lambda name: finite[name]) if finite else ""


def first_graph_model(models: Iterable[str], reference: str = "tf") -> str:
    """The first pretrained model that is neither the reference nor a control; `""` where there is none."""
    names = [name for name in models if row_kind(name) == "trained"]
    return next((name for name in names if name != reference and name not in CONTROLS), "")


def best_baseline(rows: Iterable[Mapping[str, Any]], *, metric: str = HEADLINE_METRIC) -> str:
    """The baseline with the largest mean among rows of a summary; `""` where there is none."""
    return leading({row["model"]: row[f"{metric}_mean"] for row in rows if row_kind(row["model"]) == "baseline"})


def _difference(own: pd.Series, against: pd.Series, metric: str, margin: float, *, same: bool) -> dict[str, Any]:
    seeds = own.index.intersection(against.index)
    if same or not len(seeds):
        return difference_columns(metric, None)
    return difference_columns(metric, paired_difference(own.loc[seeds], against.loc[seeds], margin=margin))


def difference_columns(metric: str, found: PairedDifference | None) -> dict[str, Any]:
    """A paired difference as columns `<metric>_difference`, `_low`, `_high`, `_p`, `_equivalent`."""
    values: tuple[Any, ...] = (math.nan, math.nan, math.nan, math.nan, None)
    if found is not None:
        values = (found.mean, found.low, found.high, found.p_equivalence, found.equivalent)
    return {
        f"{metric}_{name}": value
        for name, value in zip(("difference", "low", "high", "p", "equivalent"), values, strict=True)
    }
