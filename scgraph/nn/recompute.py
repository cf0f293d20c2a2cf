"""Memory in the backward pass: what is cheaper to compute again than to keep."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["forgotten"]


@contextmanager
def forgotten(function: Callable[[Tensor], Tensor], x: Tensor, *, enabled: bool = True) -> Iterator[Tensor]:
    """Give ``function(x)``, and compute it again in the backward pass wherever the body wants it kept.

    Meant for a norm in front of a linear map: the norm keeps its input and the map would keep its output, one more
    ``[B, G, C]`` a layer. Outputs and gradients are the same to the last bit. `torch.compile` decides itself what it
    keeps, so there the output is left alone.

    Args:
        function: elementwise or over the last axis, the same result for the same input.
        x: its input, which the backward pass of `function` needs anyway.
        enabled: False leaves the output alone: within a checkpoint, which would lose sight of what the body keeps.
    """
    y = function(x)
    if not enabled or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        yield y
        return
    # The frame of this generator keeps y, so within the body nothing else can lie at its address.
    address, size = y.untyped_storage().data_ptr(), y.numel()
    x = x.detach()

    def pack(kept: Tensor) -> Tensor | tuple[Any, ...]:
        if kept.untyped_storage().data_ptr() != address or kept.numel() != size:
            # Kept as it is, an output would hold the node that holds it: memory that nothing could free.
            return kept.detach()
        return kept.shape, kept.stride(), kept.storage_offset()

    def unpack(kept: Tensor | tuple[Any, ...]) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        with torch.no_grad():
            return function(x).as_strided(*kept)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield y
