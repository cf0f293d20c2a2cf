"""A column of a store: one number for every entry of every cell, such as its gene, in memory or in files.

Files are read with `pread` into buffers of their own. Mapped pages count as resident memory as soon as they are
touched, so a mapped store would grow to the size of its files, and a file that is cut while it is mapped kills
the process; both were measured and are why nothing is mapped here.
"""

from __future__ import annotations

import json
import os
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ArrayColumn", "Column", "DiskColumn", "read_column"]

_Number = TypeVar("_Number", np.int32, np.float32)
_FIRST = "first.npy"
_COPIED = 2**24
"""Bytes of a file that are copied at a time."""


class Column(ABC, Generic[_Number]):
    """One number for every entry of every cell.

    `rows` are cells `[B]`; `starts` tells where each begins when they stand one after another, and where the last
    ends `[B + 1]`.
    """

    @abstractmethod
    def read(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[_Number]:
        """Read the entries of rows one after another.

        Raises:
            DataError: A file is shorter than it was, or cannot be read; names it.
        """

    @abstractmethod
    def load(
        self, rows: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> tuple[NDArray[_Number], NDArray[np.int64], NDArray[np.int64]]:
        """Return an array that holds the rows, where its rows begin and end, and which of them are meant `[B]`.

        Nothing is copied that lies in memory already.

        Raises:
            DataError: As `read`.
        """

    @abstractmethod
    def subset(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> Column[_Number]:
        """Return the column of these rows, in that order; what is in files stays there."""

    @abstractmethod
    def prefetch(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
        """Ask the system to load the entries of rows, without waiting for them; in memory nothing happens."""

    @abstractmethod
    def save(self, folder: Path, name: str) -> None:
        """Lay the column into a folder for another process, which opens it with `read_column`.

        The columns of one store go into one folder.
        """


class ArrayColumn(Column[_Number]):
    """A column in memory.

    Args:
        array: The entries `[nnz]`.
        indptr: Row starts `[n + 1]`.
    """

    def __init__(self, array: NDArray[_Number], indptr: NDArray[np.int64]) -> None:
        self.array: NDArray[_Number] = array
        self.indptr = indptr

    def read(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[_Number]:
        """Copy the entries of rows."""
        del starts
        first, end = self.indptr[rows].tolist(), self.indptr[rows + 1].tolist()
        cells: list[NDArray[_Number]] = [self.array[start:stop] for start, stop in zip(first, end, strict=True)]
        return np.concatenate([self.array[:0], *cells])

    def load(
        self, rows: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> tuple[NDArray[_Number], NDArray[np.int64], NDArray[np.int64]]:
        """Return the whole array."""
        del starts
        return self.array, self.indptr, rows

    def subset(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> ArrayColumn[_Number]:
        """Copy the entries of rows."""
        return ArrayColumn(self.read(rows, starts), starts)

    def prefetch(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
        """Do nothing."""

    def save(self, folder: Path, name: str) -> None:
        """Write the array."""
        np.save(folder / f"{name}.npy", self.array, allow_pickle=False)


class DiskColumn(Column[_Number]):
    """A column that stays in the files of its shards.

    Args:
        paths: File of every shard; where it has no name, its folder.
        edges: Entries before each shard, and of all, `[shards + 1]`.
        dtype: Type in the files.
        first: Place of the first entry of every row `[n]`.
        handles: Open files, where they are open already.
        named: Whether another process can open the files.
    """

    def __init__(
        self,
        paths: list[Path],
        edges: NDArray[np.int64],
        dtype: np.dtype[_Number],
        first: NDArray[np.int64],
        *,
        handles: _Handles | None = None,
        named: bool = True,
    ) -> None:
        self.paths = paths
        self.edges = edges
        self.dtype: np.dtype[_Number] = dtype
        self.first = first
        self._handles = handles or _Handles(paths)
        self._named = named

    @classmethod
    def of_file(
        cls, file: IO[bytes], where: Path, dtype: np.dtype[_Number], first: NDArray[np.int64]
    ) -> DiskColumn[_Number]:
        """Return the column of one open file, which need not have a name; it stays readable when `file` is closed.

        Args:
            file: The file, written to its end.
            where: What messages name.
            dtype: Type in the file.
            first: Place of the first entry of every row `[n]`.
        """
        edges = np.asarray([0, file.seek(0, os.SEEK_END) // dtype.itemsize])
        return cls([where], edges, dtype, first, handles=_Handles(numbers=[os.dup(file.fileno())]), named=False)

    def read(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[_Number]:
        """Read the entries of rows, adjacent ones in one go."""
        entries: NDArray[_Number] = np.empty(int(starts[-1]), dtype=self.dtype)
        view = entries.data.cast("B") if len(entries) else memoryview(b"")
        for shard, place, low, high in self._runs(rows, starts):
            done = self._read(shard, view[low:high], place)
            while done < high - low:  # one call gives 2 GiB at most
                done += self._read(shard, view[low + done : high], place + done)
        return entries.astype(self.dtype.newbyteorder("="), copy=False)

    def load(
        self, rows: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> tuple[NDArray[_Number], NDArray[np.int64], NDArray[np.int64]]:
        """Read the rows."""
        return self.read(rows, starts), starts, np.arange(len(rows))

    def subset(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> DiskColumn[_Number]:
        """Return the column of rows of the same files; nothing is read."""
        del starts
        return DiskColumn(
            self.paths, self.edges, self.dtype, self.first[rows], handles=self._handles, named=self._named
        )

    def prefetch(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
        """Ask for the pages of the files."""
        if not hasattr(os, "posix_fadvise"):
            return
        for shard, place, low, high in self._runs(rows, starts):
            os.posix_fadvise(self._handles.numbers[shard], place, high - low, os.POSIX_FADV_WILLNEED)

    def save(self, folder: Path, name: str) -> None:
        """Write where the files are, and the places of the rows, which the columns of a store share.

        Files without a name are copied into the folder.
        """
        paths = self.paths
        if not self._named:
            paths = [folder / f"{name}-{shard}.bin" for shard in range(len(self.paths))]
            for number, path in zip(self._handles.numbers, paths, strict=True):
                _copy(number, path)
        described = {
            "paths": [str(path.absolute()) for path in paths],
            "edges": self.edges.tolist(),
            "dtype": self.dtype.str,
        }
        (folder / f"{name}.json").write_text(json.dumps(described), encoding="utf-8")
        np.save(folder / _FIRST, self.first, allow_pickle=False)

    def _runs(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> list[tuple[int, int, int, int]]:
        """Return shard, byte in its file, and bytes of the result from and to, for each run of adjacent rows."""
        full = np.flatnonzero(starts[1:] > starts[:-1])
        if not len(full):
            return []
        first, low, high = self.first[rows[full]], starts[:-1][full], starts[1:][full]
        shard = np.searchsorted(self.edges, first, side="right") - 1
        apart = (first[1:] != first[:-1] + (high - low)[:-1]) | (shard[1:] != shard[:-1])
        begin = np.concatenate([[0], np.flatnonzero(apart) + 1])
        end = np.concatenate([begin[1:], [len(full)]]) - 1
        size = self.dtype.itemsize
        place = (first[begin] - self.edges[shard[begin]]) * size
        columns = (shard[begin], place, low[begin] * size, high[end] * size)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def _read(self, shard: int, into: memoryview, place: int) -> int:
        try:
            done = os.preadv(self._handles.numbers[shard], [into], place)
        except OSError as error:
            raise DataError(f"{self.paths[shard]}: cannot be read ({error.strerror}).") from error
        if not done:
            raise DataError(f"{self.paths[shard]}: was cut off while it was in use. Prepare the store again.")
        return done


def _copy(number: int, path: Path) -> None:
    with path.open("xb") as copy:
        place = 0
        while part := os.pread(number, _COPIED, place):
            place += copy.write(part)


class _Handles:
    """Open files that are closed when nothing needs them any more."""

    def __init__(self, paths: Sequence[Path] = (), *, numbers: Sequence[int] = ()) -> None:
        self.numbers = list(numbers)
        weakref.finalize(self, _close, self.numbers)
        for path in paths:
            try:
                self.numbers.append(os.open(path, os.O_RDONLY))
            except OSError as error:
                raise DataError(f"{path}: cannot be opened ({error.strerror}).") from error


def _close(numbers: list[int]) -> None:
    for number in numbers:
        os.close(number)


def read_column(folder: Path, name: str, indptr: NDArray[np.int64]) -> Column[Any]:
    """Open what `Column.save` laid into a folder; an array is memory-mapped.

    Args:
        folder: The folder.
        name: Name that it was saved under.
        indptr: Row starts of the store `[n + 1]`.
    """
    if (folder / f"{name}.npy").is_file():
        return ArrayColumn(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False), indptr)
    described = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return DiskColumn(
        [Path(path) for path in described["paths"]],
        np.asarray(described["edges"], dtype=np.int64),
        np.dtype(described["dtype"]),
        np.load(folder / _FIRST, mmap_mode="r", allow_pickle=False),
    )
