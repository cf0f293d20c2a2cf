"""How many digits a table on a terminal shows: the one rule of all commands."""

from __future__ import annotations

import math

from scgraph.reporting.wording import NOTHING

__all__ = ["DECIMALS", "four_digits"]

DECIMALS = 4
"""Decimals of scores, differences and spreads, so that those of a column line up."""


def four_digits(value: float, *, sign: bool = False) -> str:
    """A number in four digits: four decimals up to 1, four significant digits above and below 0.001.

    Pages and files keep three decimals of scores: their tables have an interval in every other column.

    >>> four_digits(0.81234), four_digits(-0.2), four_digits(12.34567), four_digits(98765.4), four_digits(0.000412345)
    ('0.8123', '-0.2000', '12.35', '98,765', '0.0004123')
    >>> four_digits(0.0121, sign=True), four_digits(float("nan"))
    ('+0.0121', '-')
    >>> four_digits(0.00512)
    '0.0051'
    """
    plus = "+" if sign else ""
    size = abs(value)
    if not math.isfinite(value):
        return NOTHING
    if 0 < size < 1e-3:
        return f"{value:{plus}.4g}"
    # The places that the digits before the point leave; 9.9996 has two of them already.
    whole = len(f"{size:.0f}") if size >= 1 else 0
    return f"{value:{plus},.{max(0, DECIMALS - whole)}f}"
