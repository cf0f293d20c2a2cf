"""Control: every gene receives the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor  # noqa: TC002  # PyG reads the annotations of message when it runs

from scgraph.nn.conv.mapped import MappedConv
from scgraph.nn.conv.registry import register_conv

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import CellGraph

__all__ = ["MeanConv"]


@register_conv("mean")
class MeanConv(MappedConv):
    """``y_i = Θ (1/G) Σ_j x_j``: message passing whose weights are all equal.

    The control that shows what gene-gene weights are worth: it is `gnn` with all logits 0.

    Source: Zaheer et al., "Deep sets" (2017), Eq. 4, https://arxiv.org/abs/1703.06114; PyTorch Geometric's mean
    aggregation.

    Shapes:
        x ``[B, G, C]``, output ``[B, G, C]``.
    """

    cost: ClassVar[str] = "C²"
    summary: ClassVar[str] = "control: the mean of the cell, no gene-gene weights"

    def __init__(self, channels: int) -> None:
        super().__init__(channels, aggr="mean")

    def message(self, x_j: Tensor) -> Tensor:
        """``Θ x_j``, ``[E, C]``."""
        return x_j

    def complete(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        """Average first, so that the linear map runs once a cell."""
        count = graph.mask.sum(dim=1).clamp(min=1).view(-1, 1, 1)
        mean = graph.zero_padding(x).sum(dim=1, keepdim=True) / count
        mapped: Tensor = self.linear(mean)
        return mapped.expand_as(x)

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``C²``: the linear map of the mean."""
        return self.channels**2
