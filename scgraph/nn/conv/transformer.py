"""The baseline: multi-head attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch_geometric.utils import softmax

from scgraph.errors import ConfigError
from scgraph.nn.conv.base import GeneConv
from scgraph.registry import register_conv

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import GeneGraph

__all__ = ["TransformerConv"]


@register_conv("tf")
class TransformerConv(GeneConv):
    """Multi-head attention: ``y_i = W_o Σ_j softmax_j(q(x_i) · k(x_j) / √D) v(x_j)``, D = C / H.

    With the feed-forward of its block this is the pre-norm Transformer layer.

    Source: Vaswani et al., "Attention is all you need" (2017), Eq. 1; as message passing on the complete
    graph: Shi et al., "Masked label prediction" (2021), Eq. 3-4, PyTorch Geometric's `TransformerConv`.

    Args:
        channels: width C.
        heads: number of heads H; divides C.
        root_weight: add ``W_r x_i`` to the output, as PyG's `TransformerConv` does by default.
        attention_dropout: share of the weights α that is set to zero in training, the others scaled up.

    Shapes:
        x ``[B, G, C]``, output ``[B, G, C]``.
    """

    feed_forward: ClassVar[bool] = True
    activation: ClassVar[str] = "none"
    cost: ClassVar[str] = "4 G C² + 2 G² C, and 2 G C² of feed-forward"
    summary: ClassVar[str] = "the Transformer: multi-head attention and a feed-forward"
    search_space: ClassVar[dict[str, Any]] = {"heads": [1, 2, 4, 8]}

    def __init__(
        self, channels: int, *, heads: int = 8, root_weight: bool = False, attention_dropout: float = 0.0
    ) -> None:
        super().__init__(channels)
        if heads < 1 or channels % heads:
            raise ConfigError(f"heads ({heads}) must divide channels ({channels}).")
        if not 0 <= attention_dropout < 1:
            raise ConfigError(f"attention_dropout must be at least 0 and below 1, not {attention_dropout}.")
        self.heads = heads
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.root = nn.Linear(channels, channels) if root_weight else None
        self.attention_dropout = nn.Dropout(attention_dropout)

    def reset_parameters(self) -> None:
        """Draw the linear maps anew."""
        super().reset_parameters()
        self.query_key_value.reset_parameters()
        self.out.reset_parameters()
        if self.root is not None:
            self.root.reset_parameters()

    def edges(self, x: Tensor, edge_index: Tensor, **edge_inputs: Tensor) -> Tensor:
        """Attend along the edges. ``[N, C]`` to ``[N, C]``."""
        parts = self.query_key_value(x).view(-1, 3, self.heads, self.channels // self.heads)
        query, key, value = parts.unbind(1)
        y = self.propagate(edge_index, query=query, key=key, value=value)
        return self._finish(y.flatten(1), x)

    def message(
        self,
        query_i: Tensor,
        key_j: Tensor,
        value_j: Tensor,
        index: Tensor,
        ptr: Tensor | None,
        size_i: int | None,
    ) -> Tensor:
        """``α_ij v(x_j)`` a head, ``[E, H, D]``."""
        logits = (query_i * key_j).sum(-1) * key_j.shape[-1] ** -0.5
        alpha: Tensor = self.attention_dropout(softmax(logits, index, ptr, size_i))
        return alpha.unsqueeze(-1) * value_j

    def complete(self, x: Tensor, graph: GeneGraph, view: AdjacencyView | None) -> Tensor:
        """`scaled_dot_product_attention` over all genes of a cell."""
        cells, genes, channels = x.shape
        parts = self.query_key_value(x).view(cells, genes, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mask = graph.key_mask()
        y = scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if mask is None else mask.unsqueeze(1),
            dropout_p=self.attention_dropout.p if self.training else 0.0,
        )
        return self._finish(y.transpose(1, 2).reshape(cells, genes, channels), x)

    def reads_pairs(self, genes: int) -> bool:
        """Always: as the mask of the attention."""
        return True

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``4 G C² + 2 G² C``, and ``G C²`` with a root weight."""
        maps = 4 + (self.root is not None)
        return maps * genes * self.channels**2 + 2 * genes**2 * self.channels

    def _finish(self, y: Tensor, x: Tensor) -> Tensor:
        out: Tensor = self.out(y)
        if self.root is not None:
            out = out + self.root(x)
        return out
