"""Folders of Cell Ranger and single matrices in the Matrix Market format, with the tables that stand beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from scgraph.data.files.hdf5 import check_there
from scgraph.data.files.storage import check_room
from scgraph.data.files.stored import StoredMatrix, arrays, damage
from scgraph.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["Market", "find_market", "is_market"]

_ENDINGS = (".mtx", ".mtx.gz")
_ENTRY = 32
"""Bytes of an entry while it is read: two indices and a value, twice."""

_HELD: WeakValueDictionary[tuple[tuple[str, int, int], ...], StoredMatrix] = WeakValueDictionary()
"""Matrices that somebody still holds, by name, time and size of their files."""

_COLUMNS = ("gene_ids", "feature_name", "feature_types")


@dataclass(frozen=True)
class Market:
    """A matrix of features and cells, and the files that name them."""

    matrix: Path
    features: Path
    barcodes: Path

    def files(self) -> tuple[Path, ...]:
        """Return the three."""
        return self.matrix, self.features, self.barcodes

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Read the names of the cells and the features.

        Raises:
            DataError: A table is empty or damaged.
        """
        import pandas as pd

        features, barcodes = _table(self.features), _table(self.barcodes)
        columns = features.iloc[:, : len(_COLUMNS)]
        columns.columns = pd.Index(_COLUMNS[: columns.shape[1]])
        var = columns.set_index(pd.Index(columns["gene_ids"].to_list()))
        if columns.shape[1] == 1:  # names of whatever kind
            var = var.drop(columns="gene_ids")
        return pd.DataFrame(index=pd.Index(barcodes[0].to_list())), var

    def size(self, where: str) -> tuple[int, int, int]:
        """Return the number of cells, of features and of values, as the first lines of the file say.

        Raises:
            DataError: It is damaged, or does not fit to its tables.
        """
        import scipy.io

        check_there(self.matrix)
        with damage(str(self.matrix)):
            rows, columns, entries, *_ = scipy.io.mminfo(self.matrix)
        obs, var = self.tables()
        if (rows, columns) != (len(var), len(obs)):
            raise DataError(
                f"{where}: {self.matrix.name} has {rows:,} rows and {columns:,} columns, but {self.features.name} "
                f"names {len(var):,} features and {self.barcodes.name} {len(obs):,} cells. Rows are features, columns "
                "are cells: give the three files of one matrix."
            )
        return columns, rows, entries

    def stored(self, where: str) -> StoredMatrix:
        """Read the matrix as rows of cells; what is still held of the same files is not read again.

        Raises:
            DataError: It is damaged, too large for memory, or does not fit to its tables.
        """
        # A text takes minutes to read, and a command needs it twice and once more for a copy.
        files = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in self.files())
        stored = _HELD.get(files)
        if stored is None:
            stored = _HELD[files] = self._read(where)
        return stored

    def _read(self, where: str) -> StoredMatrix:
        import scipy.io

        check_room(_ENTRY * self.size(where)[2], where)
        with damage(str(self.matrix)):
            read: Any = scipy.io.mmread(self.matrix)
            if hasattr(read, "tocsr"):
                cells = read.T
                cells.has_canonical_format = True  # what stands twice is not added up but refused, later
                read = cells.tocsr()
            else:
                read = read.T
        found = arrays(read)
        if not hasattr(found, "indptr"):
            return StoredMatrix(found.shape, by_row=True, dense=found)
        parts = {name: getattr(found, name) for name in ("data", "indices", "indptr")}
        return StoredMatrix(found.shape, by_row=True, parts=parts)


def is_market(path: Path) -> bool:
    """Tell a matrix by its name, or a folder by what lies in it."""
    if path.is_dir():
        return bool(_matrices(path))
    return path.name.endswith(_ENDINGS)


def find_market(path: Path) -> Market:
    """Find a matrix and its tables: in a folder, or beside a matrix.

    A prefix of the name of the matrix is that of its tables, as in `GSM1_matrix.mtx.gz` and `GSM1_features.tsv.gz`.

    Raises:
        DataError: A folder holds several matrices or cannot be read, or a table is missing.
    """
    if path.is_dir():
        found = _matrices(path)
        if len(found) > 1:
            named = ", ".join(str(path / one.name) for one in found[:10])
            raise DataError(f"{path}: it holds {len(found)} matrices. Name one of them: {named}.")
        return find_market(found[0])
    check_there(path)
    features = _beside(path, "features", "genes")
    barcodes = _beside(path, "barcodes")
    for table, what, meant in (
        (features, "features.tsv (or genes.tsv)", "genes"),
        (barcodes, "barcodes.tsv", "cells"),
    ):
        if table is None:
            raise DataError(
                f"{path}: there is no {what}, or .tsv.gz, beside it, so the {meant} have no names. Put it there."
            )
    assert features is not None
    assert barcodes is not None
    return Market(path, features, barcodes)


def _matrices(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.name.endswith(_ENDINGS) and entry.is_file())
    except OSError as error:
        raise DataError(f"{folder}: it cannot be read ({error.strerror}).") from error


def _beside(path: Path, *names: str) -> Path | None:
    whole = path.name.removesuffix(".gz").removesuffix(".mtx")
    prefixes = dict.fromkeys((whole.removesuffix("matrix"), f"{whole}_", f"{whole}.", ""))
    candidates = (
        path.with_name(f"{prefix}{name}{ending}")
        for prefix in prefixes
        for name in names
        for ending in (".tsv.gz", ".tsv")
    )
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _table(path: Path) -> pd.DataFrame:
    import csv

    import pandas as pd

    head = check_there(path)
    options: dict[str, Any] = {"sep": "\t", "header": None, "dtype": str, "quoting": csv.QUOTE_NONE}
    options |= {"keep_default_na": False, "skip_blank_lines": False}
    with damage(str(path)):
        table: pd.DataFrame = pd.read_csv(path, compression="gzip" if head.startswith(b"\x1f\x8b") else None, **options)
    return table
