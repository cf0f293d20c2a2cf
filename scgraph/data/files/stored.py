"""A matrix as it lies in a file or an object, not read yet, and what is found of the cells around it."""

from __future__ import annotations

import zipfile
import zlib
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.checks import Compressed
from scgraph.data.files.storage import check_fits, check_room
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from numpy.typing import NDArray
    from scipy import sparse

__all__ = ["Opened", "RowBlocks", "Source", "StoredMatrix", "arrays", "damage"]

_DAMAGE = (
    *(OSError, EOFError, KeyError, RuntimeError, ValueError, TypeError, IndexError, AttributeError, OverflowError),
    *(zlib.error, zipfile.BadZipFile),
)

_ENTRIES = 2**22
"""Entries of a block where all of a matrix is read by blocks."""


@dataclass(frozen=True)
class Source:
    """What a file or an AnnData object says, before it is checked; `log_base` as in `scgraph.data.files.scale`."""

    where: str
    matrix: Compressed | NDArray[Any]
    obs: pd.DataFrame
    var: pd.DataFrame
    notes: tuple[str, ...] = ()
    log_base: float | None = None


class RowBlocks(ABC):
    """A matrix that gives rows of cells by blocks, and whose arrays cannot be had otherwise."""

    @abstractmethod
    def size(self) -> int:
        """Return about how many bytes all of it takes in memory."""

    @abstractmethod
    def blocks(self, start: int, entries: int) -> Iterator[tuple[int, Compressed | NDArray[Any]]]:
        """Yield the number of the first row and the rows of each block, checked, with about so many entries each.

        Args:
            start: First row that is wanted.
            entries: As said.
        """


@dataclass(frozen=True)
class StoredMatrix:
    """A matrix as it is stored; nothing of it is trusted, and little of it is read yet.

    Its arrays are datasets of HDF5, arrays of zarr, or numpy arrays; one that dask computes is `lazy`, one that gives
    rows alone is `rows`.

    Attributes:
        shape: Cells and genes that it claims.
        by_row: Whether its parts are rows of cells; true for a dense one.
        dense: The table, or None.
        parts: `data`, `indices` and `indptr` of a sparse one.
        lazy: A dask array, of numpy arrays or sparse matrices, or None.
        rows: Blocks of rows, or None.
    """

    shape: tuple[int, ...]
    by_row: bool
    dense: Any = None
    parts: dict[str, Any] = field(default_factory=dict)
    lazy: Any = None
    rows: RowBlocks | None = None

    @property
    def in_memory(self) -> bool:
        """Whether its values were read from a text and are arrays of numpy."""
        return any(isinstance(part, np.ndarray) for part in self.datasets())

    @property
    def on_disk(self) -> bool:
        """Whether its values are read, or computed, as they are asked for."""
        return self.lazy is not None or not all(isinstance(part, np.ndarray) for part in self.datasets())

    def datasets(self) -> list[Any]:
        """Return what it is stored in."""
        if self.lazy is not None or self.rows is not None:
            return []
        return list(self.parts.values()) if self.dense is None else [self.dense]

    def read(self, where: str) -> Compressed | NDArray[Any]:
        """Read all of it.

        Raises:
            DataError: Memory cannot hold it.
        """
        if self.lazy is not None:
            return arrays(self.lazy.compute())
        if self.rows is not None:
            check_room(self.rows.size(), where)
            return _joined([block for _, block in self.rows.blocks(0, _ENTRIES)], self.shape)
        check_fits(self.datasets(), where)
        if self.dense is not None:
            return np.asarray(self.dense[()])
        data, indices, indptr = (np.asarray(self.parts[name][()]) for name in ("data", "indices", "indptr"))
        return Compressed(data, indices, indptr, (self.shape[0], self.shape[1]), by_row=self.by_row)


@dataclass(frozen=True)
class Opened:
    """A source whose matrix has been found: what is needed to read it whole or in pieces."""

    where: str
    matrix: StoredMatrix
    tables: Callable[[], tuple[pd.DataFrame, pd.DataFrame]]
    log_base: float | None = None
    notes: tuple[str, ...] = ()

    def read(self, check: Callable[[pd.DataFrame], None] = lambda obs: None) -> Source:
        """Read all of it.

        Args:
            check: Told the table of the cells before the matrix is read, to refuse it.

        Raises:
            DataError: It is damaged, or memory cannot hold it.
        """
        with damage(self.where):
            obs, var = self.tables()
        check(obs)
        with damage(self.where):
            matrix = self.matrix.read(self.where)
        return Source(self.where, matrix, obs, var, self.notes, self.log_base)


def _joined(blocks: list[Compressed | NDArray[Any]], shape: tuple[int, ...]) -> Compressed | NDArray[Any]:
    """Put blocks of rows below each other."""
    sparse = [block for block in blocks if isinstance(block, Compressed)]
    dense = [block for block in blocks if not isinstance(block, Compressed)]
    if not sparse:
        return np.concatenate(dense) if dense else np.zeros(shape, dtype=np.float32)
    indptr = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(block.indptr) for block in sparse]))])
    data, indices = (np.concatenate([getattr(block, name) for block in sparse]) for name in ("data", "indices"))
    return Compressed(data, indices, indptr, (shape[0], shape[1]), by_row=True)


def arrays(matrix: sparse.spmatrix | NDArray[Any]) -> Compressed | NDArray[Any]:
    """Return the arrays of a matrix in memory."""
    from scipy import sparse

    if not sparse.issparse(matrix):
        return np.asarray(matrix)
    given: Any = matrix
    rows = given if given.format in ("csr", "csc") else given.tocsr()
    return Compressed(rows.data, rows.indices, rows.indptr, rows.shape, by_row=rows.format == "csr")


@contextmanager
def damage(where: str) -> Iterator[None]:
    """Turn what libraries raise over a damaged file into a `DataError` that names it."""
    try:
        yield
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{where}: the file is damaged ({reason}). Copy it again.") from error
