"""Scores of how new a cell is, the higher the newer, each fitted to features of cells of known classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.annotate.novelty import ClassDensities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.representations.classifier import Classifier

__all__ = ["NEIGHBORS", "RULES", "novelty_scores"]

NEIGHBORS = 10
_LOF_NEIGHBORS = 20
_TREES = 100

RULES: dict[str, dict[str, float]] = {
    "max probability": {"max probability": 0.05},
    "entropy": {"entropy": 0.05},
    "energy": {"energy": 0.05},
    "10 neighbors, cosine": {"10 neighbors, cosine": 0.05},
    "10 neighbors": {"10 neighbors": 0.05},
    "local outlier factor": {"local outlier factor": 0.05},
    "isolation forest": {"isolation forest": 0.05},
    "Mahalanobis": {"Mahalanobis": 0.05},
    "relative Mahalanobis": {"relative Mahalanobis": 0.05},
    "likelihood ratio": {"likelihood ratio": 0.05},
    "annotate: ratio 4 %, probability 1 %": {"likelihood ratio": 0.04, "max probability": 0.01},
    "ratio 2.5 %, probability 2.5 %": {"likelihood ratio": 0.025, "max probability": 0.025},
    "ratio 5 %, probability 5 %": {"likelihood ratio": 0.05, "max probability": 0.05},
}
"""Share of held-out cells of known classes that each score may give up; unknown is what one of them gives up."""


def novelty_scores(
    x: NDArray[np.float32],
    codes: NDArray[np.int64],
    query: NDArray[np.float32],
    classifier: Classifier,
    temperature: float,
) -> dict[str, NDArray[np.float64]]:
    """Return the scores of cells of a query, `[n]` each.

    Args:
        x: features of the reference, `[N, C]`.
        codes: its classes, `[N]`.
        query: features, `[n, C]`.
        classifier: fitted to the reference; its logits are those of `max probability`, `entropy` (of the softmax) and
            `energy`, minus the logarithm of the sum of their exponentials (Liu et al., arXiv:2010.03759).
        temperature: that its logits are divided by.
    """
    from scipy.special import logsumexp, softmax
    from scipy.stats import entropy
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

    logits = classifier.logits(query) / temperature
    probability = softmax(logits, axis=1)
    densities = ClassDensities.fit(x, codes)
    ratio = densities(query)
    nearest = np.min([_squared(query - centre, densities.precision) for centre in densities.centres], axis=0)
    scores = {
        "max probability": 1 - probability.max(axis=1),
        "entropy": entropy(probability, axis=1),
        "energy": -logsumexp(logits, axis=1),
        "Mahalanobis": nearest,
        "relative Mahalanobis": ratio - densities.offset,  # without the determinants
        "likelihood ratio": ratio,
        "local outlier factor": -LocalOutlierFactor(_LOF_NEIGHBORS, novelty=True).fit(x).score_samples(query),
        "isolation forest": -IsolationForest(n_estimators=_TREES, random_state=0).fit(x).score_samples(query),
    }
    for name, metric in (("10 neighbors", "euclidean"), ("10 neighbors, cosine", "cosine")):
        near = NearestNeighbors(n_neighbors=NEIGHBORS, metric=metric, algorithm="brute").fit(x)
        scores[name] = near.kneighbors(query)[0].mean(axis=1)
    return {name: np.asarray(one, dtype=np.float64) for name, one in scores.items()}


def _squared(residuals: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = np.einsum("nc,nc->n", residuals @ precision, residuals)
    return squared
