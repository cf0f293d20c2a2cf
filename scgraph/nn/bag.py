"""All expressed genes of a batch of cells, one after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import embedding_bag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["GeneBag", "weighted_sums", "weighted_sums_reference"]


@dataclass(frozen=True)
class GeneBag:
    """Genes and values of B cells, without padding in between.

    Attributes:
        genes: vocabulary ids ``[N]`` int64; padding, 0, counts for nothing.
        values: log-normalised expression ``[N]``.
        starts: where every cell begins ``[B]`` int64.
    """

    genes: Tensor
    values: Tensor
    starts: Tensor

    @classmethod
    def of_rows(cls, starts: NDArray[np.int64], genes: NDArray[np.int32], values: NDArray[np.float32]) -> GeneBag:
        """Return the bag of compressed rows: row starts ``[B + 1]``, genes and values ``[N]``."""
        return cls(torch.from_numpy(genes).long(), torch.from_numpy(values), torch.from_numpy(starts[:-1]))

    @classmethod
    def of_padded(cls, genes: Tensor, values: Tensor) -> GeneBag:
        """Return the bag of padded rows ``[B, G]``."""
        cells, width = genes.shape
        return cls(genes.flatten(), values.flatten(), torch.arange(cells, device=genes.device) * width)


def weighted_sums(bag: GeneBag, weights: Tensor, table: Tensor) -> Tensor:
    """Return ``Σ_g w_g E[g]`` of every cell, k kinds of weights side by side.

    Args:
        bag: the cells.
        weights: ``[N, k]``; kind number j weighs the j-th of k equal blocks of columns of the table.
        table: rows E of the genes ``[V + 1, C]``; that of padding is 0.

    Returns:
        ``[B, C]``.
    """
    blocks = [
        embedding_bag(
            bag.genes, block.contiguous(), bag.starts, mode="sum", per_sample_weights=weights[:, number].contiguous()
        )
        for number, block in enumerate(table.chunk(weights.shape[1], dim=1))
    ]
    return torch.cat(blocks, dim=1)


def weighted_sums_reference(bag: GeneBag, weights: Tensor, table: Tensor) -> Tensor:
    """Compute the same gene by gene."""
    width = table.shape[1] // weights.shape[1]
    rows = table[bag.genes] * weights.repeat_interleave(width, dim=1)
    lengths = torch.diff(bag.starts, append=torch.tensor([len(bag.genes)], device=bag.starts.device))
    cell = torch.arange(len(bag.starts), device=bag.starts.device).repeat_interleave(lengths)
    return torch.zeros(len(bag.starts), table.shape[1], dtype=rows.dtype, device=rows.device).index_add(0, cell, rows)
