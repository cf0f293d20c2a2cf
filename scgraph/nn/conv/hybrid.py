"""Attention with a static part: what the genes are, and what they say in this cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor  # noqa: TC002  # PyG reads the annotations of message when it runs
from torch_geometric.utils import softmax

from scgraph.nn.conv.attention import AttentionConv
from scgraph.nn.conv.plan import PAIRS_FROM, Plan
from scgraph.nn.conv.registry import register_conv
from scgraph.nn.kernels.attention import hybrid_attention

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView

__all__ = ["HybridConv"]


@register_conv("hybrid")
class HybridConv(AttentionConv):
    """``y_i = W_o Σ_j softmax_j(t_i · s_j + q(x_i) · k(x_j) / √D) v(x_j)``, D = C / H.

    The static logits of `gnn` and the dynamic ones of `tf` in one softmax: with constant features it weighs
    as `gnn` does, with tables of zeros it is `tf` without its feed-forward.

    Source: static and dynamic logits of one attention, as in the relative position term of Shaw et al.,
    "Self-attention with relative position representations" (2018), Eq. 4,
    https://arxiv.org/abs/1803.02155, with pairs of genes in place of distances.

    Args:
        channels: width C.
        heads: number of heads H; divides C. All heads share the static logits.

    Shapes:
        x ``[B, G, C]``, view of rank R, output ``[B, G, C]``.
    """

    uses_adjacency: bool = True
    cost: ClassVar[str] = "4 G C² + 2 G² C + 2 H G² R"
    summary: ClassVar[str] = "attention on static and dynamic logits together"
    search_space: ClassVar[dict[str, Any]] = {"heads": [1, 2, 4, 8], "rank": [16, 32, 48]}

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

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor | None, view: AdjacencyView | None
    ) -> Tensor:
        """One attention call on concatenated queries and keys; see `scgraph.nn.kernels.attention.hybrid_attention`."""
        assert view is not None
        return hybrid_attention(query, key, value, view.target, view.source, key_mask)

    def plan(self, genes: int) -> Plan:
        """All pairs at once; those of a network are the mask of the attention."""
        return Plan("complete", pairs_from=PAIRS_FROM)

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``4 G C² + 2 G² C``, and ``2 H G² R`` for the static part: of the logits, and of the values it widens."""
        return 4 * genes * self.channels**2 + 2 * genes**2 * (self.channels + self.heads * rank)

    def adjacency_multiply_adds(self, genes: int, rank: int) -> int:
        """Nothing: the static logits are formed inside each attention call."""
        return 0
