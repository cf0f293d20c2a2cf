"""Static attention over long cells: some receiving genes at a time, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLOCK", "streaming_attention"]

BLOCK = 256
"""Rows of the weights that are held at a time."""

NARROW = (torch.bfloat16, torch.float16)


def streaming_attention(
    target: Tensor, source: Tensor, key_mask: Tensor | None, x: Tensor, *, block: int = BLOCK
) -> Tensor:
    """`scgraph.nn.kernels.attention.static_attention` without the weights ``[B, G, G]``.

    The weights of `block` receiving genes are formed, used and forgotten. Backward forms them again from the
    logarithms of the row sums, at ``G²·R`` more multiply-adds, so ``B·block·G`` numbers of working memory do.

    Source: the recomputation of Dao et al., "FlashAttention" (2022), Algorithms 1 and 4, over rows only.

    Args:
        target: rows of the receiving genes, ``[B, G, R]``.
        source: rows of the sending genes, ``[B, G, R]``.
        key_mask: True where a gene may send, ``[B, 1, G]``; None where all may.
        x: features, ``[B, G, C]``.
        block: receiving genes at a time.

    Returns:
        ``[B, G, C]``.
    """
    # Under autocast x is narrower than the tables; one type for all products, in both directions.
    y: Tensor = _Streaming.apply(  # type: ignore[no-untyped-call]
        target.to(x.dtype), source.to(x.dtype), key_mask, x, block
    )
    return y


class _Streaming(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, target: Tensor, source: Tensor, key_mask: Tensor | None, x: Tensor, block: int) -> Tensor:
        # Both are made before the blocks: small pieces between them would keep the allocator from using their
        # place again, and the blocks together are as large as the weights.
        y = torch.empty_like(x)
        wide = torch.float32 if x.dtype in NARROW else x.dtype
        sums = torch.empty(*x.shape[:2], 1, dtype=wide, device=x.device)
        with torch.autocast(x.device.type, enabled=False):
            for rows in _blocks(x.shape[1], block):
                logits = _logits(target[:, rows], source, key_mask)
                sums[:, rows] = torch.logsumexp(logits, dim=-1, keepdim=True)
                y[:, rows] = logits.sub_(sums[:, rows]).exp_().to(x.dtype) @ x
        ctx.save_for_backward(target, source, key_mask, x, y, sums)
        ctx.block = block
        return y

    @staticmethod
    @once_differentiable  # the row sums are kept as numbers, so a second derivative would lack their part
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        target, source, key_mask, x, y, sums = ctx.saved_tensors
        to_target = torch.empty_like(target)
        to_source, to_x = torch.zeros_like(source), torch.zeros_like(x)
        # Σ_j α_ij (∂L/∂α_ij), which the gradient of a softmax subtracts.
        mean = (gradient * y).sum(dim=-1, keepdim=True)
        for rows in _blocks(x.shape[1], ctx.block):
            alpha = _logits(target[:, rows], source, key_mask).sub_(sums[:, rows]).exp_().to(x.dtype)
            to_x += alpha.transpose(1, 2) @ gradient[:, rows]
            to_logits = (gradient[:, rows] @ x.transpose(1, 2)).sub_(mean[:, rows]).mul_(alpha)
            to_target[:, rows] = to_logits @ source
            to_source += to_logits.transpose(1, 2) @ target[:, rows]
        return to_target, to_source, None, to_x, None


def _blocks(genes: int, block: int) -> Iterator[slice]:
    for first in range(0, genes, block):
        yield slice(first, min(first + block, genes))


def _logits(target: Tensor, source: Tensor, key_mask: Tensor | None) -> Tensor:
    logits = target @ source.transpose(1, 2)
    if logits.dtype in NARROW:
        logits = logits.float()  # the exponent of a softmax needs the digits
    return logits if key_mask is None else logits.masked_fill_(~key_mask, -torch.inf)
