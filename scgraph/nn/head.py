"""What the features are trained to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CellHead", "ValueHead"]


class ValueHead(nn.Module):
    """``v̂_i = w · x_i + b``: the value of a gene from its own features (the paper's Eq. 8).

    Shapes:
        ``[B, G, C]`` to ``[B, G]``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 1)

    def reset_parameters(self) -> None:
        """Draw the linear map anew."""
        self.linear.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Predict the values. ``[B, G, C]`` to ``[B, G]``."""
        predicted: Tensor = self.linear(x)
        return predicted.squeeze(-1)


class CellHead(nn.Module):
    """``v̂_g = p_g · z + b_g``: the value of any gene g of the vocabulary from the vector of the cell.

    It trains the vector that a linear probe reads, which the loss on single genes leaves alone.

    Source: the "masked value prediction for cell modelling" of scGPT (Cui et al. 2024), with a table
    of its own in place of the gene embedding.

    Args:
        vocabulary_size: number of genes V, without padding.
        channels: width C.

    Shapes:
        cell ``[B, C]`` and genes ``[K]`` (the same for all cells) or ``[B, K]`` to ``[B, K]``.
    """

    def __init__(self, vocabulary_size: int, channels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(vocabulary_size + 1, channels))
        self.bias = nn.Parameter(torch.empty(vocabulary_size + 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table as `torch.nn.Linear` would, and start without bias."""
        bound = self.table.shape[1] ** -0.5
        nn.init.uniform_(self.table, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, cell: Tensor, genes: Tensor) -> Tensor:
        """Predict the values of the given genes."""
        rows = nn.functional.embedding(genes, self.table)
        bias = self.bias[genes]
        if genes.dim() == 1:
            return cell @ rows.T + bias
        return (rows @ cell.unsqueeze(-1)).squeeze(-1) + bias

    def log_shares(self, cell: Tensor) -> Tensor:
        """Return ``log softmax(P z + b)``: what share of its counts a cell is expected to have in each gene.

        Args:
            cell: vectors ``[B, C]``.

        Returns:
            Logarithms of shares of the whole vocabulary, ``[B, V]``; gene g is column g - 1.
        """
        return (cell @ self.table[1:].T + self.bias[1:]).float().log_softmax(dim=1)
