"""Which rows a table of models has, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BASELINES",
    "REGRESSION",
    "UNTRAINED",
    "model_order",
]

REGRESSION = "pca+logreg"
BASELINES = ("majority", REGRESSION)
UNTRAINED = " untrained"


def model_order(models: Iterable[str]) -> list[str]:
    """Baselines first, then every model in order of appearance with its untrained row above it."""
    names = list(dict.fromkeys(models))
    ordered = [name for name in BASELINES if name in names]
    for name in names:
        base = name.removesuffix(UNTRAINED)
        ordered += [n for n in (base + UNTRAINED, base) if n in names and n not in ordered]
    return ordered
