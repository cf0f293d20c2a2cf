"""What every row of a bench is: a map of cells to features, fitted without labels on the cells models learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from scgraph.train import embed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scgraph.config import TrainConfig
    from scgraph.data import CellStore
    from scgraph.nn import CellModel

__all__ = ["ModelRepresentation", "Representation", "SideBySide"]

_MOST_CELLS = 2000


class Representation(Protocol):
    """A map of cells to features; `name` is that of its row."""

    @property
    def name(self) -> str:
        """Name of the row."""
        ...

    def __call__(self, store: CellStore) -> NDArray[np.float32]:
        """Return the features of all cells of a store of the same vocabulary, float32 `[n, C]`."""
        ...


@dataclass(frozen=True, eq=False)
class ModelRepresentation:
    """The vectors of a model, pretrained or not."""

    name: str
    model: CellModel
    train: TrainConfig
    seed: int

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(weights.numel() for weights in self.model.parameters())

    def __call__(self, store: CellStore) -> NDArray[np.float32]:
        """Return the vectors of all cells of a store, float32 `[n, C]`."""
        genes, device = self.train.genes_to_embed(), self.train.device
        return embed(self.model, store, genes=genes, seed=self.seed, device=device)


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Several representations side by side, each at mean variance 1: the number of its columns gives it no weight.

    Attributes:
        name: that of the row.
        blocks: the representations.
        scales: root of the mean variance of the columns of each, on the cells it was fitted on.
    """

    name: str
    blocks: tuple[Representation, ...]
    scales: tuple[float, ...]

    @classmethod
    def fit(cls, name: str, blocks: Sequence[Representation], store: CellStore) -> SideBySide:
        """Measure the variances on the cells of a store, on 2,000 of them where there are more."""
        cells = np.unique(np.linspace(0, len(store) - 1, min(len(store), _MOST_CELLS)).astype(np.int64))
        sample = store.subset(cells)
        scales = [float(np.sqrt(block(sample).astype(np.float64).var(axis=0).mean())) for block in blocks]
        return cls(name, tuple(blocks), tuple(scale or 1.0 for scale in scales))

    def __call__(self, store: CellStore) -> NDArray[np.float32]:
        """Return the features of all cells of a store, float32 `[n, C_1 + C_2 + ...]`."""
        return self.joined([block(store) for block in self.blocks])

    def joined(self, features: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Put features of the blocks side by side, each at its scale."""
        parts = [block / np.float32(scale) for block, scale in zip(features, self.scales, strict=True)]
        return np.concatenate(parts, axis=1)
