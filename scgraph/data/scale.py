"""What values that are no whole numbers show of their scale: sums that all cells share, and multiples of one unit.

A value of a gene in a cell is ``v = f(u c)``: its count ``c``, a factor ``u`` of the cell, and a transform ``f``, such
as ``log(1 + x)``. With the right ``f`` undone the sum over the genes is the same for all cells (where all genes are
there), and the values of a cell are whole multiples of its smallest one; with a wrong ``f`` they are not. Either is
enough to know ``f``, and then ``u`` does not matter: ``log(1 + 10⁴ x / Σ x)`` is what the counts of the cell give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.cells import log_normalized

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy import sparse

__all__ = ["NATURAL", "Scale", "SumsSeen", "are_multiples", "proportional"]

_CELLS = 10
_SPREAD = 1e-4
_MULTIPLES = 100
_HIGHEST = math.log(1e12)
"""Logarithms above are none of counts; what is above is cut there, so that it cannot overflow."""


@dataclass(frozen=True)
class Scale:
    """A transform of values proportional to counts.

    Attributes:
        name: Which one, for people.
        undo: The values proportional to counts, from what was read.
        highest: No value of counts is above.
    """

    name: str
    undo: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    highest: float

    def to_log1p(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return ``log(1 + 10⁴ x / Σ x)`` of the values; no row is empty."""
        return log_normalized(matrix, self.undo(matrix.data.astype(np.float64)))


def _logarithm(name: str, base: float) -> Scale:
    factor = math.log(base)
    return Scale(name, lambda values: np.expm1(np.minimum(values * factor, _HIGHEST)), _HIGHEST / factor)


NATURAL = _logarithm("log(1 + x)", math.e)
_TWICE = math.log1p(_HIGHEST)

SCALES = (
    NATURAL,
    _logarithm("log2(1 + x)", 2.0),
    _logarithm("log10(1 + x)", 10.0),
    Scale("square roots", np.square, math.inf),
    Scale("log(1 + log(1 + x))", lambda values: NATURAL.undo(np.expm1(np.minimum(values, _TWICE))), _TWICE),
)
"""All that is known, the usual one first."""


class SumsSeen:
    """Sums of the cells under every scale that they may have, over a matrix that comes in pieces."""

    def __init__(self) -> None:
        self.cells = 0
        self.ranges = dict.fromkeys(SCALES, (math.inf, 0.0))

    def add(self, matrix: sparse.csr_matrix) -> None:
        """Look at some rows, none of them empty; a scale under which sums differ is not asked again."""
        values = matrix.data.astype(np.float64)
        top = values.max()
        self.cells += matrix.shape[0]
        for scale, (low, high) in list(self.ranges.items()):
            if top <= scale.highest:
                sums = np.add.reduceat(scale.undo(values), matrix.indptr[:-1])
                low, high = min(low, sums.min()), max(high, sums.max())
                self.ranges[scale] = low, high
            if top > scale.highest or high - low > _SPREAD * high:
                del self.ranges[scale]

    def constant(self) -> tuple[Scale, float] | None:
        """Return the scale under which all cells have one sum, and that sum."""
        if self.cells < _CELLS or not self.ranges:
            return None
        scale, ends = next(iter(self.ranges.items()))
        return scale, float(np.mean(ends))


def are_multiples(x: NDArray[np.float64], indptr: NDArray[np.integer], highest: float = math.inf) -> bool:
    """Tell whether values are whole multiples of the smallest of their row.

    Args:
        x: values above 0 `[nnz]`.
        indptr: row starts; no row is empty.
        highest: multiples above are not looked at.
    """
    ratio = x / np.repeat(np.minimum.reduceat(x, indptr[:-1]), np.diff(indptr))
    ratio = ratio[(ratio > 1.5) & (ratio < highest)]
    return len(ratio) >= _MULTIPLES and bool((np.abs(ratio - np.rint(ratio)) < 0.01).mean() > 0.95)


def proportional(matrix: sparse.csr_matrix) -> Scale | None:
    """Return the scale under which the values of these cells are whole multiples of the smallest of their cell."""
    values = matrix.data.astype(np.float64)
    top = values.max()
    for scale in SCALES:
        if top <= scale.highest and are_multiples(scale.undo(values), matrix.indptr, highest=1e3):
            return scale
    return None
