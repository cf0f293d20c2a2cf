"""From the features of the genes to one vector a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from scgraph.nn.graph import CellGraph

__all__ = ["LINEAR_SHARE", "READOUTS", "CellLayers", "MeanReadout", "PooledReadout"]

READOUTS = ("mean", "pooled", "linear+pooled")

LINEAR_SHARE = 0.2
"""Size of the linear part in front of the pooled readout, where it is written too.

It keeps what training takes from the principal components. Of 0, .1, .2, .3 and .5, with .2 labels are told best; the
larger it is, the worse are those of cells of a fifth of their depth: docs/features.md.
"""


class MeanReadout(nn.Module):
    """``z = (1/G) Σ_i x_i`` over the real genes of the cell. ``[B, G, C]`` to ``[B, C]``.

    Source: global mean pooling, `torch_geometric.nn.global_mean_pool`.
    """

    def forward(self, x: Tensor, graph: CellGraph) -> Tensor:
        """Average over the real genes; zeros for a cell without genes."""
        count = graph.mask.sum(dim=1, keepdim=True).clamp(min=1)
        return graph.zero_padding(x).sum(dim=1) / count


class PooledReadout(nn.Module):
    r"""``z = s ∘ Σ_g t(v_g) E'[g] + b + a ∘ (1/G) Σ_i (x_i - x⁰_i)``: the pooled input, and what the blocks add to it.

    The sum runs over all expressed genes of the cell, in training too, divided by a constant and not by their number;
    the mean over the genes that the blocks saw, ``x⁰`` before them and ``x`` behind them. With loadings of principal
    components for E' the first part is the components of the cell. The gate ``a`` is 0 at the start: the blocks then
    add nothing, and what they add later was worth learning.

    Source: the gate of Touvron et al. 2021, "Going deeper with image transformers", arXiv:2103.17239.

    Args:
        channels: width C.

    Shapes:
        sums ``[B, C]`` and added ``[B, C]`` to ``[B, C]``.
    """

    scale: Tensor
    bias: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.gate = nn.Parameter(torch.zeros(channels))

    def reset_parameters(self) -> None:
        """Close the gate."""
        nn.init.zeros_(self.gate)

    @torch.no_grad()
    def fit(self, means: Tensor, scale: Tensor) -> None:
        """Centre the pooled input at the means of the sums ``[C]`` and scale it ``[C]``."""
        self.scale.copy_(scale)
        self.bias.copy_(-means * scale)

    def linear(self, sums: Tensor) -> Tensor:
        """Return the pooled input alone, a linear map of the transformed expression vector."""
        return sums * self.scale + self.bias

    def forward(self, sums: Tensor, added: Tensor) -> Tensor:
        """Add what the blocks add."""
        return self.linear(sums) + self.gate * added


class CellLayers(nn.Module):
    """``z + W₂ gelu(W₁ norm(z) + b₁) + b₂``, so many times; the identity at the start, as W₂ and b₂ are 0.

    What depth and noise do to the vector of a cell is learned here, by every model alike.

    Args:
        channels: width C.
        layers: how many; 0 for the identity.
        width: width of the hidden layer.

    Shapes:
        ``[B, C]`` to ``[B, C]``.
    """

    def __init__(self, channels: int, *, layers: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width), nn.GELU(), nn.Linear(width, channels))
            for _ in range(layers)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the hidden layers anew; the last map of each starts at 0."""
        for layer in self.layers:
            assert isinstance(layer, nn.Sequential)
            *_, last = layer
            for part in layer:
                if isinstance(part, nn.Linear | nn.LayerNorm):
                    part.reset_parameters()
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Run the layers."""
        for layer in self.layers:
            z = z + layer(z)
        return z
