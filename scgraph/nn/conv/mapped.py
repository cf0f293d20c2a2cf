"""Convolutions that map the features linearly before genes exchange them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

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
