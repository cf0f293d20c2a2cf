"""A zarr or a 10x file that claims more than its bytes hold is refused before memory is taken; honest ones are read."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import anndata
import h5py
import numpy as np
import pytest
import zarr
from scipy import sparse

from scgraph.data import read_cells
from scgraph.data.files.stream import CellStream
from scgraph.data.files.zarr_storage import entries_held, values_missing
from scgraph.errors import DataError
from scgraph.memory import status_bytes
from tests.forking import Forked
from tests.forms import write_tenx, write_zarr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., anndata.AnnData]

HUGE = 10**11
MOST = 2**25
"""Bytes that a refusal may take."""


def _replace(group: zarr.Group, name: str, shape: int, dtype: str = "int32", chunk: int = 10**6) -> zarr.Array:
    marks = dict(group[name].attrs)
    del group[name]
    array = group.create_array(name, shape=(shape,), dtype=dtype, chunks=(min(chunk, shape),))
    array.attrs.update(marks)
    return array


def _to_the_end(root: zarr.Group) -> None:
    _replace(root["X"], "indptr", 41, "int64")[1:] = HUGE


def _sparse(root: zarr.Group) -> None:
    for name in ("data", "indices"):
        _replace(root["X"], name, HUGE)
    _to_the_end(root)


def _constant(root: zarr.Group) -> None:
    """Chunks that are there, of bytes that cannot hold them."""
    for name in ("data", "indices"):
        array = _replace(root["X"], name, HUGE, chunk=10**9)
        path = array.store_path.store.root / array.path / "c"
        path.mkdir(parents=True)
        for number in range(100):
            (path / str(number)).write_bytes(b"(\xb5/\xfd" * 20)
    _to_the_end(root)


def _names(root: zarr.Group) -> None:
    _replace(root["obs"], str(root["obs"].attrs["_index"]), HUGE)


def _column(root: zarr.Group) -> None:
    _replace(root["obs"], "n_genes", HUGE, "int64")


def _codes(root: zarr.Group) -> None:
    _replace(root["obs/cell_type"], "codes", HUGE, "int8")


def _dense(root: zarr.Group) -> None:
    del root["X"]
    array = root.create_array("X", shape=(10**6, 10**5), dtype="float32", chunks=(1000, 1000))
    array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def _rows(root: zarr.Group) -> None:
    _replace(root["X"], "indptr", HUGE + 1)
    root["X"].attrs["shape"] = [HUGE, 30]


EDITS = [_sparse, _constant, _names, _column, _codes, _dense, _rows]


def refused(path: Path, read: Callable[[Path], object], folder: Path) -> str:
    """Read a file in a process of its own; return the message and see that little memory was taken for it."""

    def run() -> None:
        read(path.parent / "sound.zarr")  # what is imported and started meanwhile is not counted
        before = status_bytes("VmHWM") or 0
        with pytest.raises(DataError, match=rf"^{path}: ") as caught:
            read(path)
        print(json.dumps([str(caught.value), (status_bytes("VmHWM") or 0) - before]))  # noqa: T201 - to the test

    child = Forked(run, folder / "said")
    assert child.wait() == 0, child.said()
    message, taken = json.loads(child.said().splitlines()[-1])
    assert taken < MOST
    return str(message)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("read", [read_cells, CellStream])
def test_a_zarr_that_claims_too_much_takes_no_memory(
    tmp_path: Path, make_adata: Make, edit: Callable[[zarr.Group], None], read: Callable[[Path], object]
) -> None:
    write_zarr(tmp_path / "sound.zarr", make_adata())
    path = write_zarr(tmp_path / "cells.zarr", make_adata())
    for entry in path.rglob("zarr.json"):  # what anndata wrote of all at once would hide the change
        described = json.loads(entry.read_text())
        described.pop("consolidated_metadata", None)
        entry.write_text(json.dumps(described))
    edit(zarr.open_group(path, mode="r+", use_consolidated=False))
    assert sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file()) < 60_000
    message = refused(path, read, tmp_path)
    assert "00,000" in message
    assert "damaged" in message


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("part", ["data", "barcodes", "indptr"])
def test_a_10x_file_that_claims_too_much_takes_no_memory(tmp_path: Path, make_adata: Make, part: str) -> None:
    write_zarr(tmp_path / "sound.zarr", make_adata())
    path = write_tenx(tmp_path / "cells.h5", make_adata())
    with h5py.File(path, "r+") as file:
        for name in ("data", "indices") if part == "data" else (part,):
            kind = np.int64 if name == "indptr" else file["matrix"][name].dtype
            del file["matrix"][name]
            file["matrix"].create_dataset(name, (HUGE,), kind, chunks=(10**6,), compression="gzip")
        if part == "indptr":
            del file["matrix/shape"]
            file["matrix/shape"] = np.asarray([30, HUGE - 1])
    assert "claims 100,000,000,000 values" in refused(path, CellStream, tmp_path)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("zipped", [False, True])
def test_honest_zarrs_of_few_bytes_are_read(tmp_path: Path, make_adata: Make, version: int, zipped: bool) -> None:
    """Chunks that are not stored, and numbers that are all one: 200,000 cells of which most express one gene once."""
    cells = 200_000
    rows = sparse.csr_matrix(
        (np.ones(cells, np.float32), np.zeros(cells, np.int32), np.arange(cells + 1)), shape=(cells, 30)
    )
    adata = anndata.AnnData(rows, var=make_adata().var)
    adata.obs["batch"] = np.zeros(cells, np.int64)
    path = write_zarr(tmp_path / f"cells.zarr{'.zip' if zipped else ''}", adata, version=version)
    if not zipped:
        indices = zarr.open_group(path, mode="r")["X/indices"]
        assert values_missing(indices) == cells  # zarr stores no chunks of zeros
        assert entries_held(indices) == 0
    assert len(CellStream(path, values="counts")) == cells


def test_a_dense_file_with_chunks_that_were_not_written_is_read(h5ad: Path) -> None:
    counts = anndata.read_h5ad(h5ad).X.toarray()
    with h5py.File(h5ad, "r+") as file:
        del file["X"]
        file.create_dataset("X", (40, 30), "f8", chunks=(10, 30), compression="gzip")
        file["X"][:20] = counts[:20]
        assert file["X"].id.get_num_chunks() == 2
    assert len(read_cells(h5ad)) == 20
