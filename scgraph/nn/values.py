"""How an expression value becomes features: binned, softly or hard."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from scgraph.errors import ConfigError

__all__ = ["LARGEST", "BinnedValues", "DiscretisedValues", "bin_of"]

LARGEST = math.log1p(10_000)
"""The largest value there can be: a cell with all its counts in one gene."""


class BinnedValues(nn.Module):
    """``L(v) = T[⌊b v / log 10,001⌋]``: b bins of equal width over the range of log1p(counts per 10,000).

    Args:
        channels: width C.
        bins: number of bins b.
        sd: standard deviation of the table at the start.

    Shapes:
        ``[..., 1]`` to ``[..., C]``.
    """

    def __init__(self, channels: int, *, bins: int, sd: float = 1.0) -> None:
        super().__init__()
        if bins < 2:
            raise ConfigError(f"value_bins must be at least 2, not {bins}.")
        self.bins = bins
        self.sd = sd
        self.table = nn.Parameter(torch.empty(bins, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        nn.init.normal_(self.table, std=self.sd)

    def forward(self, values: Tensor) -> Tensor:
        """Look the bins up."""
        return nn.functional.embedding(bin_of(values.squeeze(-1), self.bins), self.table)


class DiscretisedValues(nn.Module):
    """``L(v) = softmax(W₂ u + α u) T`` with ``u = LeakyReLU(w₁ v + b₁)``: bins whose borders are learned and soft.

    The weights of the b bins are a continuous function of the value, so values that lie close get like features,
    and the table learns which values need telling apart.

    Source: the auto-discretisation of Gong et al., "xTrimoGene" (2023).

    Args:
        channels: width C.
        bins: number of bins b, the rows of the table T.
        sd: standard deviation of the table at the start.

    Shapes:
        ``[..., 1]`` to ``[..., C]``.
    """

    def __init__(self, channels: int, *, bins: int, sd: float = 1.0) -> None:
        super().__init__()
        if bins < 2:
            raise ConfigError(f"value_bins must be at least 2, not {bins}.")
        self.sd = sd
        self.first = nn.Linear(1, bins)
        self.second = nn.Linear(bins, bins)
        self.residual = nn.Parameter(torch.empty(()))
        self.table = nn.Parameter(torch.empty(bins, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw everything anew; α begins at 1."""
        self.first.reset_parameters()
        self.second.reset_parameters()
        nn.init.ones_(self.residual)
        nn.init.normal_(self.table, std=self.sd)

    def weights(self, values: Tensor) -> Tensor:
        """Return the weights of the bins, which add up to 1. ``[..., 1]`` to ``[..., b]``."""
        hidden = leaky_relu(self.first(values))
        logits: Tensor = self.second(hidden) + self.residual * hidden
        return logits.softmax(dim=-1)

    def forward(self, values: Tensor) -> Tensor:
        """Average the rows of the table."""
        return self.weights(values) @ self.table


def bin_of(values: Tensor, bins: int) -> Tensor:
    """Return the bin of each value, 0 to b - 1; larger values than there can be fall into the last."""
    return (values.float() * (bins / LARGEST)).long().clamp(0, bins - 1)
