"""Batches of cells with their classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from scgraph.nn.bag import GeneBag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scgraph.data import CellStore

__all__ = ["LabelledBatch", "LabelledBatches"]


@dataclass
class LabelledBatch:
    """Cells and their classes.

    Attributes:
        genes: vocabulary ids, 0 = padding, `[B, G]`.
        values: expression `[B, G]`.
        codes: classes `[B]`.
        bag_genes: all expressed genes of the cells `[N]`.
        bag_values: their values `[N]`.
        bag_starts: where each cell begins in these `[B]`.
    """

    genes: torch.Tensor
    values: torch.Tensor
    codes: torch.Tensor
    bag_genes: torch.Tensor
    bag_values: torch.Tensor
    bag_starts: torch.Tensor

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> LabelledBatch:
        """Move the tensors; Lightning calls this."""
        return replace(self, **{key: value.to(device, non_blocking=non_blocking) for key, value in vars(self).items()})


class LabelledBatches:
    """An epoch of batches of labelled cells; with `shuffle`, another order and other genes each epoch."""

    def __init__(
        self,
        store: CellStore,
        codes: NDArray[np.int64],
        rows: NDArray[np.int64],
        *,
        genes: int,
        batch_size: int,
        seed: int,
        shuffle: bool,
    ) -> None:
        self.store, self.codes, self.rows = store, codes, rows
        self.genes, self.batch_size, self.seed, self.shuffle = genes, batch_size, seed, shuffle
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[LabelledBatch]:
        """Give the batches of an epoch."""
        epoch = self.epoch if self.shuffle else 0
        order = np.random.default_rng([self.seed, epoch]).permutation(self.rows) if self.shuffle else self.rows
        self.epoch += 1
        for start in range(0, len(order), self.batch_size):
            part = order[start : start + self.batch_size]
            genes, values = self.store.batch(part, genes=self.genes, seed=self.seed, epoch=epoch)
            bag = GeneBag.of_rows(*self.store.entries(part))
            yield LabelledBatch(
                torch.from_numpy(genes),
                torch.from_numpy(values),
                torch.from_numpy(self.codes[part]),
                bag.genes,
                bag.values,
                bag.starts,
            )
