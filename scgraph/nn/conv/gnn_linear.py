"""The paper's layer with weights that factorise, in linear time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor  # noqa: TC002  # PyG reads the annotations of message when it runs
from torch_geometric.utils import scatter

from scgraph.nn.conv.mapped import MappedConv
from scgraph.nn.conv.plan import Plan
from scgraph.nn.conv.registry import register_conv

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import CellGraph

__all__ = ["GNNLinearConv"]


@register_conv("gnn-linear")
class GNNLinearConv(MappedConv):
    """``Y = D⁻¹ φ(T) φ(S)ᵀ X Θ`` with φ = softplus and ``D_ii = Σ_j φ(t_i) · φ(s_j)``.

    `gnn` with a positive bilinear weight in place of the exponential: the weights of a gene still add up to
    1, but the product of the two tables need not be formed. Applied as two thin products with the map Θ between
    them: 2·G·R·C + R·C², and no G×G anywhere.

    Source: the kernel form of attention of Katharopoulos et al., "Transformers are RNNs" (2020), Eq. 4-6,
    https://arxiv.org/abs/2006.16236, with queries and keys looked up by gene as in Eq. 11-12 of "Graph Neural
    Networks as a Substitute for Transformers in Single-Cell Transcriptomics", https://arxiv.org/abs/2507.04125.

    Shapes:
        x ``[B, G, C]``, view of rank R, output ``[B, G, C]``.
    """

    uses_adjacency: bool = True
    cell_mixing: ClassVar[str | None] = "rows"
    cost: ClassVar[str] = "2 G R C + R C², and G R once a cell: linear in G"
    summary: ClassVar[str] = "the paper's layer with positive factorised weights, linear in G"
    search_space: ClassVar[dict[str, Any]] = {"rank": [16, 32, 48, 96]}

    def edge_inputs(self, edge_index: Tensor, graph: CellGraph, view: AdjacencyView | None) -> dict[str, Tensor]:
        """Return the weights of the edges, those of a receiving gene adding up to 1, ``[E]``."""
        assert view is not None
        weight = view.edge_weights(edge_index)
        total = scatter(weight, edge_index[1], dim_size=graph.genes.numel())
        return {"edge_weight": weight / total[edge_index[1]]}

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        """``α_ij Θ x_j``, ``[E, C]``."""
        return edge_weight.unsqueeze(-1) * x_j

    def complete(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        """Two thin products and the map between them; see `scgraph.nn.kernels.attention.row_normalized`."""
        assert view is not None
        return self.thin_products(*view.row_normalized, x)

    def plan(self, genes: int) -> Plan:
        """Two thin products with the scaled tables that layers share."""
        return Plan("complete", shares=("row_normalized",))

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``2 G R C + R C²``."""
        return self.thin_multiply_adds(genes, rank)

    def adjacency_multiply_adds(self, genes: int, rank: int) -> int:
        """``G R`` for the row sums; the logits are never formed."""
        return genes * rank
