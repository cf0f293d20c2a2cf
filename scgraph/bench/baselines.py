"""Rows a graph model must beat beside components: the most frequent class, and the genes themselves."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from scgraph.errors import DataError
from scgraph.representations.classifier import mean_log_probability

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

__all__ = ["GENE_PENALTIES", "gene_regression", "majority"]

GENE_PENALTIES = tuple(10.0**power for power in range(-3, 2))
"""C of the regression on genes; weaker penalties chose between models that predict the train part alike."""


def majority(train_y: ArrayLike, n_test: int) -> NDArray[np.int64]:
    """Predict the most frequent class of the train part for every test cell (the smallest code on a tie)."""
    codes, counts = np.unique(np.asarray(train_y), return_counts=True)
    if not len(codes):
        raise DataError("The train part is empty: there is no most frequent class.")
    return np.full(n_test, codes[np.argmax(counts)], dtype=np.int64)


def gene_regression(
    train_x: csr_matrix,
    train_y: ArrayLike,
    validation_x: csr_matrix,
    validation_y: ArrayLike,
) -> LogisticRegression:
    """Fit a multinomial logistic regression on the values of all genes, which stay sparse and are not scaled.

    The penalty of `GENE_PENALTIES` with the highest likelihood of the validation part is taken, the strongest on a
    tie, as `fit_classifier` does for features; cells of classes that the train part lacks are left out of it.

    Args:
        train_x: log1p of counts per 10,000, `[n_train, V]`.
        train_y: class codes, `[n_train]`.
        validation_x: `[n_validation, V]`.
        validation_y: `[n_validation]`.

    Returns:
        The regression, whose classes are codes and whose C was chosen.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    best: tuple[float, LogisticRegression] | None = None
    # Each penalty starts where the stronger one ended, and a gradient of 1e-3 moves no prediction that matters.
    regression = LogisticRegression(solver="newton-cg", warm_start=True, tol=1e-3)
    with threadpool_limits(1):
        for penalty in GENE_PENALTIES:
            regression.set_params(C=penalty).fit(train_x, np.asarray(train_y))
            reached = mean_log_probability(
                regression.predict_log_proba(validation_x), regression.classes_, validation_y
            )
            if best is None or reached > best[0]:
                best = reached, deepcopy(regression)
    assert best is not None
    return best[1]
