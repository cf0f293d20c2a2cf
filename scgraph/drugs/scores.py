"""How far predicted scores are from measured ones, and what the folds say together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.reporting.statistics import mean_sd, paired_difference

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["FLOOR", "METRICS", "WRONG", "score_rows", "summarise"]

METRICS = ("pearson", "auroc", "auprc", "within_pair")
FLOOR = "mean (floor)"
"""The mean of all training scores."""
WRONG = ", wrong lines"
"""Ends the name of what learned from the expression of a wrong line."""
LEAST_LINES = 3


def score_rows(
    score: NDArray[np.float64],
    predicted: NDArray[np.float64],
    pair: NDArray[np.int64],
    *,
    synergistic: float = 10.0,
    antagonistic: float = 0.0,
) -> dict[str, float]:
    """Score predictions of the test rows.

    ``pearson``: correlation over all rows. ``auroc`` and ``auprc``: of the rows above `synergistic` (1) and below
    `antagonistic` (0); those between have no label. AUPRC is the average precision. ``within_pair``: correlation
    across the lines of a pair, mean over the pairs with three lines or more whose scores differ; it alone says whether
    a line was told from another, as neither the mean of a pair nor that of a drug enters. A prediction that does not
    vary has correlation 0 and AUROC 0.5.

    Args:
        score: measured, ``[n]``.
        predicted: ``[n]``.
        pair: number of the pair of every row, ``[n]``.
        synergistic: scores above it are labelled 1.
        antagonistic: scores below it are labelled 0.

    Returns:
        One number a metric, NaN where the rows do not have it (one label alone, no pair with three lines).
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    labelled = (score > synergistic) | (score < antagonistic)
    label = score[labelled] > synergistic
    both = 0 < label.sum() < len(label)
    within = [
        _pearson(score[rows], predicted[rows])
        for rows in _groups(pair)
        if len(rows) >= LEAST_LINES and np.ptp(score[rows]) > 0
    ]
    return {
        "pearson": _pearson(score, predicted),
        "auroc": float(roc_auc_score(label, predicted[labelled])) if both else math.nan,
        "auprc": float(average_precision_score(label, predicted[labelled])) if both else math.nan,
        "within_pair": float(np.mean(within)) if within else math.nan,
    }


def _groups(key: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    order = np.argsort(key, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(key[order])) + 1)


def _pearson(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    first, second = one - one.mean(), other - other.mean()
    # Predictions that are equal but for rounding do not vary.
    if np.ptp(other) <= 1e-9 * max(1.0, float(np.abs(other).max())):
        return 0.0
    size = math.sqrt(float(np.square(first).sum()) * float(np.square(second).sum()))
    return float(first @ second) / size if size > 0 else 0.0


def summarise(results: pd.DataFrame, baselines: Collection[str]) -> pd.DataFrame:
    """One row a model, over folds.

    For every metric: `_mean`, `_low` and `_high`, the mean over folds and its 95 % t interval; `_sd` over folds;
    `_reference`, the baseline that is best by the mean, and `_difference`, `_difference_low` and `_difference_high`,
    the paired difference to it; `_wrong`, `_wrong_low` and `_wrong_high`, the paired difference to the same model with
    the expression of wrong lines, NaN where there is none.

    Folds share most of their training rows, so that intervals over them are rather too narrow. The best baseline is
    chosen on the test rows, which favours it.

    Args:
        results: one row a fold and model, with the metrics.
        baselines: models that the others are compared with; those of wrong lines do not count.
    """
    import pandas as pd

    models = list(dict.fromkeys(results["model"]))
    rows: dict[str, dict[str, Any]] = {
        name: {"model": name, "folds": results["fold"].nunique(), "is_baseline": name in baselines} for name in models
    }
    for metric in METRICS:
        table = results.pivot_table(metric, "fold", "model", observed=True, dropna=False)
        means = table[[name for name in models if name in baselines and not name.endswith(WRONG)]].mean()
        best = str(means.idxmax()) if means.notna().any() else ""
        for name in models:
            own = table[name].to_numpy()
            mean = paired_difference(own, np.zeros(len(own)))  # to nothing: the t interval of the mean itself
            row = rows[name]
            row |= {f"{metric}_mean": mean.mean, f"{metric}_low": mean.low, f"{metric}_high": mean.high}
            row |= {f"{metric}_sd": mean_sd(own).sd, f"{metric}_reference": best}
            for what, other in (("difference", best if best != name else ""), ("wrong", f"{name}{WRONG}")):
                row |= _difference(f"{metric}_{what}", own, table[other].to_numpy() if other in table else None)
    return pd.DataFrame(rows.values())


def _difference(key: str, own: NDArray[np.float64], other: NDArray[np.float64] | None) -> dict[str, float]:
    if other is None:
        return dict.fromkeys((key, f"{key}_low", f"{key}_high"), math.nan)
    found = paired_difference(own, other)
    return {key: found.mean, f"{key}_low": found.low, f"{key}_high": found.high}
