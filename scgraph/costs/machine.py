"""What a machine can be asked with PyTorch alone: the rate of its matrix products, and the memory that a run keeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DTYPES", "matmul_peak", "saved_bytes"]

DTYPES = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
    "64-true": torch.float64,
}

SIZES = {"cpu": 2048, "cuda": 8192}
"""Sizes of matrices that are large enough for the peak of a device."""


def matmul_peak(
    device: str = "cpu",
    precision: str = "32-true",
    *,
    size: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the operations a second, by `clock`, of a square matrix product, best of five after one warm-up."""
    place = torch.device(device)
    size = size or SIZES.get(place.type, SIZES["cpu"])
    a = torch.randn(size, size, device=place).to(DTYPES[precision])
    times = []
    for _ in range(6):
        start = clock()
        a @ a
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        times.append(clock() - start)
    return 2 * size**3 / min(times[1:])


def saved_bytes(forward: Callable[[], Tensor], device: torch.device) -> int:
    """Return the bytes that a forward run keeps for backward.

    That is what the run has allocated and not given back when it ends: on CUDA as the allocator says, on a CPU
    as the sum over the storages that its operations made.
    """
    if device.type == "cuda":
        forward()
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        loss = forward()
        torch.cuda.synchronize(device)
        held = int(torch.cuda.memory_allocated(device) - before)
        del loss
        return held
    with _Allocated() as allocated:
        loss = forward()
    held = allocated.held()
    del loss
    return int(held)


class _Allocated(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it and the weak references untyped
    """Sees every operation on a CPU and knows which of the memory they took is still in use."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: dict[int, tuple[Any, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {
            tensor.untyped_storage()._cdata for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)
        }
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in given:
                storage = tensor.untyped_storage()
                self.storages[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]
        return out

    def held(self) -> int:
        """Return the bytes of the storages that are still alive."""
        return sum([size for storage, size in self.storages.values() if not storage.expired()])
