"""How far predicted changes are from measured ones, and what seeds and perturbations say together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.perturb.splits import GROUPS
from scgraph.reporting.statistics import mean_sd, paired_difference

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["ALL", "CEILING", "HIGHER_IS_BETTER", "MEAN", "METRICS", "best_baseline", "score_changes", "summarise"]

METRICS = ("pearson", "pearson_top", "mse", "mse_top", "mae", "discrimination", "overlap")
HIGHER_IS_BETTER = {"pearson", "pearson_top", "discrimination", "overlap"}
MEAN, CEILING = "mean change", "split half (ceiling)"
"""Names of the floor, the mean change of the others, and of the ceiling, one half of the cells against the other."""
ALL = "all"
"""The group of all test perturbations."""


def score_changes(
    predicted: NDArray[np.floating],
    measured: NDArray[np.floating],
    *,
    top: int = 20,
    left_out: NDArray[np.bool_] | None = None,
    among: NDArray[np.floating] | None = None,
    own: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Score predicted changes, each perturbation by itself.

    ``pearson``, ``mse`` and ``mae`` look at all genes, ``pearson_top`` and ``mse_top`` at those with the largest
    measured absolute change, of which ``overlap`` is the share that is among as many with the largest predicted one.
    The correlation with a prediction that does not vary, such as no change, is taken as 0, and so is its overlap.
    ``discrimination`` is the share of the other perturbations whose measured change is farther from the prediction (by
    the sum of absolute differences) than that of the perturbation itself, ties half: 1 where it is told from all
    others, 0.5 by chance.

    Args:
        predicted: `[P, G]`.
        measured: `[P, G]`.
        top: number of the most changed genes.
        left_out: genes that do not count, `[P, G]`.
        among: measured changes of all perturbations, `[Q, G]`; None for `measured`.
        own: row of each perturbation in `among`, `[P]`; None for its own place.

    Returns:
        One array `[P]` a metric.

    Source: the metrics of GEARS (Roohani et al. 2024); there the genes are those with the most significant change. The
    discrimination score is that of the Virtual Cell Challenge (Roohani et al. 2025, doi:10.1016/j.cell.2025.06.008).
    """
    found: dict[str, list[float]] = {name: [] for name in METRICS}
    others = measured if among is None else among
    for row in range(len(measured)):
        counted = slice(None) if left_out is None else ~left_out[row]
        guess, truth = predicted[row, counted].astype(float), measured[row, counted].astype(float)
        most = np.argsort(-np.abs(truth), kind="stable")[:top]
        for suffix, part in (("", slice(None)), ("_top", most)):
            found[f"pearson{suffix}"].append(_pearson(guess[part], truth[part]))
            found[f"mse{suffix}"].append(float(np.square(guess[part] - truth[part]).mean()))
        found["mae"].append(float(np.abs(guess - truth).mean()))
        found["overlap"].append(_overlap(guess, most))
        rest = np.delete(others[:, counted], row if own is None else own[row], axis=0)
        found["discrimination"].append(_discrimination(guess, truth, rest))
    return {name: np.asarray(values) for name, values in found.items()}


def _overlap(guess: NDArray[np.float64], most: NDArray[np.int64]) -> float:
    size = np.abs(guess)
    if not len(most) or np.ptp(size) < 1e-12:
        return 0.0
    return len(np.intersect1d(np.argsort(-size, kind="stable")[: len(most)], most)) / len(most)


def _discrimination(guess: NDArray[np.float64], truth: NDArray[np.float64], rest: NDArray[np.floating]) -> float:
    if not len(rest):
        return math.nan
    mine = np.abs(guess - truth).sum()
    theirs = np.abs(rest - guess).sum(axis=1)
    same = np.isclose(theirs, mine, rtol=1e-9)
    return float(np.where(same, 0.5, theirs > mine).mean())


def _pearson(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    first, second = one - one.mean(), other - other.mean()
    size = math.sqrt(float(np.square(first).sum()) * float(np.square(second).sum()))
    return float(first @ second) / size if size > 1e-12 else 0.0


def summarise(results: pd.DataFrame, baselines: Collection[str]) -> pd.DataFrame:
    """One row a group of perturbations and model.

    For every metric: `_mean`, the mean over perturbations of the mean over the seeds that tested each; `_low` and
    `_high`, its 95 % t interval over perturbations; `_sd`, the standard deviation over seeds of the mean of a seed;
    `_floor`, `_floor_low` and `_floor_high`, the paired difference to the mean change, and its interval over
    perturbations;
    `_reference`, the baseline that is best by this mean; and the paired difference to it, `_difference` with
    `_difference_low` and `_difference_high` over perturbations, and of the means of seeds `_seeds`, `_seeds_low` and
    `_seeds_high` over seeds, in which a perturbation that was tested more often weighs more.

    The best baseline is chosen on the test part, which favours it, so that no difference is too good.

    Args:
        results: one row a seed, model and test perturbation, with its `group` and the metrics.
        baselines: models that the others are compared with.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    groups = [group for group in GROUPS if group in set(results["group"])]
    for group in [ALL, *(groups if len(groups) > 1 else [])]:
        part = results if group == ALL else results[results["group"] == group]
        models = list(dict.fromkeys(part["model"]))
        row_of: dict[str, dict[str, Any]] = {
            model: {
                "group": group,
                "model": model,
                "perturbations": part["perturbation"].nunique(),
                "seeds": part["seed"].nunique(),
            }
            for model in models
        }
        for metric in METRICS:
            table = part.pivot_table(metric, ["seed", "perturbation"], "model", observed=True)
            means = table.groupby("perturbation").mean(), table.groupby("seed").mean()
            best = best_baseline(means[0], metric, baselines)
            for model in models:
                row_of[model] |= _columns(metric, *means, model=model, best=best)
        rows += row_of.values()
    return pd.DataFrame(rows)


def best_baseline(means: pd.DataFrame, metric: str, baselines: Collection[str]) -> str:
    """Return the baseline with the best mean over perturbations.

    Args:
        means: one metric, indexed by perturbation, a column a model.
        metric: its name.
        baselines: models to choose from.
    """
    found = means[[name for name in means.columns if name in baselines]].mean()
    return str(found.idxmax() if metric in HIGHER_IS_BETTER else found.idxmin())


def _columns(
    metric: str, by_perturbation: pd.DataFrame, by_seed: pd.DataFrame, *, model: str, best: str
) -> dict[str, Any]:
    own = by_perturbation[model]
    interval = paired_difference(own, np.zeros(len(own)))  # to nothing: the t interval of the mean itself
    difference = paired_difference(own, by_perturbation[best])
    seeds = paired_difference(by_seed[model], by_seed[best])
    floor = by_perturbation[MEAN] if MEAN in by_perturbation else by_perturbation[best]
    above = paired_difference(own, floor)
    same = model == best
    return {
        f"{metric}_mean": interval.mean,
        f"{metric}_low": interval.low,
        f"{metric}_high": interval.high,
        f"{metric}_sd": mean_sd(by_seed[model]).sd,
        f"{metric}_floor": math.nan if model == MEAN else above.mean,
        f"{metric}_floor_low": math.nan if model == MEAN else above.low,
        f"{metric}_floor_high": math.nan if model == MEAN else above.high,
        f"{metric}_reference": best,
        f"{metric}_difference": math.nan if same else difference.mean,
        f"{metric}_difference_low": math.nan if same else difference.low,
        f"{metric}_difference_high": math.nan if same else difference.high,
        f"{metric}_seeds": math.nan if same else seeds.mean,
        f"{metric}_seeds_low": math.nan if same else seeds.low,
        f"{metric}_seeds_high": math.nan if same else seeds.high,
    }
