"""Files of strangers: values that lie elsewhere, and more values claimed than there are bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import h5py
import numpy as np
import pytest

from scgraph.data import read_cells
from scgraph.data.files.stream import CellStream
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _link(file: h5py.File, other: Path) -> None:
    file["uns/theirs"] = h5py.ExternalLink(str(other), "/secret")


def _column(file: h5py.File, other: Path) -> None:
    file["obs/theirs"] = h5py.ExternalLink(str(other), "/secret")


def _external(file: h5py.File, other: Path) -> None:
    file.create_dataset("obsm/theirs", shape=(40, 1), dtype="u1", external=[(str(other), 0, 40)])


def _virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout(shape=(40,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(other), "secret", shape=(40,))
    file.create_virtual_dataset("obsm/theirs", layout)


@pytest.mark.parametrize("edit", [_link, _column, _external, _virtual])
@pytest.mark.parametrize("read", [read_cells, CellStream])
def test_values_outside_of_the_file_are_refused(
    h5ad: Path, edit: Callable[[h5py.File, Path], None], read: Callable[[Path], object]
) -> None:
    other = h5ad.with_name("other.h5")
    with h5py.File(other, "w") as file:
        file["secret"] = np.arange(40.0)
    with h5py.File(h5ad, "r+") as file:
        edit(file, other)
    with pytest.raises(DataError, match=rf"^{h5ad}: /\w+/theirs is .*outside of the file"):
        read(h5ad)


def test_links_inside_the_file_are_followed(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        file.move("X", "layers/counts")
        file["X"] = h5py.SoftLink("/layers/counts")
        file["uns/nowhere"] = h5py.SoftLink("/gone")
        file["uns/round"] = file["/"]
    assert len(read_cells(h5ad)) == 40


def _sparse(file: h5py.File) -> None:
    for name in ("data", "indices"):
        kind = file["X"][name].dtype
        del file["X"][name]
        file["X"].create_dataset(name, shape=(10**11,), dtype=kind, chunks=(10**6,), compression="gzip")
    indptr = file["X/indptr"][()].astype(np.int64)
    indptr[1:] = 10**11
    del file["X/indptr"]
    file["X/indptr"] = indptr


def _dense(file: h5py.File) -> None:
    del file["X"]
    file.create_dataset("X", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000), compression="gzip")


def _names(file: h5py.File) -> None:
    name = file["obs"].attrs["_index"]
    del file["obs"][name]
    file["obs"].create_dataset(name, shape=(10**11,), dtype="S8", chunks=(10**6,), compression="lzf")


@pytest.mark.parametrize("claim", [_sparse, _dense, _names])
@pytest.mark.parametrize("read", [read_cells, CellStream])
def test_more_values_than_bytes_are_refused(
    h5ad: Path, claim: Callable[[h5py.File], None], read: Callable[[Path], object]
) -> None:
    with h5py.File(h5ad, "r+") as file:
        claim(file)
    said = r"the matrix is 1,000,000 x 1,000,000, but obs names 40" if claim is _dense else r"/\S+ claims 1[0,]+ values"
    with pytest.raises(DataError, match=rf"^{h5ad}: {said}"):
        read(h5ad)


@pytest.mark.parametrize("claim", [_sparse, _dense])
def test_more_values_than_bytes_are_refused_of_a_backed_object(h5ad: Path, claim: Callable[[h5py.File], None]) -> None:
    with h5py.File(h5ad, "r+") as file:
        claim(file)
    backed = anndata.read_h5ad(h5ad, backed="r")
    with pytest.raises(DataError, match=r"/\S+ claims 1[0,]+ values"):
        read_cells(backed)


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_well_compressed_values_are_read(h5ad: Path, compression: str | None) -> None:
    with h5py.File(h5ad, "r+") as file:
        table = np.zeros((40, 30), dtype=np.float32)
        table[:, :4] = [[3, 1, 2, 5]]
        del file["X"]
        file.create_dataset("X", data=table, chunks=(40, 30) if compression else None, compression=compression)
    assert len(read_cells(h5ad)) == 40


def test_what_memory_cannot_hold_is_not_read_at_once(h5ad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scgraph.data.files.storage.available_memory", lambda: 1000)
    with pytest.raises(DataError, match="scgraph prepare"):
        read_cells(h5ad)
    assert len(CellStream(h5ad)) == 40
