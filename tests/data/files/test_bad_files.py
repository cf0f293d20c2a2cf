"""Files that cannot be read: cases 1 to 12 of the bad inputs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import pytest

from scgraph.data import read_cells
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def _edit(change: Callable[[h5py.File], object]) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def _drop(key: str) -> Callable[[Path], object]:
    return _edit(lambda file: file.pop(key))


def _mark(key: str, attribute: str, value: str) -> Callable[[Path], object]:
    return _edit(lambda file: file[key].attrs.modify(attribute, value))


DAMAGES = {
    "1 empty": (lambda path: path.write_bytes(b""), "is empty"),
    "2 text": (lambda path: path.write_text("cell,gene\n1,2\n"), "not an HDF5 file"),
    "2 gzip": (lambda path: path.write_bytes(b"\x1f\x8b" + bytes(600)), "packed with gzip"),
    "43 git-LFS pointer": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        "git lfs pull",
    ),
    "3 half": (lambda path: _cut(path, path.stat().st_size // 2), "is cut off"),
    "4 end missing": (lambda path: _cut(path, path.stat().st_size - 200), "is cut off"),
    "8 no X": (_drop("X"), "has no X"),
    "9 no var": (_drop("var"), "has no var"),
    "9 no index of var": (_drop("var/_index"), "var has no names"),
    "10 no obs": (_drop("obs"), "has no obs"),
    "11 X": (_mark("X", "encoding-type", "csr_matrix_of_tomorrow"), "a newer anndata"),
    "11 X version": (_mark("X", "encoding-version", "9.0"), "a newer anndata"),
    "11 obs": (_mark("obs", "encoding-version", "9.0"), "a newer anndata"),
    "11 column": (
        _mark("obs/cell_type", "encoding-type", "classes"),
        "obs\\['cell_type'\\].*a newer anndata",
    ),
    "11 file": (_mark("/", "encoding-version", "9.0"), "a newer anndata"),
    "part of X missing": (_drop("X/indices"), "is damaged"),
    "column missing": (_drop("obs/cell_type/codes"), "is damaged"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_file_is_refused_by_name(h5ad: Path, case: str) -> None:
    damage, message = DAMAGES[case]
    damage(h5ad)
    with pytest.raises(DataError, match=f"(?s)^{h5ad}: .*{message}"):
        read_cells(h5ad)


def test_no_x_offers_the_layers(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        file.copy("X", "layers/spliced")
        del file["X"]
    with pytest.raises(DataError, match="Choose a layer: spliced"):
        read_cells(h5ad)
    assert len(read_cells(h5ad, layer="spliced")) == 40


def test_unknown_encoding_that_is_not_needed_is_no_hindrance(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        file["uns"].create_group("novelty").attrs["encoding-type"] = "of_tomorrow"
    assert len(read_cells(h5ad)) == 40


def test_missing_path_suggests_the_nearest_file(h5ad: Path) -> None:
    with pytest.raises(DataError, match=r"cels\.h5ad: there is no such file\. Did you mean 'cells\.h5ad'\?"):
        read_cells(h5ad.with_name("cels.h5ad"))
    with pytest.raises(DataError, match="no such file"):
        read_cells(h5ad.parent / "nowhere" / "cells.h5ad")


def test_misspelt_built_in_is_suggested() -> None:
    with pytest.raises(DataError, match="Did you mean 'pbmc68k_reduced'"):
        read_cells("pbmc68_reduced")


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="this is a folder"):
        read_cells(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_refused(h5ad: Path) -> None:
    h5ad.chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        read_cells(h5ad)


def test_file_under_a_writer_is_refused(h5ad: Path) -> None:
    code = (
        "import h5py, sys\n"
        "with h5py.File(sys.argv[1], 'r+', locking=True):\n"
        "    sys.stdout.write('open\\n'); sys.stdout.flush(); sys.stdin.read()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(h5ad)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(DataError, match="another program writes to the file"):
            read_cells(h5ad)
    finally:
        writer.stdin.close()
        writer.wait()
        writer.stdout.close()
    assert len(read_cells(h5ad)) == 40
