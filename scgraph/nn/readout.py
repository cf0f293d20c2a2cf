"""From the features of the genes to one vector a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from scgraph.nn.graph import CellGraph

__all__ = ["MeanReadout"]


class MeanReadout(nn.Module):
    """``z = (1/G) Σ_i x_i`` over the real genes of the cell. ``[B, G, C]`` to ``[B, C]``.

    Source: global mean pooling, `torch_geometric.nn.global_mean_pool`.
    """

    def forward(self, x: Tensor, graph: CellGraph) -> Tensor:
        """Average over the real genes; zeros for a cell without genes."""
        count = graph.mask.sum(dim=1, keepdim=True).clamp(min=1)
        return graph.zero_padding(x).sum(dim=1) / count
