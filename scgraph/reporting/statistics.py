"""Scores of one prediction, and what several seeds say together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["METRICS", "MeanSd", "PairedDifference", "mean_sd", "paired_difference", "score"]

METRICS = ("accuracy", "balanced_accuracy", "macro_f1")


@dataclass(frozen=True)
class MeanSd:
    """Mean and sample standard deviation (n - 1 in the denominator; NaN for one value) of `n` values."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class PairedDifference:
    """Difference of a model to a reference over pairs (seeds, or sets), model minus reference.

    Attributes:
        mean: mean difference.
        low: lower end of the confidence interval, NaN for one pair.
        high: upper end of the confidence interval, NaN for one pair.
        n: number of pairs.
        margin: the two count as equivalent within ± margin.
        p_equivalence: larger p of the two one-sided t tests, NaN for one pair.
        equivalent: whether `p_equivalence` is below 0.05; None for one pair.
        note: what limits the numbers, "" where nothing does.
    """

    mean: float
    low: float
    high: float
    n: int
    margin: float
    p_equivalence: float
    equivalent: bool | None
    note: str = ""


def score(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro-F1 of one prediction, all in [0, 1].

    Balanced accuracy is the mean recall and macro-F1 the mean F1 of the classes that `truth` holds. A class
    that is never predicted counts 0. A class that is only predicted has no cell to be right about: it costs
    through the cells it takes from the others, and the number of classes averaged is the same for all models.

    Args:
        truth: class of every cell, `[n]`.
        predicted: predicted class of every cell, `[n]`, of the same type.
    """
    from sklearn.metrics import precision_recall_fscore_support

    true, guess = np.asarray(truth), np.asarray(predicted)
    if true.shape != guess.shape or true.ndim != 1 or not len(true):
        raise ValueError(f"truth {true.shape} and prediction {guess.shape} must be equally long and not empty")
    classes = np.unique(true)
    _, recall, f1, _ = precision_recall_fscore_support(true, guess, labels=classes, zero_division=0)
    return {
        "accuracy": float(np.mean(true == guess)),
        "balanced_accuracy": float(np.mean(recall)),
        "macro_f1": float(np.mean(f1)),
    }


def mean_sd(values: ArrayLike) -> MeanSd:
    """Mean and sample standard deviation of the finite values; mean NaN for none, sd NaN for one."""
    data = np.asarray(values, dtype=float)
    data = data[np.isfinite(data)]
    if not len(data):
        return MeanSd(math.nan, math.nan, 0)
    sd = float(np.std(data, ddof=1)) if len(data) > 1 else math.nan
    return MeanSd(float(np.mean(data)), sd, len(data))


def paired_difference(
    model: ArrayLike, reference: ArrayLike, *, margin: float = 0.01, confidence: float = 0.95
) -> PairedDifference:
    """Mean of `model - reference` over pairs, its t interval, and a test of equivalence.

    With differences d of n pairs (seeds, or sets) the interval is mean(d) ± t(n - 1) · sd(d) / √n. Equivalence is
    two one-sided t tests (Schuirmann 1987) of mean(d) > -margin and mean(d) < margin, at level 0.05 each. Splits of
    different seeds share cells, so an interval over seeds speaks of new seeds, not of new data.

    Args:
        model: metric of the model, one value a seed or set, `[n]`.
        reference: metric of the reference for the same seeds or sets in the same order, `[n]`.
        margin: largest difference that does not matter, in units of the metric.
        confidence: of the two-sided interval.
    """
    if margin <= 0:
        raise ValueError("margin must be positive")
    a, b = np.asarray(model, dtype=float), np.asarray(reference, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"model {a.shape} and reference {b.shape} must be equally long")
    d = (a - b)[np.isfinite(a - b)]
    n, nan = len(d), math.nan
    if n == 0:
        return PairedDifference(nan, nan, nan, 0, margin, nan, None, "no pairs")
    mean = float(np.mean(d))
    if n == 1:
        return PairedDifference(mean, nan, nan, 1, margin, nan, None, "n = 1: no interval")
    sd = float(np.std(d, ddof=1))
    if sd <= 1e-12:
        inside = abs(mean) < margin
        note = f"the same difference in all {n} pairs: the interval has no width"
        return PairedDifference(mean, mean, mean, n, margin, 0.0 if inside else 1.0, inside, note)
    from scipy.stats import t

    error = sd / math.sqrt(n)
    half = float(t.ppf(0.5 + confidence / 2, n - 1)) * error
    p = max(float(t.sf((mean + margin) / error, n - 1)), float(t.cdf((mean - margin) / error, n - 1)))
    return PairedDifference(mean, mean - half, mean + half, n, margin, p, p < 0.05)
