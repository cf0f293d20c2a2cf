"""Control: genes do not interact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor  # PyG reads the annotations of message when it runs

from scgraph.nn.conv.mapped import MappedConv
from scgraph.nn.conv.registry import register_conv

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import CellGraph

__all__ = ["NoneConv"]


@register_conv("none")
class NoneConv(MappedConv):
    """``y_i = Θ x_i``: the graph holds only j = i, so genes learn nothing of each other.

    The control that shows what any interaction is worth. Other edges of a graph are ignored.

    Source: the graph convolution of Kipf and Welling (2017), https://arxiv.org/abs/1609.02907, on a graph of self
    loops.

    Shapes:
        x ``[B, G, C]``, output ``[B, G, C]``.
    """

    cost: ClassVar[str] = "G C²"
    summary: ClassVar[str] = "control: no interaction between genes"

    def on_edges(self, x: Tensor, edge_index: Tensor, **edge_inputs: Any) -> Tensor:
        """Map linearly, with one self loop a node, whatever the graph. ``[N, C]`` to ``[N, C]``."""
        loops = torch.arange(x.shape[0], device=x.device).expand(2, -1)
        return super().on_edges(x, loops)

    def message(self, x_j: Tensor) -> Tensor:
        """``Θ x_j`` with j = i, ``[E, C]``."""
        return x_j

    def complete(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        """A linear map of each gene."""
        mapped: Tensor = self.linear(x)
        return mapped

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``G C²``."""
        return genes * self.channels**2
