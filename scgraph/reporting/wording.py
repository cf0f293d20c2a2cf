"""Numbers of a summary as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["NOTHING", "interval", "mean_and_sd", "plus_minus", "records"]

NOTHING = "-"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries with text keys."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def mean_and_sd(row: Mapping[str, Any], metric: str, *, decimals: int = 3) -> str:
    """`0.812 ± 0.004`, or the mean alone for one seed."""
    mean, sd = row[f"{metric}_mean"], row[f"{metric}_sd"]
    if not math.isfinite(mean):
        return NOTHING
    return f"{mean:.{decimals}f} {_spread(sd, decimals)}" if math.isfinite(sd) else f"{mean:.{decimals}f}"


def interval(row: Mapping[str, Any], metric: str, *, decimals: int = 3) -> str:
    """`+0.012 [-0.007, +0.031]`, or the difference alone and `(n = 1)`."""
    difference, low, high = (row[f"{metric}_{name}"] for name in ("difference", "low", "high"))
    if not math.isfinite(difference):
        return NOTHING
    if not math.isfinite(low):
        return f"{difference:+.{decimals}f} (n = 1)"
    return f"{difference:+.{decimals}f} [{low:+.{decimals}f}, {high:+.{decimals}f}]"


def plus_minus(row: Mapping[str, Any], metric: str, *, decimals: int = 3) -> str:
    """`interval` in less room, as `+0.012 ± 0.019`: half of its width behind the difference it lies around."""
    difference, high = row[f"{metric}_difference"], row[f"{metric}_high"]
    if not math.isfinite(high):
        return interval(row, metric, decimals=decimals)
    return f"{difference:+.{decimals}f} {_spread(high - difference, decimals)}"


def _spread(value: float, decimals: int) -> str:
    """`± 0.019`, or `±.0193`: beside four decimals a terminal of 80 columns has no room for a blank and a zero."""
    text = f"{value:.{decimals}f}"
    return f"± {text}" if decimals < 4 else f"±{text.removeprefix('0')}"
