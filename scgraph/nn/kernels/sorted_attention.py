"""Graph attention by sorted sums as loops that numba compiles, forward and backward, beside its plain form."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from scgraph.nn.kernels.attention import gat_attention
from scgraph.nn.kernels.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    Floats = NDArray[np.floating[Any]]

__all__ = ["sorted_attention", "sorted_attention_reference"]


def sorted_attention(values: Tensor, target: Tensor, source: Tensor, key_mask: Tensor | None, slope: float) -> Tensor:
    """``y_i = Σ_j softmax_j(LeakyReLU(a_t·v_i + a_s·v_j)) v_j`` a head, exactly, in G log G operations.

    The sums are those of `scgraph.nn.kernels.attention.gat_attention`. On a CPU a compiled loop takes a head of a cell
    after the other, whose sums stay in the cache, and keeps the values, the order of the logits and each gene's border
    in it; the backward pass forms the sums again. The gradient of a value is again a prefix and a suffix, of the
    gradients of the genes sorted by border.

    Args:
        values: v, ``[B, G, H, D]``.
        target: a_t, ``[H, D]``.
        source: a_s, ``[H, D]``.
        key_mask: True where a gene may send, ``[B, 1, G]``; None where all may.
        slope: of the LeakyReLU below 0, between 0 and 1.

    Returns:
        ``[B, G, H, D]``.
    """
    kinds = {values.dtype, target.dtype, source.dtype}
    known = kinds in ({torch.float32}, {torch.float64}) and values.device.type == "cpu"
    if not known or torch.compiler.is_compiling():
        return sorted_attention_reference(values, target, source, key_mask, slope)
    y: Tensor = _Sorted.apply(values, target, source, key_mask, slope)  # type: ignore[no-untyped-call]
    return y


def sorted_attention_reference(
    values: Tensor, target: Tensor, source: Tensor, key_mask: Tensor | None, slope: float
) -> Tensor:
    """Compute the same with the operations of PyTorch, on any device."""
    heads = values.transpose(1, 2)  # [B, H, G, D]
    receives, sends = ((heads * weight.unsqueeze(1)).sum(-1) for weight in (target, source))
    return gat_attention(receives, sends, key_mask, heads, slope).transpose(1, 2)


class _Sorted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, target: Tensor, source: Tensor, key_mask: Tensor | None, slope: float
    ) -> Tensor:
        values, target, source = values.contiguous(), target.contiguous(), source.contiguous()
        cells, genes, heads, _ = values.shape
        keep = torch.ones(cells, genes, dtype=torch.bool) if key_mask is None else key_mask.squeeze(1).contiguous()
        y = torch.empty_like(values)
        order, border = (torch.empty(cells, heads, genes, dtype=torch.int32) for _ in range(2))
        arrays = _arrays(values, target, source, keep)
        outs = _arrays(order, border, y)
        number = arrays[0].dtype.type(slope)
        _in_threads(lambda begin, end: _attend(begin, end, number, *arrays, *outs), values)
        ctx.save_for_backward(values, target, source, keep, order, border)
        ctx.slope = slope
        return y

    @staticmethod
    @once_differentiable  # the loops know no derivative of their own
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, target, source, keep, order, border = ctx.saved_tensors
        to_values = torch.empty_like(values)
        to_target, to_source = (values.new_empty(values.shape[0], *target.shape) for _ in range(2))
        arrays = _arrays(values, target, source, keep)
        others = _arrays(order, border, gradient.contiguous(), to_values, to_target, to_source)
        number = arrays[0].dtype.type(ctx.slope)
        _in_threads(lambda begin, end: _attend_backward(begin, end, number, *arrays, *others), values)
        return to_values, to_target.sum(dim=0), to_source.sum(dim=0), None, None


def _arrays(*tensors: Tensor) -> tuple[NDArray[Any], ...]:
    return tuple(tensor.detach().numpy() for tensor in tensors)


def _in_threads(run: Callable[[int, int], None], values: Tensor) -> None:
    """Share the heads of all cells among as many threads as PyTorch uses."""
    cells, _, heads, _ = values.shape
    threads = min(torch.get_num_threads(), cells * heads)
    if threads < 2:
        run(0, cells * heads)
        return
    borders = np.linspace(0, cells * heads, threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:  # one a call: threads that wait would not outlive a fork
        list(pool.map(run, borders[:-1].tolist(), borders[1:].tolist()))


@compiled
def _logits(values: Floats, target: Floats, source: Floats, keep: Any, receives: Floats, sends: Floats) -> None:
    """Write what each gene of a head adds as a receiver and as a sender; -inf where it may not send."""
    genes, width = values.shape
    for gene in range(genes):
        first, second = values[gene, 0] * target[0], values[gene, 0] * source[0]
        for column in range(1, width):
            first += values[gene, column] * target[column]
            second += values[gene, column] * source[column]
        receives[gene] = first
        sends[gene] = second if keep[gene] else -np.inf


@compiled
def _sums(values: Floats, sends: Floats, order: Any, slope: Any, above: Floats, below: Floats, powers: Floats) -> None:
    """Write the suffix sums of ``exp(t - top) [v, 1]`` and the prefix sums of ``exp(slope (t - top)) [v, 1]``.

    Row k of both, ``[G + 1, D + 1]``, is the border in front of the k-th gene in the order of the logits; `powers`,
    ``[2, G]``, are the exponentials in that order.
    """
    genes, width = values.shape
    top = sends[order[genes - 1]]
    for column in range(width + 1):
        above[genes, column] = 0
        below[0, column] = 0
    for at in range(genes):
        apart = sends[order[at]] - top
        powers[0, at] = math.exp(apart)
        powers[1, at] = math.exp(slope * apart) if apart > -np.inf else 0
    for at in range(genes - 1, -1, -1):
        gene, power = order[at], powers[0, at]
        for column in range(width):
            above[at, column] = above[at + 1, column] + power * values[gene, column]
        above[at, width] = above[at + 1, width] + power
    for at in range(genes):
        gene, power = order[at], powers[1, at]
        for column in range(width):
            below[at + 1, column] = below[at, column] + power * values[gene, column]
        below[at + 1, width] = below[at, width] + power


@compiled
def _weights(largest: Any, slope: Any, over: Any, under: Any) -> Any:
    """What a gene weighs its suffix and its prefix with, for their sums of weights `over` and `under`."""
    scale = largest if largest > 0 else slope * largest
    first, second = math.exp(largest - scale), math.exp(slope * largest - scale)
    total = first * over + second * under
    return first / total, second / total


@compiled
def _attend(
    begin: int, end: int, slope: Any, values: Floats, target: Floats, source: Floats, keep: Any, orders: Any,
    borders: Any, y: Floats,
) -> None:  # fmt: skip
    _, genes, heads, width = values.shape
    receives, sends, ranked = np.empty((3, genes), values.dtype)
    above, below = np.empty((2, genes + 1, width + 1), values.dtype)
    powers, here = np.empty((2, genes), values.dtype), np.empty((genes, width), values.dtype)
    for pair in range(begin, end):
        cell, head = pair // heads, pair % heads
        here[:] = values[cell, :, head]  # dense rows, which the loops below take several numbers of at a time
        _logits(here, target[head], source[head], keep[cell], receives, sends)
        order, border = orders[cell, head], borders[cell, head]
        order[:] = np.argsort(sends)
        for at in range(genes):
            ranked[at] = sends[order[at]]
        top = ranked[genes - 1]
        _sums(here, sends, order, slope, above, below, powers)
        for gene in range(genes):
            at, left = 0, genes
            while left > 0:  # the first sender whose logit lies above that of the receiver turned round
                half = left // 2
                if ranked[at + half] <= -receives[gene]:
                    at += half + 1
                    left -= half + 1
                else:
                    left = half
            border[gene] = at
            first, second = _weights(receives[gene] + top, slope, above[at, width], below[at, width])
            for column in range(width):
                y[cell, gene, head, column] = first * above[at, column] + second * below[at, column]


@compiled
def _attend_backward(
    begin: int, end: int, slope: Any, values: Floats, target: Floats, source: Floats, keep: Any, orders: Any,
    borders: Any, gradient: Floats, to_values: Floats, to_target: Floats, to_source: Floats,
) -> None:  # fmt: skip
    _, genes, heads, width = values.shape
    receives, sends, to_receives = np.empty((3, genes), values.dtype)
    above, below, up, down = np.empty((4, genes + 1, width + 1), values.dtype)
    powers, here = np.empty((2, genes), values.dtype), np.empty((genes, width), values.dtype)
    for pair in range(begin, end):
        cell, head = pair // heads, pair % heads
        order, border = orders[cell, head], borders[cell, head]
        here[:] = values[cell, :, head]
        _logits(here, target[head], source[head], keep[cell], receives, sends)
        _sums(here, sends, order, slope, above, below, powers)
        top = sends[order[genes - 1]]
        up[:] = 0
        down[:] = 0
        for gene in range(genes):
            at, coming = border[gene], gradient[cell, gene, head]
            first, second = _weights(receives[gene] + top, slope, above[at, width], below[at, width])
            over, under = coming[0] * above[at, 0], coming[0] * below[at, 0]
            for column in range(1, width):
                over += coming[column] * above[at, column]
                under += coming[column] * below[at, column]
            # Σ_j α_ij (∂L/∂α_ij), which the gradient of a softmax subtracts.
            mean = first * over + second * under
            over = first * (over - mean * above[at, width])
            under = second * (under - mean * below[at, width])
            to_receives[gene] = over + slope * under
            for column in range(width):
                up[at, column] += first * coming[column]
                down[at, column] += second * coming[column]
            up[at, width] += first * mean
            down[at, width] += second * mean
        # A sender is above the borders of all genes up to its own place, and below those of the rest.
        for at in range(genes):
            for column in range(width + 1):
                up[at + 1, column] += up[at, column]
                down[genes - at - 1, column] += down[genes - at, column]
        to_target[cell, head] = 0
        to_source[cell, head] = 0
        for at in range(genes):
            gene, power, lower = order[at], powers[0, at], powers[1, at]
            over, under = -up[at, width], -down[at + 1, width]
            for column in range(width):
                over += up[at, column] * here[gene, column]
                under += down[at + 1, column] * here[gene, column]
            to_sends = power * over + slope * lower * under
            for column in range(width):
                to_values[cell, gene, head, column] = (
                    power * up[at, column] + lower * down[at + 1, column]
                    + to_receives[gene] * target[head, column] + to_sends * source[head, column]
                )  # fmt: skip
                to_target[cell, head, column] += to_receives[gene] * here[gene, column]
                to_source[cell, head, column] += to_sends * here[gene, column]
