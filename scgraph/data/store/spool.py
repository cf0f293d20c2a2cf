"""The cells of a source laid aside once, so that they can be read again in any order without holding them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scgraph.data.cells import AnyCells, Cells
from scgraph.data.files.stream import row_runs
from scgraph.data.store.column import ArrayColumn
from scgraph.data.store.entries import EntryWriter
from scgraph.display import short_repr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scgraph.data.files.stream import CellStream
    from scgraph.data.store.column import Column

__all__ = ["SpooledCells", "SpooledMatrix", "spool"]


@dataclass(frozen=True, eq=False)
class SpooledMatrix:
    """Rows of values that may lie on the disk, and are read when asked for.

    Attributes:
        columns: Gene of every value, by its place in the file, of all cells that were laid aside.
        values: The values.
        at: Which of those cells these are `[n]`.
        lengths: Values of each of these cells `[n]`.
        genes: How many there are.
    """

    columns: Column[np.int32]
    values: Column[np.float32]
    at: NDArray[np.int64]
    lengths: NDArray[np.int64]
    genes: int

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return len(self.at), self.genes

    @property
    def indptr(self) -> NDArray[np.int64]:
        """Row starts `[n + 1]`."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    def __getitem__(self, rows: NDArray[np.integer[Any]]) -> SpooledMatrix:
        """Return some rows; no value is read."""
        return replace(self, at=self.at[rows], lengths=self.lengths[rows])

    def read(self) -> sparse.csr_matrix:
        """Read the values.

        Raises:
            DataError: The disk cannot be read.
        """
        indptr = self.indptr
        parts = self.values.read(self.at, indptr), self.columns.read(self.at, indptr), indptr
        return sparse.csr_matrix(parts, shape=self.shape)


@short_repr
@dataclass(frozen=True, eq=False)
class SpooledCells(AnyCells[SpooledMatrix]):
    """Cells of one source whose values are read when asked for; `subset` reads none."""

    @classmethod
    def of(cls, cells: Cells) -> SpooledCells:
        """Take cells that are in memory; nothing is copied."""
        indptr = cells.matrix.indptr.astype(np.int64)
        indices = cells.matrix.indices.astype(np.int32, copy=False)
        columns = ArrayColumn(indices, indptr), ArrayColumn(cells.matrix.data, indptr)
        matrix = SpooledMatrix(*columns, np.arange(len(cells)), np.diff(indptr), len(cells.symbols))
        return cls(**(vars(cells) | {"matrix": matrix}))

    @property
    def entries(self) -> int:
        """Values in all, zeros not counted."""
        return int(self.matrix.lengths.sum())

    def blocks(self) -> Iterator[Cells]:
        """Read the cells, a block at a time, in their order.

        Raises:
            DataError: The disk cannot be read.
        """
        for first, last in row_runs(self.matrix.indptr):
            block = self.subset(np.arange(first, last))
            yield Cells(**(vars(block) | {"matrix": block.matrix.read()}))


def spool(stream: CellStream) -> SpooledCells:
    """Read the cells of a source once more and lay them aside, in memory where they are few.

    The files on the disk never have a name: they go with the last use of them, or with the process, however it ends.

    Args:
        stream: The source, whose labels and batches are taken over.

    Raises:
        DataError: The file has changed since it was read first.
        OutputError: The disk of temporary files is full or cannot be written; names its folder.
    """
    with EntryWriter(stream.entries, str(stream.manifest["source"])) as entries:
        for block in stream.blocks():
            matrix = block.matrix
            genes = matrix.indices.astype(np.int32, copy=False)
            entries.add(np.diff(matrix.indptr).astype(np.int64), genes, matrix.data)
        indptr, columns, values = entries.columns()
    lengths = np.diff(indptr)
    spooled = SpooledMatrix(columns, values, np.arange(len(lengths)), lengths, len(stream.symbols))
    return SpooledCells(**(vars(stream.without_values()) | {"matrix": spooled}))
