"""Scales of values: what was done to the counts of a cell, and how it is undone.

A value of a gene in a cell is ``v = f(u c)``: its count ``c``, a factor ``u`` of the cell, and a transform ``f``, such
as ``log(1 + x)``. With ``f`` undone, ``x = u c`` is proportional to the counts, and ``log(1 + 10⁴ x / Σ x)`` is what
the counts of the cell give, whatever ``u`` was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scgraph.data.cells import SCALE, log_normalized

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy import sparse

__all__ = ["NATURAL", "SCALES", "Change", "Scale", "Values", "log_base", "logarithm"]

Values = Literal["counts", "linear", "log1p", "log2", "log10", "sqrt"]
"""What values can be declared to be, of x that is proportional to the counts within a cell: whole counts, ``x``,
``ln(1 + x)``, ``log2(1 + x)``, ``log10(1 + x)``, ``√x``."""

_HIGHEST = math.log(1e12)
"""Logarithms above are none of counts."""


@dataclass(frozen=True)
class Scale:
    """A transform of values proportional to counts.

    Attributes:
        word: The word that declares it, `""` where none does; see `Values`.
        name: Which one, for people.
        undo: The values proportional to counts, from what was read.
        highest: No value of counts is above.
    """

    word: str
    name: str
    undo: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    highest: float = math.inf


@dataclass(frozen=True)
class Change:
    """What is done to the values of a file to have log1p of counts per 10,000.

    Attributes:
        scale: The scale that is undone.
        total: What x of a whole cell adds up to, where the file lacks genes that are in it; None where the genes of
            the file are all that counts.
    """

    scale: Scale
    total: float | None = None

    def __call__(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return ``log(1 + 10⁴ x / total)`` of the values; no row is empty."""
        if self.scale is NATURAL and self.total == SCALE:
            return matrix
        return log_normalized(matrix, self.scale.undo(matrix.data.astype(np.float64)), self.total)


def logarithm(base: float) -> Scale:
    """Return ``log(1 + x)`` to a base."""
    factor = math.log(base)
    word, name = {math.e: ("log1p", "log(1 + x)"), 2.0: ("log2", "log2(1 + x)"), 10.0: ("log10", "log10(1 + x)")}.get(
        base, ("", f"log(1 + x) to the base {base:g}")
    )
    return Scale(word, name, lambda values: np.expm1(values * factor), _HIGHEST / factor)


NATURAL = logarithm(math.e)

SCALES = (
    NATURAL,
    logarithm(2.0),
    logarithm(10.0),
    Scale("linear", "x without a logarithm", lambda values: values),
    Scale("sqrt", "square roots", np.square),
    Scale("", "log(1 + log(1 + x))", lambda values: np.expm1(np.expm1(values)), math.log1p(_HIGHEST)),
)
"""All that is known, the usual one first."""


def log_base(record: Any) -> float | None:
    """Return the base that ``uns["log1p"]`` of scanpy records, e where it names none; None where there is no record.

    >>> log_base({"base": 2}), log_base({"base": None}), log_base({}), log_base(None)
    (2.0, 2.718281828459045, 2.718281828459045, None)
    """
    if record is None:
        return None
    try:
        base = record["base"]
        number = float(base[()] if hasattr(base, "shape") else base)
    except (KeyError, TypeError, ValueError, IndexError):
        return math.e
    return number if 1 < number < math.inf else None
