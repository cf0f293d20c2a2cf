"""Every command takes every form of file, and refuses what is none with one message."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest
import zarr

from tests.bad_inputs.helpers import BENCH, TINY, Run, cells
from tests.bad_inputs.test_files import every_command_refuses, folder_called, written
from tests.forms import FORMS, TABLES, write_h5mu, write_market, write_tenx, write_zarr

Make = Callable[[Path], Path]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_prepared_embedded_and_denoised(form: str, tmp_path: Path, model: Path, fine: Run) -> None:
    adata = cells()
    path = FORMS[form](tmp_path, adata)
    fine(["prepare", path, "--out", "store"], "40 cells")
    fine(["graph", model, "--data", path, "--out", "graph.tsv"])
    said = fine(["embed", model, path, "--out", "e.h5ad"], "30 of 30", "is an .h5ad file of the same cells")
    fine(["denoise", model, path, "--out", "d.h5ad"])
    adata.write_h5ad("whole.h5ad")
    fine(["embed", model, "whole.h5ad", "--out", "same.h5ad"])
    embedded, denoised, whole = (anndata.read_h5ad(name) for name in ("e.h5ad", "d.h5ad", "same.h5ad"))
    np.testing.assert_array_equal(embedded.obsm["X_scgraph"], whole.obsm["X_scgraph"])
    np.testing.assert_array_equal(embedded.X[:, :30].toarray(), adata.X.toarray())
    assert denoised.layers["scgraph_denoised"].shape == denoised.shape
    if form in TABLES:
        assert embedded.obs["cell_type"].tolist() == adata.obs["cell_type"].tolist()
    if embedded.n_vars > 30:
        assert said.index("2 features that are no genes") < said.index("30 of 30")  # before the work
        assert np.isnan(denoised.layers["scgraph_denoised"][:, 30:]).all()


def test_forms_with_a_table_of_the_cells_are_probed_and_compared(tmp_path: Path, model: Path, fine: Run) -> None:
    fine(["probe", model, FORMS["zarr v3 in a zip"](tmp_path, cells()), "--set", "seeds=1"])
    path = FORMS["h5mu"](tmp_path, cells())
    corpus = FORMS["Cell Ranger 3"](tmp_path, cells(seed=1))
    fine(["bench", "--models", "none", "--data", path, "--corpus", corpus, "--out", "b", *BENCH])


def test_a_folder_of_cell_ranger_is_pretrained_on(tmp_path: Path, fine: Run) -> None:
    fine(["pretrain", FORMS["Cell Ranger 3"](tmp_path, cells()), "--out", "m", *TINY], "Antibody Capture")


def zipped(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def without(name: str) -> Make:
    def make(folder: Path) -> Path:
        path = write_market(folder / "cells", cells())
        (path / name).unlink()
        return path

    return make


def other_cells(folder: Path) -> Path:
    path = write_market(folder / "cells", cells())
    (path / "barcodes.tsv.gz").unlink()
    (path / "barcodes.tsv").write_text("one\ntwo\n")
    return path


def cut_short(name: str, share: float = 0.5) -> Make:
    def make(folder: Path) -> Path:
        path = write_market(folder / "cells", cells())
        whole = (path / name).read_bytes()
        (path / name).write_bytes(whole[: int(share * len(whole))])
        return path

    return make


def twice(folder: Path) -> Path:
    path = write_market(folder / "cells", cells(), matrix="matrix.mtx", features="genes.tsv")
    header, lines = "%%MatrixMarket matrix coordinate integer general\n", "30 40 3\n1 1 2\n2 1 1\n1 1 3\n"
    (path / "matrix.mtx").write_text(header + lines)
    return path


def zarr_of_something(folder: Path) -> Path:
    zarr.open_group(folder / "c.zarr", mode="w").create_array("numbers", data=np.arange(5))
    return folder / "c.zarr"


def without_part(name: str) -> Make:
    def make(folder: Path) -> Path:
        path = write_zarr(folder / "c.zarr", cells(), version=2)
        for entry in (path / name).rglob("*"):
            if entry.is_file() and not entry.name.startswith("."):
                entry.write_bytes(b"\x00\x01")
        return path

    return make


def cut_zip(folder: Path) -> Path:
    path = write_zarr(folder / "c.zarr.zip", cells())
    return written(path, path.read_bytes()[:2000])


def rotten_zip(folder: Path) -> Path:
    path = write_zarr(folder / "c.zarr.zip", cells())
    with zipfile.ZipFile(path) as file:
        place = max(file.infolist(), key=lambda entry: entry.file_size).header_offset + 200
    content = bytearray(path.read_bytes())
    content[place : place + 50] = bytes(50)
    return written(path, bytes(content))


CASES: dict[str, tuple[Make, tuple[str, ...]]] = {
    "an empty folder": (lambda d: folder_called(d / "cells"), ("nothing in it",)),
    "a folder of other things": (lambda d: written(folder_called(d / "c") / "a.csv", b"a,b\n").parent, ("a.csv",)),
    "no features": (without("features.tsv.gz"), ("no features.tsv (or genes.tsv)",)),
    "no barcodes": (without("barcodes.tsv.gz"), ("no barcodes.tsv",)),
    "a matrix of other cells": (other_cells, ("40 columns", "2 cells")),
    "a matrix cut short": (cut_short("matrix.mtx.gz"), ("damaged",)),
    "features cut short": (cut_short("features.tsv.gz"), ("damaged",)),
    "an empty matrix": (cut_short("matrix.mtx.gz", 0), ("empty",)),
    "an entry twice": (twice, ("twice", "cell0")),
    "a zarr of something else": (zarr_of_something, ("no obs",)),
    "a zarr with damaged values": (without_part("X"), ("damaged",)),
    "a zarr with a damaged table": (without_part("obs"), ("damaged",)),
    "a zip of something else": (lambda d: zipped(d / "c.zarr.zip", {"a.txt": b"a"}), ("no zarr",)),
    "a zip that is none": (lambda d: written(d / "c.zarr.zip", b"text" * 200), ("no zip",)),
    "a zip cut short": (cut_zip, ("cut off",)),
    "a zip with damaged values": (rotten_zip, ("damaged",)),
    "several genomes": (lambda d: write_tenx(d / "c.h5", cells(), genomes=("hg19", "mm10")), ("c.h5/mm10",)),
    "a modality that is not there": (lambda d: write_h5mu(d / "c.h5mu", cells()) / "atac", ("c.h5mu/prot",)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_command_refuses_the_form(case: str, tmp_path: Path, model: Path, refused: Run) -> None:
    make, names = CASES[case]
    path = make(tmp_path)
    # A text whose numbers can be read has no column of classes, which `bench` sees before it looks at the numbers.
    every_command_refuses(path, model, refused, path, *names, labelled=case != "an entry twice")
