"""What is made of log-normalised values before they enter a model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scgraph.errors import ConfigError, did_you_mean

__all__ = ["PEARSON_DEPTH", "PEARSON_THETA", "VALUES", "ValueTransform", "value_kinds"]

VALUES = ("log1p", "sqrt", "pearson", "sqrt+pearson")

PEARSON_DEPTH, PEARSON_THETA = 3000.0, 100.0
"""Counts of the cell that Pearson values are scaled for, and the inverse overdispersion of their null model."""


def value_kinds(values: str) -> tuple[str, ...]:
    """Return the kinds that a setting names, in their order.

    Raises:
        ConfigError: there are no such values.
    """
    if values not in VALUES:
        raise ConfigError(f"model.values: there are no values {values!r}.{did_you_mean(values, VALUES)}")
    return tuple(values.split("+"))


class ValueTransform(nn.Module):
    r"""log1p of counts per 10,000, ``v``, to what the tables of the genes are multiplied with, a column a kind.

    With ``f = (eᵛ - 1) / 10,000``, the share of a gene of the counts of its cell:

    - ``log1p``: v itself;
    - ``sqrt``: ``√(1000 f)``, which makes the noise of counts alike for all genes;
    - ``pearson``: ``min(T f / √(μ + μ² / θ), m)`` with ``μ = T p_g``, the share p_g of the gene in the cells that were
      trained on, T = 3,000 and θ = 100: the Pearson residual of a cell of T counts without its part ``-μ / √(...)``,
      which is the same in all cells. So zeros stay zero, a cell stays sparse, and no depth enters.

    The shares p_g and the largest value m are buffers, saved with the model; until `fit` sets them, ``p_g = 1 / V``.

    Args:
        values: one of `VALUES`.
        vocabulary_size: number of genes V, without padding.

    Shapes:
        values and genes ``[...]`` to ``[..., k]`` with k kinds; 0 stays 0.

    Source: Lause, Berens and Kobak 2021, doi:10.1186/s13059-021-02451-7, at one depth for all cells.
    """

    weight: Tensor
    largest: Tensor

    def __init__(self, values: str, vocabulary_size: int) -> None:
        super().__init__()
        self.kinds = value_kinds(values)
        if "pearson" in self.kinds:
            self.register_buffer("weight", torch.empty(vocabulary_size + 1))
            self.register_buffer("largest", torch.empty(()))
            self.fit(torch.full((vocabulary_size,), 1 / vocabulary_size), 10_000)

    @torch.no_grad()
    def fit(self, shares: Tensor, cells: int) -> None:
        """Take the shares of the genes ``[V]`` and the number of cells they are of; values are cut at its root."""
        expected = PEARSON_DEPTH * shares.double()
        weight = PEARSON_DEPTH / (expected + expected.square() / PEARSON_THETA).sqrt()
        # A gene that no cell expressed says nothing of others: it would outweigh all of them.
        self.weight[0] = 0.0
        self.weight[1:] = torch.where(shares > 0, weight, 0.0)
        self.largest.fill_(cells**0.5)

    def forward(self, values: Tensor, genes: Tensor) -> Tensor:
        """Transform the values of genes."""
        if self.kinds == ("log1p",):
            return values.unsqueeze(-1)
        shares = torch.expm1(values) / 10_000
        columns = []
        for kind in self.kinds:
            if kind == "sqrt":
                columns.append((1000 * shares).sqrt())
            elif kind == "pearson":
                columns.append(torch.minimum(shares * self.weight[genes].to(shares.dtype), self.largest.to(shares)))
            else:
                columns.append(values)
        return torch.stack(columns, dim=-1)
