"""Loops that numba compiles: over rows of features, in float32, without the lock of the interpreter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["NARROWEST", "WIDEST", "activate", "compiled", "exponentials", "gelu", "standardize"]

_Function = TypeVar("_Function", bound="Callable[..., Any]")

# Sums may be taken in any order and products fused with them; unlike "fast", numbers stay what they are where one is
# not finite.
_FLAGS = {"reassoc", "contract", "nsz"}

NARROWEST, WIDEST = np.float32(-87.0), np.float32(88.0)
"""Exponents between which `exponentials` is right; what lies outside is moved to the border."""

_ZERO, _HALF, _ONE, _FOUR = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(4.0)
_ROOT_HALF = np.float32(math.sqrt(0.5))
# The error function on [-4, 4] as an odd polynomial over an even one, as in Eigen's `generic_fast_erf_float`.
_A1, _A3, _A5 = np.float32(-1.60960333262415e-02), np.float32(-2.95459980854025e-03), np.float32(-7.34990630326855e-04)
_A7, _A9 = np.float32(-5.69250639462346e-05), np.float32(-2.10102402082508e-06)
_A11, _A13 = np.float32(2.77068142495902e-08), np.float32(-2.72614225801306e-10)
_B0, _B2, _B4 = np.float32(-1.42647390514189e-02), np.float32(-7.37332916720468e-03), np.float32(-1.68282697438203e-03)
_B6, _B8 = np.float32(-2.13374055278905e-04), np.float32(-1.45660718464996e-05)
# exp(r) for |r| <= log(2) / 2, and log 2 in two parts: `expf` of the Cephes library.
_LOG2E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504088896341), np.float32(0.693359375), np.float32(-2.12194440e-4)
_E0, _E1, _E2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_E3, _E4, _E5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)


def compiled(function: _Function) -> _Function:
    """Compile with numba, kept on disk where the disk can be written."""
    try:
        fast = numba.njit(cache=True, nogil=True, fastmath=_FLAGS, error_model="numpy")(function)
    except RuntimeError:  # an installation without any writable folder cannot keep compiled code
        fast = numba.njit(nogil=True, fastmath=_FLAGS, error_model="numpy")(function)
    return cast("_Function", fast)


@compiled
def gelu(x: Any) -> Any:
    """``x Φ(x)`` of one number."""
    z = x * _ROOT_HALF
    z = min(max(z, -_FOUR), _FOUR)
    s = z * z
    over = ((((((_A13 * s + _A11) * s + _A9) * s + _A7) * s + _A5) * s + _A3) * s + _A1) * z
    under = (((_B8 * s + _B6) * s + _B4) * s + _B2) * s + _B0
    return _HALF * x * (_ONE + over / under)


@compiled
def standardize(x: Floats, eps: Any, out: Floats) -> None:
    """``(x - mean) / √(variance + eps)`` of every row, as `torch.nn.LayerNorm` without weights."""
    rows, width = x.shape
    share = _ONE / np.float32(width)
    for row in range(rows):
        total = _ZERO
        for column in range(width):
            total += x[row, column]
        mean = total * share
        total = _ZERO
        for column in range(width):
            apart = x[row, column] - mean
            total += apart * apart
        scale = _ONE / np.float32(math.sqrt(total * share + eps))
        for column in range(width):
            out[row, column] = (x[row, column] - mean) * scale


@compiled
def activate(y: Floats, kind: int) -> None:
    """Apply an activation in place: 0 for none, 1 for ReLU, 2 for GELU."""
    rows, width = y.shape
    if kind == 1:
        for row in range(rows):
            for column in range(width):
                if y[row, column] < _ZERO:  # and not `max`, which loses what is not a number
                    y[row, column] = _ZERO
    elif kind == 2:
        for row in range(rows):
            for column in range(width):
                y[row, column] = gelu(y[row, column])


@compiled
def exponentials(x: Floats, powers: NDArray[np.int32], sums: Floats) -> None:
    """Replace every row by its exponentials, between `NARROWEST` and `WIDEST`, and note their sum.

    Args:
        x: exponents ``[n, k]``, changed in place.
        powers: room for k integers.
        sums: room for n sums.
    """
    rows, width = x.shape
    doublings = powers.view(np.float32)
    for row in range(rows):
        for column in range(width):
            whole = min(max(x[row, column], NARROWEST), WIDEST)
            power = np.floor(whole * _LOG2E + _HALF)
            r = (whole - power * _LN2_HIGH) - power * _LN2_LOW
            p = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
            x[row, column] = p * r * r + r + _ONE
            powers[column] = (np.int32(power) + _BIAS) << _MANTISSA  # the bits of 2^power
        total = _ZERO
        for column in range(width):
            x[row, column] *= doublings[column]
            total += x[row, column]
        sums[row] = total
