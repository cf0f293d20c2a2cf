"""How far predicted changes are from measured ones, and what seeds and perturbations say together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.statistics import mean_sd, paired_difference

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["ALL", "METRICS", "best_baseline", "score_changes", "summarise"]

METRICS = ("pearson", "pearson_top", "mse", "mse_top")
HIGHER_IS_BETTER = {"pearson", "pearson_top"}
ALL = "all"
"""The group of all test perturbations."""


def score_changes(
    predicted: NDArray[np.floating],
    measured: NDArray[np.floating],
    *,
    top: int = 20,
    left_out: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Score predicted changes, each perturbation by itself.

    ``pearson`` and ``mse`` look at all genes, ``pearson_top`` and ``mse_top`` at those with the largest measured
    absolute change. The correlation with a prediction that does not vary, such as no change, is taken as 0.

    Args:
        predicted: `[P, G]`.
        measured: `[P, G]`.
        top: number of the most changed genes.
        left_out: genes that do not count, `[P, G]`.

    Returns:
        One array `[P]` a metric.

    Source: the metrics of GEARS (Roohani et al. 2024); there the genes are those with the most significant change.
    """
    found: dict[str, list[float]] = {name: [] for name in METRICS}
    for row in range(len(measured)):
        counted = slice(None) if left_out is None else ~left_out[row]
        guess, truth = predicted[row, counted].astype(float), measured[row, counted].astype(float)
        most = np.argsort(-np.abs(truth), kind="stable")[:top]
        for suffix, part in (("", slice(None)), ("_top", most)):
            found[f"pearson{suffix}"].append(_pearson(guess[part], truth[part]))
            found[f"mse{suffix}"].append(float(np.square(guess[part] - truth[part]).mean()))
    return {name: np.asarray(values) for name, values in found.items()}


def _pearson(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    first, second = one - one.mean(), other - other.mean()
    size = math.sqrt(float(np.square(first).sum()) * float(np.square(second).sum()))
    return float(first @ second) / size if size > 1e-12 else 0.0


def summarise(results: pd.DataFrame, baselines: Collection[str]) -> pd.DataFrame:
    """One row a group of perturbations and model.

    For every metric: `_mean`, the mean over perturbations of the mean over the seeds that tested each; `_low` and
    `_high`, its 95 % t interval over perturbations; `_sd`, the standard deviation over seeds of the mean of a seed;
    `_reference`, the baseline that is best by this mean; and the paired difference to it, `_difference` with
    `_difference_low` and `_difference_high` over perturbations, `_seeds_low` and `_seeds_high` over seeds.

    The best baseline is chosen on the test part, which favours it, so that no difference is too good.

    Args:
        results: one row a seed, model and test perturbation, with its `group` and the metrics.
        baselines: models that the others are compared with.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    groups = list(dict.fromkeys(results["group"]))
    for group in [ALL, *(groups if len(groups) > 1 else [])]:
        part = results if group == ALL else results[results["group"] == group]
        models = list(dict.fromkeys(part["model"]))
        tables = {metric: part.pivot_table(metric, ["seed", "perturbation"], "model") for metric in METRICS}
        best = {metric: best_baseline(tables[metric], metric, baselines) for metric in METRICS}
        for model in models:
            row: dict[str, Any] = {
                "group": group,
                "model": model,
                "perturbations": part["perturbation"].nunique(),
                "seeds": part["seed"].nunique(),
            }
            for metric, table in tables.items():
                row |= _columns(metric, table, model, best[metric])
            rows.append(row)
    return pd.DataFrame(rows)


def best_baseline(table: pd.DataFrame, metric: str, baselines: Collection[str]) -> str:
    """Return the baseline with the best mean over perturbations.

    Args:
        table: one metric, indexed by seed and perturbation, a column a model.
        metric: its name.
        baselines: models to choose from.
    """
    means = table[[name for name in table.columns if name in baselines]].groupby("perturbation").mean().mean()
    return str(means.idxmax() if metric in HIGHER_IS_BETTER else means.idxmin())


def _columns(metric: str, table: pd.DataFrame, model: str, best: str) -> dict[str, Any]:
    own = table[model].groupby("perturbation").mean()
    zero = np.zeros(len(own))
    interval = paired_difference(own, zero)  # to nothing: the t interval of the mean itself
    difference = paired_difference(own, table[best].groupby("perturbation").mean())
    seeds = paired_difference(table[model].groupby("seed").mean(), table[best].groupby("seed").mean())
    same = model == best
    return {
        f"{metric}_mean": interval.mean,
        f"{metric}_low": interval.low,
        f"{metric}_high": interval.high,
        f"{metric}_sd": mean_sd(table[model].groupby("seed").mean()).sd,
        f"{metric}_reference": best,
        f"{metric}_difference": math.nan if same else difference.mean,
        f"{metric}_difference_low": math.nan if same else difference.low,
        f"{metric}_difference_high": math.nan if same else difference.high,
        f"{metric}_seeds_low": math.nan if same else seeds.low,
        f"{metric}_seeds_high": math.nan if same else seeds.high,
    }
