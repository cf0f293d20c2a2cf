"""Queries, keys and values from one table of weights: three products, whose gradients are never put together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

__all__ = ["three_maps", "three_maps_reference"]


def three_maps(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """``x W_qᵀ + b_q``, ``x W_kᵀ + b_k`` and ``x W_vᵀ + b_v``, each dense.

    One product and a view of its thirds is the plain form; its backward pass copies the three gradients into one
    ``[..., 3C]`` first. Here the products of the backward pass add to one result.

    Args:
        x: ``[..., C]``.
        weight: W_q, W_k and W_v, ``[3 C, C]``.
        bias: ``[3 C]``.

    Returns:
        Three of ``[..., C]``.
    """
    alike = x.dtype == weight.dtype == bias.dtype and not torch.is_autocast_enabled(x.device.type)
    if not alike or torch.compiler.is_compiling():
        return three_maps_reference(x, weight, bias)
    maps: tuple[Tensor, ...] = _ThreeMaps.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return maps


def three_maps_reference(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Map once and take the thirds."""
    return linear(x, weight, bias).chunk(3, dim=-1)


class _ThreeMaps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, weight)
        return tuple(linear(x, *part) for part in zip(weight.chunk(3), bias.chunk(3), strict=True))

    @staticmethod
    @once_differentiable  # the products into `out` know no derivative
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        x, weight = ctx.saved_tensors
        rows = x.reshape(-1, x.shape[-1])
        to_x, to_weight = torch.empty_like(rows), torch.empty_like(weight)
        flat = [gradient.reshape(rows.shape) for gradient in gradients]
        for number, (gradient, own, to_own) in enumerate(zip(flat, weight.chunk(3), to_weight.chunk(3), strict=True)):
            torch.mm(gradient.T, rows, out=to_own)
            torch.addmm(to_x, gradient, own, beta=min(number, 1), out=to_x)
        return to_x.view_as(x), to_weight, torch.cat([gradient.sum(dim=0) for gradient in flat])
