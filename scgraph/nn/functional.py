"""The kernels behind the `complete` paths. The edge-level `message` of each conv is their reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["masked_softmax", "normalized_low_rank", "pair_attention"]


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


def normalized_low_rank(target: Tensor, source: Tensor, x: Tensor) -> Tensor:
    """Multiply by ``D^-1/2 Â D^-1/2`` with ``Â = target sourceᵀ`` without building Â.

    ``y_i = d_i^-1/2 Σ_j Â_ij d_j^-1/2 x_j`` with ``d_i = Σ_j Â_ij``, in 2·G·R·C operations instead of G²·C.

    Args:
        target: positive features of the receiving genes, zero for padding. ``[B, G, R]``.
        source: positive features of the sending genes, zero for padding. ``[B, G, R]``.
        x: features, ``[B, G, C]``.

    Returns:
        ``[B, G, C]``, zero for padding.
    """
    degree = target @ source.sum(dim=1).unsqueeze(-1)  # [B, G, 1]
    scale = torch.where(degree > 0, degree, 1.0).rsqrt()
    return scale * (target @ (source.transpose(1, 2) @ (scale * x)))


def pair_attention(logits: Tensor, key_mask: Tensor | None, values: Tensor) -> Tensor:
    """``softmax(logits) values`` a head: ``[B, H, G, G]`` and ``[B, H, G, D]`` to ``[B, H, G, D]``."""
    return masked_softmax(logits, None if key_mask is None else key_mask.unsqueeze(1)) @ values
