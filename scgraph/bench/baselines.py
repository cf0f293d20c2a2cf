"""Rows a graph model must beat: the most frequent class, components of the cells it learns from, and the genes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from scgraph.bench.representations import SideBySide
from scgraph.data.components import fit_components
from scgraph.errors import DataError
from scgraph.reporting.rows import PAIR, REGRESSION
from scgraph.reporting.statistics import score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_matrix

    from scgraph.bench.representations import Representation
    from scgraph.data import CellStore
    from scgraph.data.components import Components, ComponentValues

__all__ = [
    "GENE_PENALTIES",
    "NEEDS_COUNTS",
    "ComponentBaselines",
    "ComponentRepresentation",
    "gene_regression",
    "majority",
]

PAIRED = 32
"""Components of each of the two blocks of `PAIR`."""

_FITTED: dict[str, tuple[ComponentValues, int | None]] = {
    REGRESSION: ("log1p", None),
    "pca-sqrt": ("sqrt", None),
    "pca-scaled": ("scaled", None),
    "pca-pearson": ("pearson", None),
    "pca-pearson-hvg": ("pearson", 2000),
}
NEEDS_COUNTS = ("pca-pearson", "pca-pearson-hvg", PAIR)

GENE_PENALTIES = tuple(10.0**power for power in range(-3, 2))
"""C of the regression on genes; weaker penalties chose between models that predict the train part alike."""


@dataclass(frozen=True, eq=False)
class ComponentRepresentation:
    """The first `width` principal components of the cells of a store."""

    name: str
    components: Components
    width: int

    def __call__(self, store: CellStore) -> NDArray[np.float32]:
        """Return the components of all cells of a store, float32 `[n, width]`."""
        return self.components(store)[:, : self.width]


@dataclass(eq=False)
class ComponentBaselines:
    """Principal components by the names of their rows, each decomposition made once, when it is first asked for.

    Attributes:
        store: cells to fit on, those that models learn from.
        width: components of a row; `PAIR` has 32 of square roots beside 32 of Pearson residuals instead.
        seed: of the decompositions.
    """

    store: CellStore
    width: int
    seed: int
    _components: dict[str, Components] = field(default_factory=dict)

    def fit(self, name: str) -> Representation:
        """Return the representation of a row.

        Raises:
            DataError: it is of `NEEDS_COUNTS`, and the counts of the cells are not known.
        """
        if name != PAIR:
            return ComponentRepresentation(name, self._fitted(name), self.width)
        blocks = [ComponentRepresentation(one, self._fitted(one), PAIRED) for one in ("pca-sqrt", "pca-pearson")]
        return SideBySide.fit(PAIR, blocks, self.store)

    def _fitted(self, name: str) -> Components:
        if name not in self._components:
            values, n_top = _FITTED[name]
            width = max(self.width, PAIRED)
            self._components[name] = fit_components(self.store, values, width, seed=self.seed, n_top=n_top)
        return self._components[name]


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
    test_x: csr_matrix,
) -> tuple[NDArray[np.int64], float]:
    """Multinomial logistic regression on the values of all genes, which stay sparse and are not scaled.

    The penalty of `GENE_PENALTIES` with the highest macro-F1 on the validation part is taken, the strongest on a tie.

    Args:
        train_x: log1p of counts per 10,000, `[n_train, V]`.
        train_y: class codes, `[n_train]`.
        validation_x: `[n_validation, V]`.
        validation_y: `[n_validation]`.
        test_x: `[n_test, V]`; looked at once, after the choice.

    Returns:
        Predicted class codes of the test part `[n_test]`, and C.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    best = (-1.0, 0.0, np.empty(0, dtype=np.int64))
    # Each penalty starts where the stronger one ended, and a gradient of 1e-3 moves no prediction that matters.
    regression = LogisticRegression(solver="newton-cg", warm_start=True, tol=1e-3)
    with threadpool_limits(1):
        for penalty in GENE_PENALTIES:
            regression.set_params(C=penalty).fit(train_x, np.asarray(train_y))
            reached = score(validation_y, regression.predict(validation_x))["macro_f1"]
            if reached > best[0]:
                best = (reached, penalty, regression.predict(test_x).astype(np.int64))
    return best[2], best[1]
