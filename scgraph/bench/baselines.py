"""Rows a graph model must beat: the most frequent class, and principal components of the cells it learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.components import fit_components
from scgraph.errors import DataError
from scgraph.reporting.rows import REGRESSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from scgraph.bench.representations import Representation
    from scgraph.config import BenchConfig
    from scgraph.data import CellStore
    from scgraph.data.components import Components

__all__ = ["ComponentRepresentation", "fit_baselines", "majority"]


@dataclass(frozen=True, eq=False)
class ComponentRepresentation:
    """Principal components of the cells of a store."""

    name: str
    components: Components

    def __call__(self, store: CellStore) -> NDArray[np.float32]:
        """Return the components of all cells of a store, float32 `[n, K]`."""
        return self.components(store)


def majority(train_y: ArrayLike, n_test: int) -> NDArray[np.int64]:
    """Predict the most frequent class of the train part for every test cell (the smallest code on a tie)."""
    codes, counts = np.unique(np.asarray(train_y), return_counts=True)
    if not len(codes):
        raise DataError("The train part is empty: there is no most frequent class.")
    return np.full(n_test, codes[np.argmax(counts)], dtype=np.int64)


def fit_baselines(settings: BenchConfig, store: CellStore, *, seed: int) -> Iterator[Representation]:
    """Fit the baselines on the cells that models learn from, one after another."""
    yield ComponentRepresentation(REGRESSION, fit_components(store, "log1p", settings.components, seed=seed))
