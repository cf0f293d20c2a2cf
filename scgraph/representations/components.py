"""Principal components as representations, by the names of their rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scgraph.data.components import fit_components
from scgraph.reporting.rows import PAIR, REGRESSION
from scgraph.representations.base import SideBySide

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scgraph.data import CellStore
    from scgraph.data.components import Components, ComponentValues
    from scgraph.representations.base import Representation

__all__ = ["NEEDS_COUNTS", "PAIRED", "ComponentBaselines", "ComponentRepresentation"]

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
