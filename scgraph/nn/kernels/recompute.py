"""Memory in the backward pass: what is cheaper to compute again than to keep."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scgraph.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["recomputed"]


@contextmanager
def recomputed(function: Callable[[Tensor], Tensor], x: Tensor, *, enabled: bool = True) -> Iterator[Tensor]:
    """Give ``function(x)``, and compute it again in the backward pass wherever the body wants it kept.

    Meant for a norm in front of a linear map: the norm keeps its input and the map would keep its output, one more
    ``[B, G, C]`` a layer. Outputs and gradients are the same to the last bit. `torch.compile` decides itself what it
    keeps, so there the output is left alone. An output that the body has changed in place before it wants it kept is
    not ``function(x)`` any more, and is kept.

    Args:
        function: elementwise or over the last axis, the same result for the same input.
        x: its input, which the backward pass of `function` needs anyway.
        enabled: False leaves the output alone: within a checkpoint, which would lose sight of what the body keeps.

    Raises:
        ContractError: in the backward pass, where plain autograd raises too: something that was kept, or `x`, was
            changed in place afterwards.
    """
    y = function(x)
    if not enabled or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        yield y
        return
    # The frame of this generator keeps y, so within the body nothing else can lie at its address.
    address, size, version = y.untyped_storage().data_ptr(), y.numel(), y._version
    x, x_version = x.detach(), x._version

    def pack(saved: Tensor) -> tuple[Any, ...]:
        same = saved.untyped_storage().data_ptr() == address and saved.numel() == size and saved._version == version
        if same:
            return saved.shape, saved.stride(), saved.storage_offset()
        # Kept as it is, an output would hold the node that holds it: memory that nothing could free.
        return saved.detach(), saved._version

    def unpack(packed: tuple[Any, ...]) -> Tensor:
        # Autograd compares the versions of what it keeps, but not of what a hook keeps for it.
        if isinstance(packed[0], Tensor):
            return _unchanged(*packed)
        with torch.no_grad():
            return function(_unchanged(x, x_version)).as_strided(*packed)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield y


def _unchanged(saved: Tensor, version: int) -> Tensor:
    if saved._version != version:
        raise ContractError(
            f"A tensor {list(saved.shape)} was changed in place after it was kept for the backward pass, which needs "
            "it as it was. Write y = y + z in place of y += z, and relu(y) in place of relu_(y)."
        )
    return saved
