"""The cells of a source laid aside once, so that they can be read again in any order without holding them."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scgraph.data.cells import AnyCells, Cells
from scgraph.data.files.reading import content_sha256
from scgraph.data.files.stream import row_runs
from scgraph.data.store.column import ArrayColumn, DiskColumn
from scgraph.display import short_repr
from scgraph.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scgraph.data.files.stream import CellStream
    from scgraph.data.store.column import Column

__all__ = ["SpooledCells", "SpooledMatrix", "spool"]

_IN_MEMORY = 2**24
"""Values of a source that are kept in memory, 8 bytes each; those of a larger one go to the disk."""


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

    def expressed(self) -> NDArray[np.int64]:
        """Count the cells that express each gene `[n_genes]`."""
        return sum((block.expressed() for block in self.blocks()), np.zeros(len(self.symbols), np.int64))

    def sums(self) -> NDArray[np.float64]:
        """Add up the values of each gene `[n_genes]`, as they are stored."""
        return sum((block.sums() for block in self.blocks()), np.zeros(len(self.symbols)))


def spool(stream: CellStream) -> SpooledCells:
    """Read the cells of a source once more and lay them aside, in memory where they are few.

    The files on the disk never have a name: they go with the last use of them, or with the process, however it ends.

    Args:
        stream: The source, whose labels and batches are taken over.

    Raises:
        DataError: The file has changed since it was read first.
        OutputError: The disk of temporary files is full or cannot be written; names its folder.
    """
    lengths = np.zeros(len(stream), np.int64)
    columns: Column[np.int32]
    values: Column[np.float32]
    if stream.entries <= _IN_MEMORY:
        arrays = np.empty(stream.entries, np.int32), np.empty(stream.entries, np.float32)
        at = cell = 0
        for block in stream.blocks():
            matrix = block.matrix
            lengths[cell : cell + len(block)] = np.diff(matrix.indptr)
            arrays[0][at : at + matrix.nnz], arrays[1][at : at + matrix.nnz] = matrix.indices, matrix.data
            at, cell = at + matrix.nnz, cell + len(block)
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        columns, values = ArrayColumn(arrays[0], indptr), ArrayColumn(arrays[1], indptr)
    else:
        columns, values = _on_disk(stream, lengths)
    spooled = SpooledMatrix(columns, values, np.arange(len(lengths)), lengths, len(stream.symbols))
    return SpooledCells(**(vars(stream.without_values()) | {"matrix": spooled}))


def _on_disk(stream: CellStream, lengths: NDArray[np.int64]) -> tuple[DiskColumn[np.int32], DiskColumn[np.float32]]:
    """Write the values of a source into two files without a name, and the number of each cell into `lengths`."""
    remedy = "Free some space, or name a folder on another disk in the variable TMPDIR."
    where = "the folder of temporary files"
    try:
        where = tempfile.gettempdir()
        needed, free = 8 * stream.entries, shutil.disk_usage(where).free
        if free < needed:
            raise OutputError(
                f"{where}: the cells of {stream.manifest['source']} are laid aside there while they are used; "
                f"{needed / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are left. {remedy}"
            )
        # Without a name from the first byte on: a kill leaves nothing either.
        with tempfile.TemporaryFile() as columns, tempfile.TemporaryFile() as values:
            cell = 0
            for block in stream.blocks():
                lengths[cell : cell + len(block)] = np.diff(block.matrix.indptr)
                columns.write(np.ascontiguousarray(block.matrix.indices, np.int32).data)
                values.write(np.ascontiguousarray(block.matrix.data, np.float32).data)
                cell += len(block)
            first = np.cumsum(lengths) - lengths
            return (
                DiskColumn.of_file(columns, Path(where), np.dtype(np.int32), first),
                DiskColumn.of_file(values, Path(where), np.dtype(np.float32), first),
            )
    except OSError as error:
        raise OutputError(f"{where}: cannot be written ({error.strerror or error}). {remedy}") from error
