"""The cells of a source laid aside once, so that they can be read again in any order without holding them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scgraph.data.cells import AnyCells, Cells
from scgraph.data.files.reading import content_sha256
from scgraph.data.files.stream import row_runs
from scgraph.data.store.column import ArrayColumn
from scgraph.data.store.entries import EntryWriter
from scgraph.display import short_repr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scgraph.data.files.stream import CellStream
    from scgraph.data.store.column import Column

__all__ = ["SpooledCells", "SpooledMatrix", "lay_aside"]


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
            yield self.subset(np.arange(first, last)).read()

    def read(self) -> Cells:
        """Read all of these cells at once: a sample, or a block.

        Raises:
            DataError: The disk cannot be read.
        """
        return Cells(**(vars(self) | {"matrix": self.matrix.read()}))

    def sha256(self) -> str:
        """Hash the cells as `read_cells` hashes those of an object, which has no file to be told by.

        Raises:
            DataError: The disk cannot be read.
        """
        indices = (block.matrix.indices for block in self.blocks())
        values = (block.matrix.data for block in self.blocks())
        return content_sha256(self.matrix.indptr, indices, values, self.symbols, self.ensembl, self.obs_names)


def lay_aside(source: Cells | CellStream) -> SpooledCells:
    """Make the cells of a source ones that can be read again in any order.

    Those of an object in memory stay where they are; those of a file or of an object that is backed by one are read
    once more and written down, see `EntryWriter`.

    Args:
        source: The source, whose labels and batches are taken over.

    Raises:
        DataError: The file has changed since it was read first.
        OutputError: The disk of temporary files is full or cannot be written; names its folder.
    """
    if isinstance(source, Cells):
        return SpooledCells.of(source)
    with EntryWriter(source.entries, str(source.manifest["source"])) as entries:
        for block in source.blocks():
            read = block.matrix
            genes = read.indices.astype(np.int32, copy=False)
            entries.add(np.diff(read.indptr).astype(np.int64), genes, read.data)
        indptr, columns, values = entries.columns()
    lengths = np.diff(indptr)
    matrix = SpooledMatrix(columns, values, np.arange(len(lengths)), lengths, len(source.symbols))
    cells = SpooledCells(**(vars(source.without_values()) | {"matrix": matrix}))
    if cells.manifest["sha256"] is not None:
        return cells
    return replace(cells, manifest=cells.manifest | {"sha256": cells.sha256()})
