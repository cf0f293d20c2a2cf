"""Attention with a static part: what the genes are, and what they say in this cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn
from torch_geometric.utils import softmax

from scgraph.errors import ConfigError
from scgraph.nn.conv.base import GeneConv
from scgraph.nn.functional import hybrid_attention
from scgraph.registry import register_conv

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import GeneGraph

__all__ = ["HybridConv"]


@register_conv("hybrid")
class HybridConv(GeneConv):
    """``y_i = W_o Σ_j softmax_j(t_i · s_j + q(x_i) · k(x_j) / √D) v(x_j)``, D = C / H.

    The static logits of `gnn` and the dynamic ones of `tf` in one softmax: with constant features it weighs
    as `gnn` does, with tables of zeros it is `tf` without its feed-forward.

    Source: static and dynamic logits of one attention, as in the relative position term of Shaw et al.,
    "Self-attention with relative position representations" (2018), Eq. 4, with pairs of genes in place of
    distances.

    Args:
        channels: width C.
        heads: number of heads H; divides C. All heads share the static logits.

    Shapes:
        x ``[B, G, C]``, view of rank R, output ``[B, G, C]``.
    """

    uses_adjacency: bool = True
    activation: ClassVar[str] = "none"
    cost: ClassVar[str] = "4 G C² + 2 G² C + 2 H G² R"
    summary: ClassVar[str] = "attention on static and dynamic logits together"
    search_space: ClassVar[dict[str, Any]] = {"heads": [1, 2, 4, 8], "rank": [16, 32, 48]}

    def __init__(self, channels: int, *, heads: int = 8) -> None:
        super().__init__(channels)
        if heads < 1 or channels % heads:
            raise ConfigError(f"heads ({heads}) must divide channels ({channels}).")
        self.heads = heads
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        """Draw the linear maps anew."""
        super().reset_parameters()
        self.query_key_value.reset_parameters()
        self.out.reset_parameters()

    def edges(self, x: Tensor, edge_index: Tensor, **edge_inputs: Tensor) -> Tensor:
        """Attend along the edges. ``[N, C]`` to ``[N, C]``."""
        query, key, value = self.query_key_value(x).view(-1, 3, self.heads, self.channels // self.heads).unbind(1)
        y: Tensor = self.propagate(edge_index, query=query, key=key, value=value, edge_logit=edge_inputs["edge_logit"])
        out: Tensor = self.out(y.flatten(1))
        return out

    def message(
        self,
        query_i: Tensor,
        key_j: Tensor,
        value_j: Tensor,
        edge_logit: Tensor,
        index: Tensor,
        ptr: Tensor | None,
        size_i: int | None,
    ) -> Tensor:
        """``α_ij v(x_j)`` a head, ``[E, H, D]``."""
        logits = (query_i * key_j).sum(-1) * key_j.shape[-1] ** -0.5 + edge_logit.unsqueeze(-1)
        alpha: Tensor = softmax(logits, index, ptr, size_i)
        return alpha.unsqueeze(-1) * value_j

    def complete(self, x: Tensor, graph: GeneGraph, view: AdjacencyView | None) -> Tensor:
        """One attention call on concatenated queries and keys; see `scgraph.nn.functional.hybrid_attention`."""
        assert view is not None
        cells, genes, channels = x.shape
        parts = self.query_key_value(x).view(cells, genes, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        y = hybrid_attention(query, key, value, view.target, view.source, graph.key_mask())
        out: Tensor = self.out(y.transpose(1, 2).reshape(cells, genes, channels))
        return out

    def reads_pairs(self, genes: int) -> bool:
        """Always: as the mask of the attention."""
        return True

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``4 G C² + 2 G² C``, and ``2 H G² R`` for the static part: of the logits, and of the values it widens."""
        return 4 * genes * self.channels**2 + 2 * genes**2 * (self.channels + self.heads * rank)

    def adjacency_multiply_adds(self, genes: int, rank: int) -> int:
        """Nothing: the static logits are formed inside each attention call."""
        return 0
