"""Convolutions that map the features linearly before genes exchange them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import linear

from scgraph.nn.conv.base import GeneConv

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MappedConv"]


class MappedConv(GeneConv):
    """``y_i = Σ_j α_ij Θ x_j`` with one C×C map Θ, `linear`; a subclass states the weights α.

    Args:
        channels: width C.
        aggr: aggregation of the messages, as in `MessagePassing`.
    """

    def __init__(self, channels: int, *, aggr: str = "add") -> None:
        super().__init__(channels, aggr=aggr)
        self.linear = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        """Draw the linear map anew."""
        super().reset_parameters()
        self.linear.reset_parameters()

    def on_edges(self, x: Tensor, edge_index: Tensor, **edge_inputs: Tensor) -> Tensor:
        """Map linearly, then pass messages. ``[N, C]`` to ``[N, C]``."""
        return super().on_edges(self.linear(x), edge_index, **edge_inputs)

    def thin_products(self, target: Tensor, source: Tensor, x: Tensor) -> Tensor:
        """``T (Sᵀ X) Θ``: the map takes R rows a cell and not G, ``2·G·R·C + R·C²`` multiply-adds.

        The plain form, ``T (Sᵀ (X Θ))``, maps the features of all genes first. Either way the bias b is weighed with
        the sums of the weights.

        Args:
            target: scaled rows of the receiving genes, ``[B, G, R]``.
            source: scaled rows of the sending genes, ``[B, G, R]``.
            x: features, ``[B, G, C]``.

        Returns:
            ``[B, G, C]``.
        """
        summed = linear(source.transpose(1, 2) @ x, self.linear.weight)  # [B, R, C]
        return target @ (summed + source.sum(dim=1).unsqueeze(-1) * self.linear.bias)

    def thin_multiply_adds(self, genes: int, rank: int) -> int:
        """``2 G R C + R C²``, what `thin_products` costs a cell."""
        return 2 * genes * rank * self.channels + rank * self.channels**2
