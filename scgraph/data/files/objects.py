"""AnnData objects, in memory, backed by a file or read lazily, as sources of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.anndata_group import stored_matrix
from scgraph.data.files.checks import Compressed
from scgraph.data.files.layers import layer_choices, which_layer
from scgraph.data.files.scale import log_base
from scgraph.data.files.storage import check_claims
from scgraph.data.files.stored import Opened, StoredMatrix, arrays
from scgraph.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["in_memory", "open_object"]


def open_object(adata: AnnData, where: str, layer: str | None) -> Opened:
    """Find the matrix of an AnnData object.

    Raises:
        DataError: It is none, or has no such matrix.
    """
    import anndata

    if not isinstance(adata, anndata.AnnData):
        raise DataError(f"{where}: a path or an AnnData object is needed, not {type(adata).__name__}.")
    var: Any = adata.var
    raw = adata.raw
    name = None
    if layer is None:
        matrix = adata.X
        if matrix is None:
            choices = layer_choices(adata.layers, raw=raw is not None)
            offer = f" Choose a layer: {', '.join(choices)}." if choices else ""
            raise DataError(f"{where}: it has no X.{offer}")
    else:
        name = which_layer(layer, adata.layers, raw=raw is not None, where=where)
        if name is not None:
            matrix = adata.layers[name]
        else:
            matrix, var = raw.X, raw.var
    logged = adata.uns.get("log1p") if name is None else None

    def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
        return in_memory(adata.obs), in_memory(var)

    return Opened(where, _stored(matrix, where), tables, log_base(logged))


def in_memory(table: Any) -> pd.DataFrame:
    """Return the data frame of a table that may be read lazily."""
    frame: pd.DataFrame = table.to_memory() if hasattr(table, "to_memory") else table
    return frame


def _stored(matrix: Any, where: str) -> StoredMatrix:
    """Find the arrays of whatever an AnnData object holds as its matrix."""
    import h5py
    from anndata.abc import CSCDataset, CSRDataset
    from scipy import sparse

    if isinstance(matrix, CSRDataset | CSCDataset | h5py.Dataset):
        stored = stored_matrix(matrix if isinstance(matrix, h5py.Dataset) else matrix.group, where)
        check_claims(stored.datasets(), where)  # nobody has looked into the file yet
        return stored
    if type(matrix).__module__.split(".")[0] == "dask":
        return StoredMatrix(matrix.shape, by_row=True, lazy=matrix)
    if not (sparse.issparse(matrix) or isinstance(matrix, np.ndarray)):
        raise DataError(f"{where}: the matrix is a {type(matrix).__name__}. Make it a numpy or scipy.sparse matrix.")
    given: Any = matrix
    found = arrays(given)
    if isinstance(found, Compressed):
        parts = {"data": found.data, "indices": found.indices, "indptr": found.indptr}
        return StoredMatrix(found.shape, by_row=found.by_row, parts=parts)
    return StoredMatrix(found.shape, by_row=True, dense=found)
