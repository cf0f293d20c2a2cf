"""Rows of cells of a SOMA matrix, read a block at a time by the ids of the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.checks import Compressed
from scgraph.data.files.stored import RowBlocks, damage
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["DenseRows", "SparseRows"]


class _Rows(RowBlocks):
    """Rows of an array of SOMA.

    Args:
        array: The array, open.
        cells: Ids of the rows `[n_obs]`, ascending.
        genes: Ids of the columns `[n_vars]`, ascending.
        where: Source, for messages.
    """

    def __init__(self, array: Any, cells: NDArray[np.int64], genes: NDArray[np.int64], where: str) -> None:
        self.array, self.cells, self.genes, self.where = array, cells, genes, where


class SparseRows(_Rows):
    """Rows of a `SparseNDArray`."""

    def size(self) -> int:
        """Return the bytes of the values and indices; of a part of the cells, as many as they would have on average."""
        share = len(self.cells) / max(1, int(self.array.shape[0]))
        return int(8 * int(self.array.nnz) * min(1.0, share))

    def blocks(self, start: int, entries: int) -> Iterator[tuple[int, Compressed]]:
        """Yield rows with about as many entries as asked for."""
        mean = max(1.0, self.array.nnz / max(1, int(self.array.shape[0])))
        step = max(1, int(entries / mean))
        for first in range(start, len(self.cells), step):
            yield first, self._read(self.cells[first : first + step])

    def _read(self, cells: NDArray[np.int64]) -> Compressed:
        with damage(self.where):
            whole = int(cells[-1]) - int(cells[0]) + 1 == len(cells)
            wanted = slice(int(cells[0]), int(cells[-1])) if whole else cells
            table = self.array.read((wanted, slice(None))).tables().concat()
            at, gene, values = (table[name].to_numpy() for name in ("soma_dim_0", "soma_dim_1", "soma_data"))
        columns = np.searchsorted(self.genes, gene)
        bad = np.flatnonzero(self.genes[np.minimum(columns, len(self.genes) - 1)] != gene)
        if len(bad):
            raise DataError(
                f"{self.where}: the cell with soma_joinid {at[bad[0]]:,} has a value for the gene {gene[bad[0]]:,}, "
                "and var has no such soma_joinid. The experiment is damaged: write it again from its source."
            )
        # Entries come tile by tile. The sort is stable and sees the few ascending runs there are.
        rows = np.searchsorted(cells, at)
        order = np.argsort(rows, kind="stable")
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(cells)))])
        return Compressed(
            values[order], columns[order].astype(np.int32), indptr, (len(cells), len(self.genes)), by_row=True
        )


class DenseRows(_Rows):
    """Rows of a `DenseNDArray`."""

    def size(self) -> int:
        """Return the bytes of the values."""
        return 4 * len(self.cells) * len(self.genes)

    def blocks(self, start: int, entries: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield rows; those between the cells that are wanted are read with them and let go."""
        step = max(1, entries // max(1, int(self.array.shape[1])))
        while start < len(self.cells):
            first = int(self.cells[start])
            stop = int(np.searchsorted(self.cells, first + step))
            cells = self.cells[start:stop]
            with damage(self.where):
                table = self.array.read((slice(first, int(cells[-1])), slice(None))).to_numpy()
                rows = table[cells - first][:, self.genes]
            yield start, rows
            start = stop
