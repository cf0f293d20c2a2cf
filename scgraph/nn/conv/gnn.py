"""The paper's graph neural network layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor  # noqa: TC002  # PyG reads the annotations of message when it runs
from torch_geometric.utils import softmax

from scgraph.nn.conv.mapped import MappedConv
from scgraph.registry import register_conv

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import GeneGraph

__all__ = ["GNNConv"]


@register_conv("gnn")
class GNNConv(MappedConv):
    """``Y = Softmax(T Sᵀ) X Θ``: static weights from the factorised adjacency, one linear map.

    ``α_ij = exp(t_i · s_j) / Σ_k exp(t_i · s_k)``, the sum over the genes k of the cell. The weights do not
    depend on the features, so layers that share an adjacency share one softmax a forward pass.

    Source: "Graph Neural Networks as a Substitute for Transformers in Single-Cell Transcriptomics",
    Eq. 11-12; the tables of rank 48 are from section IV-B.

    Shapes:
        x ``[B, G, C]``, view of rank R, output ``[B, G, C]``.
    """

    uses_adjacency: bool = True
    cost: ClassVar[str] = "G C² + G² C, and G² R once a cell"
    summary: ClassVar[str] = "the paper's: softmax of a static, factorised adjacency"
    search_space: ClassVar[dict[str, Any]] = {"rank": [16, 32, 48, 96], "shared_adjacency": [True, False]}

    def message(self, x_j: Tensor, edge_logit: Tensor, index: Tensor, ptr: Tensor | None, size_i: int | None) -> Tensor:
        """``α_ij Θ x_j``, ``[E, C]``."""
        alpha: Tensor = softmax(edge_logit, index, ptr, size_i)
        return alpha.unsqueeze(-1) * x_j

    def complete(self, x: Tensor, graph: GeneGraph, view: AdjacencyView | None) -> Tensor:
        """One product of the shared softmax, ``[B, G, G]``, with the mapped features."""
        assert view is not None
        mapped: Tensor = self.linear(x)
        return view.softmax @ mapped

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``G C² + G² C``."""
        return genes * self.channels**2 + genes**2 * self.channels
