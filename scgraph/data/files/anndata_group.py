"""A group laid out as AnnData, in HDF5 or zarr: its matrix as raw arrays, its tables as data frames."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from scgraph.data.files.claims import check_fits_tables, check_table
from scgraph.data.files.layers import layer_choices, which_layer
from scgraph.data.files.scale import log_base
from scgraph.data.files.storage import check_claims, datasets_of, is_array
from scgraph.data.files.stored import Opened, StoredMatrix
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pandas as pd

__all__ = ["is_layer", "open_group", "read_table", "stored_matrix", "strings"]

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
_RAW = ("raw/X", "raw.X")


def open_group(root: Any, where: str, layer: str | None, *, old: Path | None = None) -> Opened:
    """Find the matrix of a group that is laid out as AnnData.

    Args:
        root: The group.
        where: Source, for messages.
        layer: Layer to find instead of X; `"raw"` finds `.raw`.
        old: The file to read once more where its tables are older than anndata 0.7.

    Raises:
        DataError: A part is missing or in a form that is not known.
    """
    _check_format(root, where, "the file")
    for table, names in (("obs", "cells"), ("var", "genes")):
        if table not in root:
            raise DataError(f"{where}: it has no {table}, so the {names} have no names. Does it hold an AnnData?")
    element, var_key = _find_matrix(root, where, layer)

    def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
        if is_array(root["obs"]) or is_array(root[var_key]):
            check_claims(datasets_of(root), where)
            return _read_old(old, where, raw=var_key != "var")
        return read_table(root["obs"], where, "obs"), read_table(root[var_key], where, var_key)

    logged = None if "/layers/" in element.name else root.get("uns/log1p")
    matrix = stored_matrix(element, where)
    check_fits_tables(matrix, root["obs"], root[var_key], where)
    return Opened(where, matrix, tables, log_base(logged))


def is_layer(root: Any, layer: str, where: str) -> bool:
    """Tell whether a name means a layer, and not .raw.

    Raises:
        DataError: There is no such layer.
    """
    raw = any(key in root for key in _RAW)
    return which_layer(layer, _layers(root), raw=raw, where=where) is not None


def _layers(root: Any) -> Iterable[str]:
    return list(root["layers"]) if "layers" in root else []


def _find_matrix(root: Any, where: str, layer: str | None) -> tuple[Any, str]:
    """Return the matrix that `layer` names, and the key of the table of its genes."""
    raw = next((key for key in _RAW if key in root), None)
    layers = _layers(root)
    if layer is None:
        if "X" not in root or _encoding(root["X"])[0] == "null":
            choices = layer_choices(layers, raw=raw is not None)
            offer = f" Choose a layer: {', '.join(choices)}." if choices else " It has no layers either."
            raise DataError(f"{where}: it has no X.{offer}")
        return root["X"], "var"
    name = which_layer(layer, layers, raw=raw is not None, where=where)
    if name is not None:
        return root["layers"][name], "var"
    assert raw is not None
    return root[raw], "raw/var" if raw == "raw/X" else "raw.var"


def stored_matrix(element: Any, where: str) -> StoredMatrix:
    """Find the parts of a dense or sparse matrix of HDF5 or zarr.

    Raises:
        DataError: It is in a form that is not known.
    """
    _check_format(element, where, element.name)
    if is_array(element):
        if element.ndim != 2:
            raise DataError(f"{where}: {element.name} has {element.ndim} dimensions instead of cells and genes.")
        return StoredMatrix(element.shape, by_row=True, dense=element)
    kind = _text(element.attrs.get("encoding-type", element.attrs.get("h5sparse_format", "")))
    if not kind.startswith(("csr", "csc")):
        raise DataError(f"{where}: {element.name} is stored as {kind or 'a group'!r} instead of a matrix.")
    shape = element.attrs["shape" if "shape" in element.attrs else "h5sparse_shape"]
    parts = {name: element[name] for name in ("data", "indices", "indptr")}
    return StoredMatrix((int(shape[0]), int(shape[1])), by_row=kind.startswith("csr"), parts=parts)


def read_table(group: Any, where: str, name: str) -> pd.DataFrame:
    """Read a table of cells or genes.

    Raises:
        DataError: It has no names, or a column is in a form that is not known.
    """
    from anndata.io import read_elem

    _check_format(group, where, name)
    index = _text(group.attrs.get("_index", "")) or next((key for key in ("_index", "index") if key in group), "")
    if not index or index not in group:
        raise DataError(f"{where}: {name} has no names (its index is missing). Write the file again from its source.")
    for column in group:
        _check_format(group[column], where, f"{name}[{column!r}]")
    check_table(group, where, name, index)
    if "encoding-type" in group.attrs:
        table: pd.DataFrame = read_elem(group)
        return table
    return _read_unmarked(group, index)


def _read_unmarked(group: Any, index: str) -> pd.DataFrame:
    """Read names and plain columns of a table that says nothing of its form, as SeuratDisk writes `raw/var`."""
    import pandas as pd

    names = strings(group[index])
    columns = {
        key: strings(column) if column.dtype.kind in "OST" else column[()]
        for key, column in group.items()
        if key != index and is_array(column) and column.shape == (len(names),)
    }
    return pd.DataFrame(columns, index=pd.Index(names))


def _read_old(path: Path | None, where: str, *, raw: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the tables of a file older than anndata 0.7, which needs its `uns` for the categories."""
    import anndata

    if path is None:
        raise DataError(f"{where}: its tables are older than anndata 0.7. Read it and write it as .h5ad.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anndata.OldFormatWarning)
        warnings.filterwarnings("ignore", "Moving element from .uns", FutureWarning)
        adata = anndata.read_h5ad(path)
    return adata.obs, adata.raw.var if raw else adata.var


def strings(data: Any) -> list[str]:
    """Read an array of names as text."""
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
