"""Entries of cells laid aside as they come: in memory where they are few, else on the disk."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import numpy as np

from scgraph.data.store.column import ArrayColumn, DiskColumn
from scgraph.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scgraph.data.store.column import Column

    Columns = tuple[NDArray[np.int64], Column[np.int32], Column[np.float32]]

__all__ = ["EntryWriter"]

IN_MEMORY = 2**24
"""Entries that are kept in memory, 8 bytes each; more go to the disk."""

_BYTES = 8
_REMEDY = "Free some space, or name a folder on another disk in the variable TMPDIR."


class EntryWriter:
    """Takes genes and values of cells, a block at a time, and gives them back as columns that can be read in any order.

    The files on the disk never have a name: they go with the last use of the columns, or with the process, however it
    ends. A context manager.

    Args:
        most: Entries that come at most; where they would lie on the disk, it must have room for so many.
        source: Of the cells, for messages.
        in_memory: Keep them in memory however many they are.

    Raises:
        OutputError: The disk of temporary files is full or cannot be written; names its folder.
    """

    def __init__(self, most: int, source: str, *, in_memory: bool = False) -> None:
        # What is joined is never without a part.
        self._lengths = [np.zeros(0, np.int64)]
        self._arrays = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
        self._files: tuple[IO[bytes], ...] = ()
        self._where = "the folder of temporary files"
        if in_memory or most <= IN_MEMORY:
            return
        with self._disk():
            self._where = tempfile.gettempdir()
            needed, free = _BYTES * most, shutil.disk_usage(self._where).free
            if free < needed:
                raise OutputError(
                    f"{self._where}: the cells of {source} are laid aside there while they are used; "
                    f"{needed / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are left. {_REMEDY}"
                )
            # Without a name from the first byte on: a kill leaves nothing either.
            self._files = (tempfile.TemporaryFile(), tempfile.TemporaryFile())  # noqa: SIM115

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files; columns that were given out hold them open."""
        for file in self._files:
            # Closing writes what is left in its buffer: where that fails, an error is on its way already.
            with contextlib.suppress(OSError):
                file.close()

    def add(self, lengths: NDArray[np.int64], genes: NDArray[np.int32], values: NDArray[np.float32]) -> None:
        """Take the entries of some more cells.

        Args:
            lengths: Entries of each cell `[B]`.
            genes: Genes of the entries `[nnz]`.
            values: Their values `[nnz]`.

        Raises:
            OutputError: As the class.
        """
        self._lengths.append(lengths)
        if not self._files:
            self._arrays[0].append(genes)
            self._arrays[1].append(values)
            return
        with self._disk():
            for file, array in zip(self._files, (genes, values), strict=True):
                file.write(np.ascontiguousarray(array).data)

    def columns(self) -> Columns:
        """Return row starts `[n + 1]` and the columns of genes and values of all cells.

        Raises:
            OutputError: As the class.
        """
        indptr = np.concatenate([[0], np.cumsum(np.concatenate(self._lengths))]).astype(np.int64)
        if not self._files:
            genes, values = np.concatenate(self._arrays[0]), np.concatenate(self._arrays[1])
            return indptr, ArrayColumn(genes, indptr), ArrayColumn(values, indptr)
        with self._disk():
            where, first = Path(self._where), indptr[:-1]
            genes_file, values_file = self._files
            return (
                indptr,
                DiskColumn.of_file(genes_file, where, np.dtype(np.int32), first),
                DiskColumn.of_file(values_file, where, np.dtype(np.float32), first),
            )

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self._where}: cannot be written ({error.strerror or error}). {_REMEDY}") from error
