"""Files opened with h5py: their matrix as raw arrays, their tables as data frames."""

from __future__ import annotations

import errno
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from scgraph.data.files.checks import Compressed
from scgraph.data.files.layers import layer_choices, which_layer
from scgraph.data.files.scale import log_base
from scgraph.data.files.storage import check_claims, check_fits, check_inside, datasets_of
from scgraph.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "Opened",
    "Source",
    "StoredMatrix",
    "damage",
    "open_cells",
    "open_file",
    "read_file",
    "stored_matrix",
    "tenx_matrix",
    "tenx_tables",
]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError, AttributeError)
_FORMATS = {
    "dataframe": {"0.1.0", "0.2.0"},
    "csr_matrix": {"0.1.0"},
    "csc_matrix": {"0.1.0"},
    "array": {"0.1.0", "0.2.0"},
    "string-array": {"0.1.0", "0.2.0"},
    "categorical": {"0.1.0", "0.2.0"},
    "nullable-integer": {"0.1.0"},
    "nullable-boolean": {"0.1.0"},
    "nullable-string-array": {"0.1.0"},
    "rec-array": {"0.1.0", "0.2.0"},
    "anndata": {"0.1.0"},
    "raw": {"0.1.0"},
    "dict": {"0.1.0"},
}


@dataclass(frozen=True)
class Source:
    """What a file or an AnnData object says, before it is checked; `log_base` as in `scgraph.data.files.scale`."""

    where: str
    matrix: Compressed | NDArray[Any]
    obs: pd.DataFrame
    var: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    log_base: float | None = None


@contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises:
        DataError: There is no such file, or it is a folder, empty, of another format, cut, damaged or locked, or
            it takes values from other files.
    """
    where = str(path)
    if path.is_dir():
        raise DataError(f"{where}: this is a folder. Name a file in it.")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        folder = path.parent
        near = [entry.name for entry in folder.iterdir() if entry.is_file()] if folder.is_dir() else []
        guess = did_you_mean(path.name, near) if near else ""
        raise DataError(f"{where}: there is no such file.{guess if 'mean' in guess else ''}") from None
    except OSError as error:
        raise DataError(f"{where}: it cannot be read ({error.strerror}).") from error
    if not head:
        raise DataError(f"{where}: the file is empty. Copy it again.")
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{where}: this is a git-LFS pointer, not the data. Run git lfs pull.")
    if not head.startswith(_SIGNATURE) and not h5py.is_hdf5(path):
        packed = " It is packed with gzip: unpack it first." if head.startswith(b"\x1f\x8b") else ""
        raise DataError(f"{where}: this is not an HDF5 file, whatever its name says.{packed} Give .h5ad or 10x .h5.")
    try:
        opened = h5py.File(path, "r")
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES) or re.search("lock file|for write", str(error)):
            raise DataError(
                f"{where}: another program writes to the file. Wait until it is done, or give a copy."
            ) from error
        cut = "is cut off" if "truncated" in str(error) else "is damaged"
        raise DataError(f"{where}: the file {cut} ({error}). Copy it again.") from error
    with opened:
        with damage(where):
            check_inside(opened, where)
        yield opened


@dataclass(frozen=True)
class StoredMatrix:
    """A matrix as it lies in a file; nothing of it is trusted, and little of it is read yet.

    Attributes:
        shape: Cells and genes that it claims.
        by_row: Whether its parts are rows of cells; true for a dense one.
        dense: The table, or None.
        parts: `data`, `indices` and `indptr` of a sparse one.
    """

    shape: tuple[int, ...]
    by_row: bool
    dense: h5py.Dataset | None = None
    parts: dict[str, h5py.Dataset] = field(default_factory=dict)

    def datasets(self) -> list[h5py.Dataset]:
        """Return what it is stored in."""
        return list(self.parts.values()) if self.dense is None else [self.dense]

    def read(self, where: str) -> Compressed | NDArray[Any]:
        """Read all of it.

        Raises:
            DataError: Memory cannot hold it.
        """
        check_fits(self.datasets(), where)
        if self.dense is not None:
            return np.asarray(self.dense[()])
        data, indices, indptr = (self.parts[name][()] for name in ("data", "indices", "indptr"))
        return Compressed(data, indices, indptr, (self.shape[0], self.shape[1]), by_row=self.by_row)


@dataclass(frozen=True)
class Opened:
    """A file whose matrix has been found: what is needed to read it whole or in pieces."""

    where: str
    matrix: StoredMatrix
    tables: Callable[[], tuple[pd.DataFrame, pd.DataFrame]]
    log_base: float | None = None


@contextmanager
def damage(where: str) -> Iterator[None]:
    """Turn what libraries raise over a damaged file into a `DataError` that names it."""
    try:
        yield
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{where}: the file is damaged ({reason}). Copy it again.") from error


@contextmanager
def open_cells(path: Path, layer: str | None) -> Iterator[Opened]:
    """Open an .h5ad or 10x .h5 file and find its matrix.

    Raises:
        DataError: A part is missing, damaged or in a form that is not known.
    """
    where = str(path)
    with open_file(path) as file:
        with damage(where):
            tenx = tenx_matrix(file)
            opened = _open_tenx(tenx, where, layer) if tenx is not None else _open_h5ad(file, path, layer)
            check_claims(opened.matrix.datasets(), where)
        yield opened


def read_file(path: Path, layer: str | None) -> Source:
    """Read the matrix and the tables of an .h5ad or 10x .h5 file.

    Raises:
        DataError: A part is missing, damaged or in a form that is not known.
    """
    with open_cells(path, layer) as opened, damage(opened.where):
        matrix = opened.matrix.read(opened.where)
        return Source(opened.where, matrix, *opened.tables(), log_base=opened.log_base)


def _open_h5ad(file: h5py.File, path: Path, layer: str | None) -> Opened:
    where = str(path)
    _check_format(file, where, "the file")
    for table, names in (("obs", "cells"), ("var", "genes")):
        if table not in file:
            raise DataError(f"{where}: it has no {table}, so the {names} have no names. Is it an .h5ad file?")
    element, var_key = _find_matrix(file, where, layer)

    def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
        if isinstance(file["obs"], h5py.Dataset) or isinstance(file[var_key], h5py.Dataset):
            check_claims(datasets_of(file["/"]), where)
            return _read_old(path, raw=var_key != "var")
        return _read_table(file["obs"], where, "obs"), _read_table(file[var_key], where, var_key)

    logged = None if element.name.startswith("/layers/") else file.get("uns/log1p")
    return Opened(where, stored_matrix(element, where), tables, log_base(logged))


def _find_matrix(file: h5py.File, where: str, layer: str | None) -> tuple[Any, str]:
    """Return the matrix that `layer` names, and the key of the table of its genes."""
    raw = next((key for key in ("raw/X", "raw.X") if key in file), None)
    layers = list(file["layers"]) if "layers" in file else []
    if layer is None:
        if "X" not in file or _encoding(file["X"])[0] == "null":
            choices = layer_choices(layers, raw=raw is not None)
            offer = f" Choose a layer: {', '.join(choices)}." if choices else " It has no layers either."
            raise DataError(f"{where}: it has no X.{offer}")
        return file["X"], "var"
    name = which_layer(layer, layers, raw=raw is not None, where=where)
    if name is not None:
        return file["layers"][name], "var"
    return file[raw], "raw/var" if raw == "raw/X" else "raw.var"


def stored_matrix(element: Any, where: str) -> StoredMatrix:
    """Find the parts of a dense or sparse matrix of an HDF5 file.

    Raises:
        DataError: It is in a form that is not known.
    """
    _check_format(element, where, element.name)
    if isinstance(element, h5py.Dataset):
        if element.ndim != 2:
            raise DataError(f"{where}: {element.name} has {element.ndim} dimensions instead of cells and genes.")
        return StoredMatrix(element.shape, by_row=True, dense=element)
    kind = _text(element.attrs.get("encoding-type", element.attrs.get("h5sparse_format", "")))
    if not kind.startswith(("csr", "csc")):
        raise DataError(f"{where}: {element.name} is stored as {kind or 'a group'!r} instead of a matrix.")
    shape = element.attrs["shape" if "shape" in element.attrs else "h5sparse_shape"]
    parts = {name: element[name] for name in ("data", "indices", "indptr")}
    return StoredMatrix((int(shape[0]), int(shape[1])), by_row=kind.startswith("csr"), parts=parts)


def _read_table(group: h5py.Group, where: str, name: str) -> pd.DataFrame:
    from anndata.io import read_elem

    _check_format(group, where, name)
    index = _text(group.attrs.get("_index", "")) or next((key for key in ("_index", "index") if key in group), "")
    if not index or index not in group:
        raise DataError(f"{where}: {name} has no names (its index is missing). Write the file again from its source.")
    for column in group:
        _check_format(group[column], where, f"{name}[{column!r}]")
    check_claims(datasets_of(group), where)
    if "encoding-type" in group.attrs:
        table: pd.DataFrame = read_elem(group)
        return table
    return _read_unmarked(group, index)


def _read_unmarked(group: h5py.Group, index: str) -> pd.DataFrame:
    """Read names and plain columns of a table that says nothing of its form, as SeuratDisk writes `raw/var`."""
    import pandas as pd

    names = _strings(group[index])
    columns = {
        key: _strings(column) if column.dtype.kind in "OS" else column[()]
        for key, column in group.items()
        if key != index and isinstance(column, h5py.Dataset) and column.shape == (len(names),)
    }
    return pd.DataFrame(columns, index=pd.Index(names))


def _read_old(path: Path, *, raw: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the tables of a file older than anndata 0.7, which needs its `uns` for the categories."""
    import anndata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anndata.OldFormatWarning)
        warnings.filterwarnings("ignore", "Moving element from .uns", FutureWarning)
        adata = anndata.read_h5ad(path)
    return adata.obs, adata.raw.var if raw else adata.var


def tenx_matrix(file: h5py.File) -> h5py.Group | None:
    """Return the matrix of a 10x file (of Cell Ranger 3, or of one genome of Cell Ranger 2), None for others."""
    # A table of cells may have a column of barcodes too.
    groups = [
        value for value in file.values() if isinstance(value, h5py.Group) and "barcodes" in value and "indptr" in value
    ]
    return groups[0] if len(groups) == 1 else None


def _open_tenx(group: h5py.Group, where: str, layer: str | None) -> Opened:
    if layer is not None:
        raise DataError(f"{where}: a 10x file has no layers, so no layer {layer!r}. Leave the layer out.")
    shape = group["shape"][()]
    # Stored by cell with genes as rows: read as genes in columns, the same arrays are rows of cells.
    parts = {name: group[name] for name in ("data", "indices", "indptr")}
    matrix = StoredMatrix((int(shape[1]), int(shape[0])), by_row=True, parts=parts)
    return Opened(where, matrix, lambda: tenx_tables(group, where))


def tenx_tables(group: h5py.Group, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the cells and genes of a 10x file, genes by their id."""
    import pandas as pd

    check_claims(datasets_of(group), where)
    features = group.get("features", group)
    ids = _strings(features["id"] if "id" in features else features["genes"])
    symbols = _strings(features["name"] if "name" in features else features["gene_names"])
    var = pd.DataFrame({"gene_ids": ids, "feature_name": symbols}, index=pd.Index(ids))
    if "feature_type" in features:
        var["feature_types"] = _strings(features["feature_type"])
    return pd.DataFrame(index=_strings(group["barcodes"])), var


def _strings(data: h5py.Dataset) -> list[str]:
    return [_text(name) for name in data[()]]


def _encoding(element: Any) -> tuple[str, str]:
    return _text(element.attrs.get("encoding-type", "")), _text(element.attrs.get("encoding-version", ""))


def _check_format(element: Any, where: str, what: str) -> None:
    kind, version = _encoding(element)
    if kind and version not in _FORMATS.get(kind, ()):
        raise DataError(
            f"{where}: {what} is stored as {kind!r} version {version!r}, which is not known here: a newer "
            "anndata wrote "
            "it. Write it again with anndata 0.12."
        )


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
