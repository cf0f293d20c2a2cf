"""Parts of the reference that are held out in turn: whole batches where there are several, else cells at random."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.files.names import examples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Folds", "make_folds"]

_MOST = 5


@dataclass(frozen=True, eq=False)
class Folds:
    """Which cells are held out together.

    Attributes:
        number: of the fold of every cell, `[n]`.
        known: whether cells of its class stand in another fold, `[n]`; what cannot be learned is not scored.
        how: one sentence on how they were made.
    """

    number: NDArray[np.int64]
    known: NDArray[np.bool_]
    how: str

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Give the rows that are learned from and those that are held out, fold by fold."""
        for fold in np.unique(self.number):
            yield np.flatnonzero(self.number != fold), np.flatnonzero(self.number == fold)


def make_folds(
    classes: Sequence[str], codes: NDArray[np.int64], batches: NDArray[np.str_] | None, *, seed: int
) -> Folds:
    """Divide cells into up to five folds, each with the same shares of the classes as far as that can be.

    Args:
        classes: names of the classes.
        codes: class of every cell, `[n]`.
        batches: batch of every cell, `[n]`, which stays whole where there are two batches or more; None for none.
        seed: of the draw.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    names = [] if batches is None else np.unique(batches).tolist()
    rows = np.zeros(len(codes))
    with warnings.catch_warnings():
        # A class with fewer cells than folds stands in as many folds as it has cells.
        warnings.filterwarnings("ignore", "The least populated class")
        if len(names) > 1:
            count = min(_MOST, len(names))
            parts = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(rows, codes, batches)
        else:
            count = min(_MOST, int(np.bincount(codes).max()))
            parts = StratifiedKFold(count, shuffle=True, random_state=seed).split(rows, codes)
        number = np.zeros(len(codes), dtype=np.int64)
        for fold, (_, held_out) in enumerate(parts):
            number[held_out] = fold
    table = np.zeros((len(classes), count), dtype=np.int64)
    np.add.at(table, (codes, number), 1)
    lone = (table > 0).sum(axis=1) == 1
    how = f"{len(names)} batches in {count} parts, whole" if len(names) > 1 else f"cells at random in {count} parts"
    if len(names) == 1:
        how += f" (there is one batch only, {names[0]!r})"
    if lone.any():
        absent = [name for name, alone in zip(classes, lone, strict=True) if alone]
        how += f"; not scored, as they stand in one part only: {examples(absent)}"
    return Folds(number, ~lone[codes], how)
