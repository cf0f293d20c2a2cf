"""From logits to probabilities that mean what they say, and the probability below which nothing is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "GIVEN_UP",
    "GIVEN_UP_AS_NEW",
    "expected_calibration_error",
    "fit_temperature",
    "held_out_probabilities",
    "probabilities",
    "unknown_threshold",
]

GIVEN_UP = 0.01
"""Share of the rightly labelled held-out cells whose probability is too low to be told a label."""
GIVEN_UP_AS_NEW = 0.04
"""Share of them that are too unlike every class."""

_BINS = 15
_LOG_RANGE = (-5.0, 5.0)


def probabilities(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return ``softmax(z / T)``, `[n, K]`; a class whose logit is -inf has the probability 0."""
    from scipy.special import softmax

    result: NDArray[np.float64] = softmax(logits / temperature, axis=1)
    return result


def fit_temperature(logits: NDArray[np.float64], codes: NDArray[np.int64]) -> float:
    """Return the temperature T with the least ``-Σ log softmax(z / T)[y]`` on held-out cells.

    Args:
        logits: of held-out cells, `[n, K]`.
        codes: their classes, `[n]`, whose logits are finite.

    Source: Guo et al., "On calibration of modern neural networks" (2017), arXiv:1706.04599.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows = np.arange(len(codes))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / np.exp(log_temperature), axis=1)[rows, codes].mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded").x))


def held_out_probabilities(
    logits: NDArray[np.float64], codes: NDArray[np.int64], fold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return probabilities `[n, K]`, those of each fold at the temperature that the other folds ask for.

    So no cell has a part in its own calibration, and errors measured on these are those of new cells.
    """
    result = np.empty_like(logits)
    for number in np.unique(fold):
        own = fold == number
        others = ~own if (~own).any() else own
        result[own] = probabilities(logits[own], fit_temperature(logits[others], codes[others]))
    return result


def expected_calibration_error(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return ``Σ_b n_b / n · |mean probability - share right|`` over 15 bins of equal width of the probability.

    Args:
        probability: of the label of every cell, `[n]`.
        right: whether it is right, `[n]`.

    Source: Guo et al., arXiv:1706.04599.
    """
    bins = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, weights=probability - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(probability))


def unknown_threshold(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the probability that all but `GIVEN_UP` of the rightly labelled held-out cells reach; 0 for none."""
    return float(np.quantile(probability[right], GIVEN_UP)) if right.any() else 0.0
