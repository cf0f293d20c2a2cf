"""The baseline: multi-head attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch_geometric.utils import softmax

from scgraph.errors import ConfigError
from scgraph.nn.conv.attention import AttentionConv
from scgraph.nn.conv.plan import PAIRS_FROM, Plan
from scgraph.nn.conv.registry import register_conv

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView

__all__ = ["TransformerConv"]


@register_conv("tf")
class TransformerConv(AttentionConv):
    """Multi-head attention: ``y_i = W_o Σ_j softmax_j(q(x_i) · k(x_j) / √D) v(x_j)``, D = C / H.

    With the feed-forward of its block this is the pre-norm Transformer layer.

    Source: Vaswani et al., "Attention is all you need" (2017), Eq. 1, https://arxiv.org/abs/1706.03762; as message
    passing on the complete graph: Shi et al., "Masked label prediction" (2021), Eq. 3-4,
    https://arxiv.org/abs/2009.03509, PyTorch Geometric's `TransformerConv`.

    Args:
        channels: width C.
        heads: number of heads H; divides C.
        root_weight: add ``W_r x_i`` to the output, as PyG's `TransformerConv` does by default.
        attention_dropout: share of the weights α that is set to zero in training, the others scaled up.

    Shapes:
        x ``[B, G, C]``, output ``[B, G, C]``.
    """

    feed_forward: ClassVar[bool] = True
    cost: ClassVar[str] = "4 G C² + 2 G² C, and 2 G C² of feed-forward"
    summary: ClassVar[str] = "the Transformer: multi-head attention and a feed-forward"

    def __init__(
        self, channels: int, *, heads: int = 8, root_weight: bool = False, attention_dropout: float = 0.0
    ) -> None:
        super().__init__(channels, heads=heads)
        if not 0 <= attention_dropout < 1:
            raise ConfigError(f"attention_dropout must be at least 0 and below 1, not {attention_dropout}.")
        self.root = nn.Linear(channels, channels) if root_weight else None
        self.attention_dropout = nn.Dropout(attention_dropout)

    def reset_parameters(self) -> None:
        """Draw the linear maps anew."""
        super().reset_parameters()
        if self.root is not None:
            self.root.reset_parameters()

    def merged(self, y: Tensor, x: Tensor) -> Tensor:
        """Return the output for what the heads give, with ``W_r x_i`` where there is a root weight."""
        out = super().merged(y, x)
        return out if self.root is None else out + self.root(x)

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

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor | None, view: AdjacencyView | None
    ) -> Tensor:
        """`scaled_dot_product_attention` over all genes of a cell."""
        return scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if key_mask is None else key_mask.unsqueeze(1),
            dropout_p=self.attention_dropout.p if self.training else 0.0,
        )

    def plan(self, genes: int) -> Plan:
        """All pairs at once; those of a network are the mask of the attention."""
        return Plan("complete", pairs_from=PAIRS_FROM)

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``4 G C² + 2 G² C``, and ``G C²`` with a root weight."""
        maps = 4 + (self.root is not None)
        return maps * genes * self.channels**2 + 2 * genes**2 * self.channels
