"""Graph convolution with symmetric normalisation, in linear time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor  # noqa: TC002  # PyG reads the annotations of message when it runs
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from scgraph.nn.conv.mapped import MappedConv
from scgraph.nn.conv.plan import Plan
from scgraph.nn.conv.registry import register_conv

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import CellGraph

__all__ = ["GCNConv"]


@register_conv("gcn")
class GCNConv(MappedConv):
    """``Y = D^-1/2 Â D^-1/2 X Θ`` with ``Â = φ(T) φ(S)ᵀ``, φ = softplus, ``D_ii = Σ_j Â_ij``.

    Â is positive and already holds j = i, so no self loops are added. It is applied as two thin
    products with the map Θ between them and never built: 2·G·R·C + R·C².

    Source: Kipf and Welling, "Semi-supervised classification with graph convolutional networks" (2017),
    Eq. 2, https://arxiv.org/abs/1609.02907; equal to PyTorch Geometric's `GCNConv` with these edge weights and no
    added self loops.

    Shapes:
        x ``[B, G, C]``, view of rank R, output ``[B, G, C]``.
    """

    uses_adjacency: bool = True
    cell_mixing: ClassVar[str | None] = "symmetric"
    cost: ClassVar[str] = "2 G R C + R C², and G R once a cell: linear in G"
    summary: ClassVar[str] = "graph convolution on a positive factorised adjacency, linear in G"

    def edge_inputs(self, edge_index: Tensor, graph: CellGraph, view: AdjacencyView | None) -> dict[str, Tensor]:
        """Return the normalised edge weights, ``[E]``."""
        assert view is not None
        weight = view.edge_weights(edge_index)
        nodes = graph.genes.numel()
        _, norm = gcn_norm(edge_index, weight, nodes, add_self_loops=False, flow=self.flow, dtype=weight.dtype)
        return {"edge_weight": norm}

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        """``d_i^-1/2 Â_ij d_j^-1/2 Θ x_j``, ``[E, C]``."""
        return edge_weight.unsqueeze(-1) * x_j

    def complete(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        """Two thin products and the map between them; see `scgraph.nn.kernels.attention.symmetric_normalized`."""
        assert view is not None
        return self.thin_products(*view.symmetric_normalized, x)

    def plan(self, genes: int) -> Plan:
        """Two thin products with the scaled tables that layers share."""
        return Plan("complete", shares=("symmetric_normalized",))

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``2 G R C + R C²``."""
        return self.thin_multiply_adds(genes, rank)

    def adjacency_multiply_adds(self, genes: int, rank: int) -> int:
        """``G R`` for the degrees; the logits are never formed."""
        return genes * rank
