"""Rows a graph model must beat: the most frequent class, and logistic regression on principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.bench.statistics import score
from scgraph.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_matrix

__all__ = ["BaselineResult", "majority", "pca_logreg"]

INVERSE_PENALTIES = tuple(10.0**power for power in range(-4, 6))
"""C of scikit-learn, from the strongest penalty to hardly any: some sets choose .01 and some 100 or more."""


@dataclass(frozen=True)
class BaselineResult:
    """Predicted class codes of the test part `[n_test]`, one phrase on what was chosen, and C where it was."""

    predictions: NDArray[np.int64]
    note: str
    inverse_penalty: float | None = None


def majority(train_y: ArrayLike, n_test: int) -> BaselineResult:
    """Predict the most frequent class of the train part for every test cell (the smallest code on a tie)."""
    codes, counts = np.unique(np.asarray(train_y), return_counts=True)
    if not len(codes):
        raise DataError("The train part is empty: there is no most frequent class.")
    top = int(codes[np.argmax(counts)])
    return BaselineResult(
        np.full(n_test, top, dtype=np.int64), f"class {top}, {counts.max() / counts.sum():.1%} of train"
    )


def pca_logreg(
    train_x: csr_matrix,
    train_y: ArrayLike,
    validation_x: csr_matrix,
    validation_y: ArrayLike,
    test_x: csr_matrix,
    *,
    components: int = 50,
    seed: int,
) -> BaselineResult:
    """Multinomial logistic regression on principal components of log-normalised expression.

    Centre and components come from the train part alone. The penalty is the one with the best macro-F1 on the
    validation part, the strongest on a tie. The regression is fitted on the train part only, as the linear probe
    of the graph models is. The matrix stays sparse: centring is done inside the decomposition.

    Args:
        train_x: log1p of counts per 10,000, `[n_train, n_genes]`.
        train_y: class codes, `[n_train]`.
        validation_x: `[n_validation, n_genes]`.
        validation_y: `[n_validation]`.
        test_x: `[n_test, n_genes]`; looked at once, after every choice.
        components: number of principal components, fewer where cells or genes are fewer.
        seed: of the decomposition's starting vector.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    y = np.asarray(train_y)
    kept = min(components, min(train_x.shape) - 1)
    if kept < 1:
        raise DataError(f"pca+logreg needs at least 2 cells and 2 genes in the train part; it has {train_x.shape}.")
    # These products are small: threads of the linear algebra library cost ten times what they give.
    with threadpool_limits(1):
        pca = PCA(kept, svd_solver="arpack", random_state=seed)
        z = pca.fit_transform(train_x.astype(np.float64))
        validation_z = pca.transform(validation_x.astype(np.float64))

        best: tuple[float, float, LogisticRegression] | None = None
        for penalty in INVERSE_PENALTIES:
            # lbfgs takes hundreds of steps on components of such unequal variance; ten Newton steps are exact.
            model = LogisticRegression(C=penalty, solver="newton-cholesky", max_iter=200).fit(z, y)
            reached = score(validation_y, model.predict(validation_z))["macro_f1"]
            if best is None or reached > best[0]:
                best = (reached, penalty, model)
        assert best is not None
        _, penalty, model = best
        predictions = model.predict(pca.transform(test_x.astype(np.float64)))
    return BaselineResult(predictions.astype(np.int64), f"{kept} components, C = {penalty:g}", penalty)
