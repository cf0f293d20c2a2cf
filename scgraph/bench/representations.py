"""What every row of a bench is: a map of cells to features, fitted without labels on the cells models learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from scgraph.train import embed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scgraph.config import TrainConfig
    from scgraph.data import CellStore
    from scgraph.nn import CellModel

__all__ = ["ModelRepresentation", "Representation"]


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
