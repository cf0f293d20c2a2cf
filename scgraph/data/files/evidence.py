"""What the cells of a file show of their scale: sums that all cells share, and whole multiples of one unit.

With the right transform undone the sum over the genes is the same for all cells (where all genes are there), and the
values of a cell are whole multiples of one unit, what one count is worth; with a wrong one they are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.cells import SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    from numpy.typing import NDArray
    from scipy import sparse

    from scgraph.data.files.scale import Scale

__all__ = ["Evidence", "Piece", "obs_totals", "pieces", "whole_multiples"]

_USUAL = (SCALE, 1e6)
_COLUMNS = ("total_counts", "nCount_RNA", "n_counts")
_PIECE = 2**18
_CELLS = 10
_SPREAD = 1e-4
_ALIKE = 1e-6
_MULTIPLES = 50
_DISTINCT = 5
_FEWEST = 0.5
_MOST = 0.9
_MOSTLY = 0.75
_UNITS = 16
_FEW = 3
_NAMED = 4
_LOOSE, _ROUNDED, _HIGHEST = 0.01, 0.002, 50
"""How far a multiple may be from a whole one: logarithms are often rounded to three decimals, and with these none above
50 is told from its neighbours."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Some cells, each with the values that differ.

    Attributes:
        values: Values, ascending in a cell `[k]`.
        times: How many genes have it `[k]`.
        indptr: Cell starts `[n + 1]`; no cell is empty.
        integer: Cells of several values, all of them whole numbers `[n]`.
        names: Names of the cells `[n]`.
        totals: Columns of obs that may hold the counts of the whole cells `[n]`.
    """

    values: NDArray[np.float64]
    times: NDArray[np.int64]
    indptr: NDArray[np.int64]
    integer: NDArray[np.bool_]
    names: NDArray[np.str_]
    totals: Mapping[str, NDArray[np.float64]]


def pieces(
    matrix: sparse.csr_matrix, names: NDArray[np.str_], totals: Mapping[str, NDArray[np.float64]]
) -> Iterator[Piece]:
    """Cut rows, none of them empty, into pieces that are cheap to look at."""
    indptr = matrix.indptr.astype(np.int64)
    first = 0
    while first < matrix.shape[0]:
        last = max(first + 1, int(np.searchsorted(indptr, indptr[first] + _PIECE, side="right")) - 1)
        starts = indptr[first : last + 1] - indptr[first]
        data = matrix.data[indptr[first] : indptr[last]].astype(np.float64)
        values = data[np.lexsort((data, np.repeat(np.arange(last - first), np.diff(starts))))]
        new = np.ones(len(values), dtype=np.bool_)
        new[1:] = values[1:] > values[:-1] * (1 + _ALIKE)
        new[starts[:-1]] = True
        at = np.flatnonzero(new)
        times = np.diff(np.append(at, len(values)))
        columns = {key: column[first:last] for key, column in totals.items()}
        values, bounds = values[at], np.searchsorted(at, starts)
        integer = np.logical_and.reduceat(values == np.rint(values), bounds[:-1]) & (np.diff(bounds) >= _FEW)
        yield Piece(values, times, bounds, integer, names[first:last], columns)
        first = last


def whole_multiples(
    x: NDArray[np.float64], indptr: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Find the unit of every cell of which its values are whole multiples.

    The smallest value is taken as one count, and as 2 to 16 where one does not fit.

    Args:
        x: Values above 0 `[k]`, best those of a cell that differ.
        indptr: Cell starts; no cell is empty.

    Returns:
        By cell `[n]` the unit, the number of values that could tell, and how many of these are whole multiples.
    """
    lengths = np.diff(indptr)
    unit = np.minimum.reduceat(x, indptr[:-1])
    ratio = x / np.repeat(unit, lengths)
    informative, whole = _tell(ratio, indptr)
    pending = np.flatnonzero(whole < _MOST * informative)
    for count in range(2, _UNITS + 1):
        if not len(pending):
            break
        inside = np.zeros(len(lengths), dtype=np.bool_)
        inside[pending] = True
        starts = np.concatenate([[0], np.cumsum(lengths[pending])])
        telling, hits = _tell(ratio[np.repeat(inside, lengths)] * count, starts)
        fits = (telling >= _FEW) & (hits >= _MOST * telling)
        rows = pending[fits]
        unit[rows] /= count
        informative[rows], whole[rows] = telling[fits], hits[fits]
        pending = pending[~fits]
    return unit, informative, whole


def _tell(ratio: NDArray[np.float64], indptr: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count by cell the multiples that could be told from whole ones, and those that are whole."""
    telling = (ratio > 1.1) & (ratio < _HIGHEST)
    hits = telling & (np.abs(ratio - np.rint(ratio)) < _LOOSE + _ROUNDED * ratio)
    starts = indptr[:-1]
    return np.add.reduceat(telling.astype(np.int64), starts), np.add.reduceat(hits.astype(np.int64), starts)


@dataclass(eq=False)
class Evidence:
    """What cells show with one scale undone.

    Attributes:
        scale: The scale.
        cells: Cells seen.
        low, high: Range of the sums of x.
        informative, whole: Values that could tell whether they are whole multiples, and how many are.
        broken: Names of the first cells that are none.
        supported: Cells before these that are, and by no chance.
        possible: Whether no value is higher than the scale allows.
        totals: By column of obs, what it makes one whole cell add up to, of every cell whose unit is known.
    """

    scale: Scale
    cells: int = 0
    low: float = math.inf
    high: float = 0.0
    informative: int = 0
    whole: int = 0
    broken: list[str] = field(default_factory=list)
    supported: int = 0
    possible: bool = True
    totals: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether no further cell can make this scale the one that is shown."""
        return not self.possible or (not self._agree and len(self.broken) >= _NAMED)

    @property
    def _agree(self) -> bool:
        return self.high - self.low <= _SPREAD * self.high

    @property
    def constant(self) -> bool:
        """Whether all cells have one sum, and that is no chance."""
        usual = any(abs(self.high - total) < _SPREAD * total for total in _USUAL)
        return self.possible and self._agree and (self.cells >= _CELLS or (usual and self.cells > 0))

    @property
    def counted(self) -> bool:
        """Whether all cells are whole multiples, and that is no chance."""
        whole = self.informative >= _MULTIPLES and self.whole > 0.95 * self.informative
        return self.possible and whole and not self.broken

    def add(self, piece: Piece) -> None:
        """Look at more cells."""
        starts = piece.indptr[:-1]
        x = self.scale.undo(np.minimum(piece.values, self.scale.highest))
        high = np.maximum.reduceat(piece.values, starts) > self.scale.highest
        self.possible &= not high.any()
        sums = np.add.reduceat(x * piece.times, starts)
        self.cells += len(sums)
        self.low, self.high = min(self.low, float(sums.min())), max(self.high, float(sums.max()))
        if len(self.broken) >= _NAMED:
            return
        unit, informative, whole = whole_multiples(x, piece.indptr)
        telling = informative >= _DISTINCT
        known = telling & (whole >= _MOST * informative) & ~high
        broken = (telling & (whole < _FEWEST * informative)) | high
        if self.scale.word != "linear":
            broken |= piece.integer
        if not self.broken:
            self.supported += int(known[: broken.argmax() if broken.any() else None].sum())
        self.broken += piece.names[broken][: _NAMED - len(self.broken)].tolist()
        self.informative += int(informative.sum())
        self.whole += int(whole.sum())
        for key, column in piece.totals.items():
            self.totals.setdefault(key, []).append((unit * column)[known])

    def add_whole(self, matrix: sparse.csr_matrix, names: NDArray[np.str_]) -> None:
        """Look at cells of whole numbers alone, which only `linear` allows, at little cost."""
        self.cells += matrix.shape[0]
        if self.scale.word != "linear":
            self.possible = False
            self.broken += names[: _NAMED - len(self.broken)].tolist()
            return
        sums = matrix.sum(axis=1).A1
        self.low, self.high = min(self.low, float(sums.min())), max(self.high, float(sums.max()))

    def whole_cell(self) -> tuple[float, str] | None:
        """Return what a whole cell adds up to and the column of obs that says so, where the file lacks genes of it."""
        for key, parts in self.totals.items():
            products = np.concatenate(parts)
            if self.constant or not len(products):
                continue
            total = float(np.median(products))
            if len(products) < _CELLS and not any(abs(total - usual) < _LOOSE * usual for usual in _USUAL):
                continue
            alike = np.abs(products - total) <= _LOOSE * total
            if alike.mean() > _MOSTLY and self.high <= (1 + _LOOSE) * total:
                return (SCALE if abs(total - SCALE) < 1e-3 * SCALE else total), key
        return None


def obs_totals(obs: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return the columns of obs that may hold the counts of whole cells, float64 `[n]`."""
    columns = list(obs.columns)
    single = {key: obs[key] for key in _COLUMNS if columns.count(key) == 1}
    return {
        key: np.nan_to_num(column.to_numpy(dtype=np.float64, na_value=np.nan), posinf=0)
        for key, column in single.items()
        if column.dtype.kind in "iuf"
    }
