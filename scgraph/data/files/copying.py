"""A source of cells that is no .h5ad file, written as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from scgraph.data.files.checks import Compressed
from scgraph.data.files.forms import GroupForm
from scgraph.data.files.storage import is_array
from scgraph.data.files.stored import damage
from scgraph.files import check_hdf5_grows, table_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.data.files.forms import Form
    from scgraph.data.files.stored import RowBlocks

__all__ = ["write_h5ad"]

_STEP = 2**23
"""Values that are copied at a time."""


def write_h5ad(form: Form, path: Path, layer: str | None = None) -> None:
    """Write all that a source holds into a new .h5ad file; of its matrices a part at a time is in memory.

    Of a file of several modalities it is the one that was named, with what the table of all says of its cells; of an
    experiment of SOMA the measurement and the layer.

    Raises:
        OSError: The disk has no room for it, which is seen before HDF5 writes.
    """
    if isinstance(form, GroupForm):
        _write_group(form, path)
        return
    import anndata
    from anndata.io import write_elem

    opened = form.open(layer)
    obs, var = opened.tables()
    with h5py.File(path, "x") as file:
        check_hdf5_grows(file, form.size() + table_bytes(obs, var))
        write_elem(file, "/", anndata.AnnData(obs=obs, var=var))
        for none in ("X", "raw"):
            file.pop(none, None)
        matrix = opened.matrix
        if matrix.rows is not None:
            _copy_rows(matrix.rows, file, matrix.shape)
            return
        if matrix.dense is not None:
            _copy_array(matrix.dense, file, "X")
            _mark(file["X"], "array", "0.2.0")
            return
        rows = file.create_group("X")
        _mark(rows, "csr_matrix", "0.1.0")
        rows.attrs["shape"] = np.asarray([len(obs), len(var)], dtype=np.int64)
        for name, part in matrix.parts.items():
            _copy_array(part, rows, name)


def _copy_rows(matrix: RowBlocks, file: h5py.File, shape: tuple[int, ...]) -> None:
    """Write X from blocks of rows: dense ones as they are, others below each other."""
    parts: dict[str, Any] = {}
    entries = 0
    for first, block in matrix.blocks(0, _STEP):
        if not isinstance(block, Compressed):
            if first == 0:
                file.create_dataset("X", shape, dtype=block.dtype)
                _mark(file["X"], "array", "0.2.0")
            file["X"][first : first + len(block)] = block
            continue
        if first == 0:
            rows = file.create_group("X")
            _mark(rows, "csr_matrix", "0.1.0")
            rows.attrs["shape"] = np.asarray(shape, dtype=np.int64)
            for name, dtype in (("data", block.data.dtype), ("indices", block.indices.dtype)):
                parts[name] = rows.create_dataset(name, (0,), maxshape=(None,), dtype=dtype)
            parts["indptr"] = rows.create_dataset("indptr", (shape[0] + 1,), dtype=np.int64)
        for name in ("data", "indices"):
            parts[name].resize((entries + len(block.data),))
            parts[name][entries:] = getattr(block, name)
        parts["indptr"][first : first + len(block.indptr)] = block.indptr + entries
        entries += len(block.data)


def _write_group(form: GroupForm, path: Path) -> None:
    from anndata.io import write_elem

    obs = form.obs()
    with h5py.File(path, "x") as file:
        check_hdf5_grows(file, form.size() + table_bytes(obs))
        _mark(file, "anndata", "0.1.0")
        for name in form.root:
            if name == "obs":
                write_elem(file, "obs", obs)
            else:
                _copy_element(form.root[name], file, name, form.where)


def _copy_element(element: Any, into: h5py.Group, name: str, where: str) -> None:
    """Copy what HDF5 holds byte for byte, matrices of zarr a part at a time, and the rest of zarr as anndata does."""
    from anndata.io import read_elem, write_elem

    if isinstance(element, h5py.Group | h5py.Dataset):
        into.copy(element, into, name, expand_soft=True)
    elif name in ("layers", "raw") and not is_array(element):
        group = into.create_group(name)
        _copy_marks(element, group)
        for key in element:
            _copy_element(element[key], group, key, where)
    elif is_array(element) and element.dtype.kind in "biuf" and element.ndim:
        _copy_array(element, into, name)
        _copy_marks(element, into[name])
    elif str(element.attrs.get("encoding-type", "")).startswith(("csr", "csc")):
        group = into.create_group(name)
        _copy_marks(element, group)
        group.attrs["shape"] = np.asarray(element.attrs["shape"], dtype=np.int64)
        for key in ("data", "indices", "indptr"):
            _copy_array(element[key], group, key)
    else:
        with damage(where):
            read = read_elem(element)
        write_elem(into, name, read)


def _copy_array(array: Any, into: h5py.Group, name: str) -> None:
    if isinstance(array, h5py.Dataset):
        into.copy(array, into, name)
        return
    written = into.create_dataset(name, array.shape, dtype=array.dtype)
    step = max(1, _STEP // max(1, int(np.prod(array.shape[1:]))))
    for first in range(0, len(written), step):
        written[first : first + step] = array[first : first + step]


def _copy_marks(element: Any, copy: Any) -> None:
    if "encoding-type" in element.attrs:
        _mark(copy, element.attrs["encoding-type"], element.attrs["encoding-version"])


def _mark(element: Any, kind: str, version: str) -> None:
    element.attrs["encoding-type"], element.attrs["encoding-version"] = kind, version
