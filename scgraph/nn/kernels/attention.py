"""The kernels behind the `complete` paths. The edge-level `message` of each conv is their reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from scgraph.nn.kernels.streaming import streaming_attention

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "gat_attention",
    "hybrid_attention",
    "masked_softmax",
    "pair_attention",
    "row_normalized",
    "static_attention",
    "streaming_attention",
    "symmetric_normalized",
]


def masked_softmax(logits: Tensor, key_mask: Tensor | None) -> Tensor:
    """Softmax over the last axis that gives masked entries no weight.

    Args:
        logits: ``[..., G, G]``.
        key_mask: True where an entry counts, broadcastable to the logits; None counts all.
            Each row needs at least one True.
    """
    if key_mask is not None:
        logits = logits.masked_fill(~key_mask, -torch.inf)
    return logits.softmax(dim=-1)


def static_attention(target: Tensor, source: Tensor, key_mask: Tensor | None, x: Tensor) -> Tensor:
    """``y_i = Σ_j softmax_j(t_i · s_j) x_j`` with the weights ``[B, G, G]`` written down: the plain form.

    Args:
        target: rows of the receiving genes, ``[B, G, R]``.
        source: rows of the sending genes, ``[B, G, R]``.
        key_mask: True where a gene may send, ``[B, 1, G]``; None where all may.
        x: features, ``[B, G, C]``.

    Returns:
        ``[B, G, C]``.
    """
    return masked_softmax(target @ source.transpose(1, 2), key_mask) @ x


def row_normalized(target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Scale two positive tables so that ``T' S'ᵀ = D⁻¹ Â`` with ``Â = T Sᵀ`` and ``D_ii = Σ_j Â_ij``.

    The product with features is then ``T' (S'ᵀ x)``: 2·G·R·C operations instead of G²·C, and no G×G.

    Args:
        target: positive features of the receiving genes, zero for padding. ``[B, G, R]``.
        source: positive features of the sending genes, zero for padding. ``[B, G, R]``.

    Returns:
        T' and S', each ``[B, G, R]``.
    """
    total = target @ source.sum(dim=1).unsqueeze(-1)  # [B, G, 1]
    return target / torch.where(total > 0, total, 1.0), source


def symmetric_normalized(target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Scale two positive tables so that ``T' S'ᵀ = D^-1/2 Â D^-1/2``; otherwise as `row_normalized`."""
    degree = target @ source.sum(dim=1).unsqueeze(-1)  # [B, G, 1]
    scale = torch.where(degree > 0, degree, 1.0).rsqrt()
    return scale * target, scale * source


def hybrid_attention(
    query: Tensor, key: Tensor, value: Tensor, target: Tensor, source: Tensor, key_mask: Tensor | None
) -> Tensor:
    """``softmax_j(q_i · k_j / √D + t_i · s_j) v_j`` as one attention call on ``[q / √D, t]`` and ``[k, s]``.

    The plain form is ``pair_attention(q kᵀ / √D + t sᵀ, ...)``. The fused kernels want values as wide as
    queries, so the values get columns of zeros that are cut off again.

    Args:
        query: ``[B, H, G, D]``.
        key: ``[B, H, G, D]``.
        value: ``[B, H, G, D]``.
        target: static features of the receiving genes, shared by the heads, ``[B, G, R]``.
        source: static features of the sending genes, ``[B, G, R]``.
        key_mask: True where a gene may send, ``[B, 1, G]``; None where all may.

    Returns:
        ``[B, H, G, D]``.
    """
    heads, width, rank = query.shape[1], query.shape[-1], target.shape[-1]
    scaled = query * width**-0.5
    queries = torch.cat((scaled, target.unsqueeze(1).expand(-1, heads, -1, -1)), dim=-1)
    keys = torch.cat((key, source.unsqueeze(1).expand(-1, heads, -1, -1)), dim=-1)
    values = torch.nn.functional.pad(value, (0, rank))
    mask = None if key_mask is None else key_mask.unsqueeze(1)
    attended = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=1.0)
    return attended[..., :width]


def pair_attention(logits: Tensor, key_mask: Tensor | None, values: Tensor) -> Tensor:
    """``softmax(logits) values`` a head: ``[B, H, G, G]`` and ``[B, H, G, D]`` to ``[B, H, G, D]``."""
    return masked_softmax(logits, None if key_mask is None else key_mask.unsqueeze(1)) @ values


def gat_attention(target: Tensor, source: Tensor, key_mask: Tensor | None, values: Tensor, slope: float) -> Tensor:
    """``softmax_j(LeakyReLU(s_i + t_j)) v_j`` in G log G operations, exactly.

    ``exp(LeakyReLU(s_i + t_j))`` is ``exp(s_i) exp(t_j)`` where ``s_i + t_j > 0`` and
    ``exp(slope s_i) exp(slope t_j)`` elsewhere. With t sorted, the first kind is a suffix and the second a
    prefix: sums over both are cumulated once, each gene looks its border up by binary search. Every factor
    is taken relative to the largest logit of the row, so none exceeds 1, and nothing is subtracted.

    The plain form is ``pair_attention(leaky_relu(s_i + t_j), ...)``.

    Args:
        target: s, what the receiving gene adds, ``[B, H, G]``.
        source: t, what the sending gene adds, ``[B, H, G]``.
        key_mask: True where a gene may send, ``[B, 1, G]``; None where all may.
        values: v, ``[B, H, G, D]``.
        slope: of the LeakyReLU below 0, between 0 and 1.

    Returns:
        ``[B, H, G, D]``.
    """
    # A column of ones beside the values: its sums are the denominators.
    weighed = torch.cat((values, torch.ones_like(values[..., :1])), dim=-1)
    if key_mask is not None:
        source = source.masked_fill(~key_mask, -torch.inf)
        weighed = weighed.masked_fill(~key_mask.unsqueeze(-1), 0.0)
    ordered, order = source.sort(dim=-1)
    top = ordered[..., -1:].detach()
    weighed = weighed.gather(2, order.unsqueeze(-1).expand_as(weighed))
    # Masked genes stand first and weigh nothing; a finite number keeps slope 0 from making NaN of them.
    relative = (ordered - top).clamp(min=torch.finfo(ordered.dtype).min).unsqueeze(-1)
    above = (relative.exp() * weighed).flip(2).cumsum(2).flip(2)
    below = ((slope * relative).exp() * weighed).cumsum(2)
    nothing = torch.zeros_like(above[:, :, :1])
    border = torch.searchsorted(ordered.detach(), -target.detach(), right=True)  # [B, H, G], 0 to G
    at = border.unsqueeze(-1).expand(*border.shape, weighed.shape[-1])
    suffix = torch.cat((above, nothing), dim=2).gather(2, at)
    prefix = torch.cat((nothing, below), dim=2).gather(2, at)
    largest = target + top
    scale = torch.nn.functional.leaky_relu(largest, slope).detach()
    summed = (largest - scale).exp().unsqueeze(-1) * suffix + (slope * largest - scale).exp().unsqueeze(-1) * prefix
    return summed[..., :-1] / summed[..., -1:]
