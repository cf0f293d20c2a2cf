"""Attention in linear time: softmax attention by random features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch_geometric.utils import softmax

from scgraph.errors import ConfigError
from scgraph.nn.conv.attention import AttentionConv
from scgraph.nn.conv.registry import register_conv
from scgraph.nn.kernels.random_features import feature_attention, log_features, orthogonal_gaussian

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView

__all__ = ["PerformerConv"]


@register_conv("performer")
class PerformerConv(AttentionConv):
    """``y_i = W_o Σ_j α_ij v(x_j)`` with ``α_ij = φ(q_i) · φ(k_j) / Σ_l φ(q_i) · φ(k_l)``.

    ``φ_r(x) = exp(w_r · x - |x|² / 2) / √M`` with M orthogonal Gaussian rows w_r, and q, k the projections of `tf`
    divided by ``D^¼``, D = C / H: the expectation of ``φ(q) · φ(k)`` is the exponential of the logit of `tf`, so
    with many features the layer is `tf`. The product φ(K)ᵀV comes first, so no G×G numbers are formed.

    The rows w_r are drawn by `reset_parameters`, shared by the heads, and saved with the weights; they do not learn.

    Source: Choromanski et al., "Rethinking attention with Performers" (2021), FAVOR+, Eq. 4 and section 2.4,
    https://arxiv.org/abs/2009.14794.

    Args:
        channels: width C.
        heads: number of heads H; divides C.
        features: number of random features M a head; None takes 2 D, which is 64 at the paper's sizes.

    Shapes:
        x ``[B, G, C]``, output ``[B, G, C]``.
    """

    feed_forward: ClassVar[bool] = True
    cost: ClassVar[str] = "4 G C² + 4 G M C + G M H with M random features, and 2 G C² of feed-forward: linear in G"
    summary: ClassVar[str] = "softmax attention by random features (FAVOR+) and a feed-forward, linear in G"

    def __init__(self, channels: int, *, heads: int = 8, features: int | None = None) -> None:
        super().__init__(channels, heads=heads)
        features = 2 * channels // heads if features is None else features
        if features < 1:
            raise ConfigError(f"features must be at least 1, not {features}.")
        self.features = features
        self.register_buffer("rows", torch.empty(features, channels // heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the linear maps and the random features anew."""
        super().reset_parameters()
        self.rows.copy_(orthogonal_gaussian(*self.rows.shape))

    def projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log φ(q), log φ(k) and v, ``[..., H, M]`` and ``[..., H, D]``."""
        query, key, value = super().projected(x)
        scale = value.shape[-1] ** -0.25
        return log_features(query * scale, self.rows), log_features(key * scale, self.rows), value

    def message(
        self,
        query_i: Tensor,
        key_j: Tensor,
        value_j: Tensor,
        index: Tensor,
        ptr: Tensor | None,
        size_i: int | None,
    ) -> Tensor:
        """``α_ij v(x_j)`` a head, ``[E, H, D]``: a softmax over ``log(φ(q_i) · φ(k_j))``."""
        logits = torch.logsumexp(query_i + key_j, dim=-1)
        alpha: Tensor = softmax(logits, index, ptr, size_i)
        return alpha.to(value_j.dtype).unsqueeze(-1) * value_j

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor | None, view: AdjacencyView | None
    ) -> Tensor:
        """Two thin products a head; see `scgraph.nn.kernels.random_features.feature_attention`."""
        return feature_attention(query, key, key_mask, value)

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``4 G C² + 4 G M C + G M H``: maps, features of queries and keys, two products, and the denominators."""
        maps = 4 * genes * self.channels**2
        return maps + genes * self.features * (4 * self.channels + self.heads)
