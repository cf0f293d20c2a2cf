"""Softmax attention by positive random features: the kernel behind `performer`, beside its plain reference."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

from scgraph.nn.kernels.streaming import NARROW

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["feature_attention", "feature_attention_reference", "log_features", "orthogonal_gaussian"]


def orthogonal_gaussian(features: int, width: int) -> Tensor:
    """Draw rows that are each normally distributed and, within blocks of D, orthogonal to each other. ``[M, D]``.

    A block is an orthogonal matrix drawn uniformly, its rows given the lengths of independent Gaussian vectors.

    Source: Choromanski et al., "Rethinking attention with Performers" (2021), section 2.4.

    Args:
        features: number of rows M.
        width: length of a row D.
    """
    blocks = -(-features // width)
    q, r = torch.linalg.qr(torch.randn(blocks, width, width))
    # LAPACK chooses the signs by the numbers it finds; with those of R the columns point everywhere alike.
    uniform = q * r.diagonal(dim1=1, dim2=2).sign().unsqueeze(1)
    directions = uniform.transpose(1, 2).reshape(-1, width)[:features]
    lengths = torch.randn(features, width).norm(dim=1, keepdim=True)
    rows: Tensor = directions * lengths
    return rows


def log_features(x: Tensor, weight: Tensor) -> Tensor:
    """``log φ_r(x) = w_r · x - |x|² / 2 - log(M) / 2``, so that ``E[φ(x) · φ(y)] = exp(x · y)``.

    In the logarithm nothing overflows. Under autocast it is computed in float32: it stands in an exponent.

    Source: Choromanski et al. (2021), Lemma 1.

    Args:
        x: ``[..., D]``.
        weight: the rows w_r, ``[M, D]``.

    Returns:
        ``[..., M]``.
    """
    # Tensors without storage know no autocast.
    with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
        x = x.float() if x.dtype in NARROW else x
        half = (x.square().sum(dim=-1, keepdim=True) + math.log(weight.shape[0])) / 2
        logs: Tensor = x @ weight.to(x.dtype).T - half
    return logs


def feature_attention(query: Tensor, key: Tensor, key_mask: Tensor | None, value: Tensor) -> Tensor:
    """``y_i = Σ_r φ_r(q_i) Σ_j φ_r(k_j) v_j / Σ_r φ_r(q_i) Σ_j φ_r(k_j)`` from the logarithms of the features.

    Every feature of the keys is taken relative to its largest over the genes, and every query relative to its
    largest product with one of those. Both cancel in the ratio, so the result is exact; no factor exceeds 1 and no
    denominator falls below 1.

    Source: Choromanski et al. (2021), Eq. 4, with a stabilisation that adds nothing to the features.

    Args:
        query: log φ(q), ``[B, H, G, M]``.
        key: log φ(k), ``[B, H, G, M]``.
        key_mask: True where a gene may send, ``[B, 1, G]``; None where all may.
        value: ``[B, H, G, D]``.

    Returns:
        ``[B, H, G, D]``.
    """
    if key_mask is not None:
        key = key.masked_fill(~key_mask.unsqueeze(-1), -torch.inf)
    largest = key.detach().amax(dim=2, keepdim=True)  # [B, H, 1, M]
    query = query + largest
    receive = (query - query.detach().amax(dim=-1, keepdim=True)).exp()
    send = (key - largest).exp()
    summed = receive @ (send.transpose(2, 3) @ value.to(send.dtype))
    total = receive @ send.sum(dim=2).unsqueeze(-1)  # [B, H, G, 1]
    return (summed / total).to(value.dtype)


def feature_attention_reference(query: Tensor, key: Tensor, key_mask: Tensor | None, value: Tensor) -> Tensor:
    """Write the weights ``[B, H, G, G]`` down: softmax over j of ``log Σ_r φ_r(q_i) φ_r(k_j)``."""
    logits = torch.logsumexp(query.unsqueeze(3) + key.unsqueeze(2), dim=-1)
    if key_mask is not None:
        logits = logits.masked_fill(~key_mask.unsqueeze(1), -torch.inf)
    return logits.softmax(dim=-1) @ value
