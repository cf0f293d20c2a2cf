"""How a cost grows with the size: the exponent of a power law, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import linear_regression
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Exponent", "fit_exponent"]


@dataclass(frozen=True)
class Exponent:
    """``cost ~ size^value``, fitted.

    Attributes:
        value: slope of log cost over log size; NaN below two points.
        error: its standard error; NaN below three points.
        n: number of points.
    """

    value: float
    error: float
    n: int

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        spread = "" if math.isnan(self.error) else f" ± {self.error:.2f}"
        return f"{self.value:.2f}{spread} ({self.n})"


def fit_exponent(sizes: Sequence[float], costs: Sequence[float]) -> Exponent:
    """Fit by least squares of log cost on log size.

    ``e = Σ (u - ū)(v - v̄) / Σ (u - ū)²`` with u = log size and v = log cost, and
    ``se(e)² = Σ (v - v̄ - e (u - ū))² / ((n - 2) Σ (u - ū)²)``.

    Args:
        sizes: positive.
        costs: of the same length; those that are not positive and finite are left out.
    """
    pairs = [(math.log(s), math.log(c)) for s, c in zip(sizes, costs, strict=True) if 0 < c < math.inf]
    u, v = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    n = len(pairs)
    if len(set(u)) < 2:
        return Exponent(math.nan, math.nan, n)
    slope, intercept = linear_regression(u, v)
    if n < 3:
        return Exponent(slope, math.nan, n)
    middle = sum(u) / n
    rest = sum((y - intercept - slope * x) ** 2 for x, y in pairs)
    spread = sum((x - middle) ** 2 for x in u)
    return Exponent(slope, math.sqrt(rest / ((n - 2) * spread)), n)
