"""Hashes of 64 bits: the one source of randomness in sampling and masking.

`mix` is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["GOLDEN", "kernel", "mix", "mix_array", "row_hashes", "stream"]

_Function = TypeVar("_Function", bound="Callable[..., Any]")

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


def kernel(function: _Function) -> _Function:
    """Compile with numba, without the lock of the interpreter, kept on disk where the disk can be written."""
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # an installation without any writable folder cannot keep compiled code
        compiled = numba.njit(nogil=True)(function)
    return cast("_Function", compiled)


@kernel
def mix(x: np.uint64) -> np.uint64:
    """Scramble 64 bits, one to one: different genes of a cell never get the same hash."""
    # Not to be changed: results for a seed depend on it, and kernels compiled earlier keep a copy.
    x = (x ^ (x >> _30)) * _FIRST
    x = (x ^ (x >> _27)) * _SECOND
    return x ^ (x >> _31)


def mix_array(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Compute `mix` of every element in plain numpy: the reference."""
    x = (x ^ (x >> _30)) * _FIRST
    x = (x ^ (x >> _27)) * _SECOND
    return x ^ (x >> _31)


def stream(*numbers: int) -> np.uint64:
    """Fold integers, such as purpose, seed and epoch, into the start of one stream of hashes."""
    state = np.zeros(1, dtype=np.uint64)
    for number in numbers:
        state = mix_array(state + GOLDEN + np.uint64(number % 2**64))
    return np.uint64(state[0])


@kernel
def row_hashes(indptr: NDArray[np.int64], genes: NDArray[np.int32], bits: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Hash the (gene, value) pairs of every row, uint64 `[n]`; their order does not matter."""
    n = len(indptr) - 1
    hashes = np.empty(n, dtype=np.uint64)
    for row in range(n):
        total = GOLDEN
        for at in range(indptr[row], indptr[row + 1]):
            total += mix(((np.uint64(genes[at]) << _32) | np.uint64(bits[at])) + GOLDEN)
        hashes[row] = mix(total)
    return hashes
