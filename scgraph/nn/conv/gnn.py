"""The paper's graph neural network layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor  # noqa: TC002  # PyG reads the annotations of message when it runs
from torch_geometric.utils import softmax

from scgraph.errors import ConfigError
from scgraph.nn.conv.mapped import MappedConv
from scgraph.nn.conv.plan import PAIRS_FROM, Plan
from scgraph.nn.conv.registry import register_conv
from scgraph.nn.kernels.attention import streaming_attention

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import CellGraph

__all__ = ["GNNConv"]


@register_conv("gnn")
class GNNConv(MappedConv):
    """``Y = Softmax(T Sᵀ) X Θ``: static weights from the factorised adjacency, one linear map.

    ``α_ij = exp(t_i · s_j) / Σ_k exp(t_i · s_k)``, the sum over the genes k of the cell. The weights do not
    depend on the features, so layers that share an adjacency share one softmax a forward pass. Long cells are
    streamed instead: each layer forms the weights of some receiving genes at a time, and G×G numbers are never held.

    Source: "Graph Neural Networks as a Substitute for Transformers in Single-Cell Transcriptomics",
    https://arxiv.org/abs/2507.04125, Eq. 11-12; the tables of rank 48 are from section IV-B.

    Args:
        channels: width C.
        stream_from: cells of so many genes are streamed. On a CPU the weights written down are quicker below
            about 2,000 genes, and the streams above, where several cells make a batch.

    Shapes:
        x ``[B, G, C]``, view of rank R, output ``[B, G, C]``.
    """

    uses_adjacency: bool = True
    cell_mixing: ClassVar[str | None] = "softmax"
    cost: ClassVar[str] = "G C² + G² C, and G² R once a cell (a layer where streamed)"
    summary: ClassVar[str] = "the paper's: softmax of a static, factorised adjacency"
    search_space: ClassVar[dict[str, Any]] = {"rank": [16, 32, 48, 96]}

    def __init__(self, channels: int, *, stream_from: int = 2048) -> None:
        super().__init__(channels)
        if stream_from < 1:
            raise ConfigError(f"stream_from must be at least 1, not {stream_from}.")
        self.stream_from = stream_from

    def message(self, x_j: Tensor, edge_logit: Tensor, index: Tensor, ptr: Tensor | None, size_i: int | None) -> Tensor:
        """``α_ij Θ x_j``, ``[E, C]``."""
        alpha: Tensor = softmax(edge_logit, index, ptr, size_i)
        return alpha.unsqueeze(-1) * x_j

    def complete(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        """One product of the shared softmax, ``[B, G, G]``, with the mapped features, or streams of it."""
        assert view is not None
        mapped: Tensor = self.linear(x)
        if self.plan(x.shape[1]).shares:
            return view.softmax @ mapped
        return streaming_attention(view.target, view.source, graph.key_mask(), mapped)

    def plan(self, genes: int) -> Plan:
        """Write the weights down for all layers, or stream long cells, for which pairs cannot be kept to."""
        if genes >= self.stream_from:
            return Plan("streamed")
        return Plan("shared weights", shares=("softmax",), pairs_from=PAIRS_FROM)

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``G C² + G² C``, and ``G² R`` where streamed."""
        logits = 0 if self.plan(genes).shares else genes**2 * rank
        return genes * self.channels**2 + genes**2 * self.channels + logits

    def adjacency_multiply_adds(self, genes: int, rank: int) -> int:
        """``G² R``, or nothing where the layers form the logits themselves."""
        return genes**2 * rank if self.plan(genes).shares else 0
