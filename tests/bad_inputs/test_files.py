"""Files that no command may read: cases 1 to 33 of the bad inputs, through the command line.

What is said of each stands in tests/data/test_bad_*.py. Here every command that reads cells ends with one message that
names the file, before it has written anything.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pytest

from scgraph.data import prepare
from tests.bad_inputs.helpers import TINY, Run, put

if TYPE_CHECKING:
    import h5py

Make = Callable[[Path], Path]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cut(folder: Path, share: float, less: int = 0) -> Path:
    path = put(folder)
    whole = path.read_bytes()
    return written(path, whole[: int(share * len(whole)) - less])


def folder_called(path: Path) -> Path:
    path.mkdir()
    return path


def array(name: str, change: Callable[[np.ndarray], Any]) -> Make:
    """Change an array of X in the file."""

    def edit(file: h5py.File) -> None:
        old = file[f"X/{name}"][()]
        del file[f"X/{name}"]
        file[f"X/{name}"] = change(old)

    return lambda folder: put(folder, edit=edit)


def at(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda old: np.where(np.arange(len(old)) == place, value, old).astype(old.dtype)


def strings(file: h5py.File) -> None:
    del file["X"]
    file.create_dataset("X", data=np.full((40, 30), b"three", dtype="S5"))
    file["X"].attrs["encoding-type"], file["X"].attrs["encoding-version"] = "array", "0.2.0"


def renamed(names: list[str]) -> Callable[[anndata.AnnData], None]:
    def change(adata: anndata.AnnData) -> None:
        adata.var_names = names
        del adata.var["feature_id"]

    return change


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
GENES = [f"GENE{number}" for number in range(1, 31)]
CASES: dict[str, tuple[Make, tuple[str, ...]]] = {
    "1 empty": (lambda d: written(d / "c.h5ad", b""), ("empty",)),
    "2 text": (lambda d: written(d / "c.h5ad", b"cell,gene\n1,2\n" * 50), ()),
    "3 cut in half": (lambda d: cut(d, 0.5), ()),
    "4 last bytes missing": (lambda d: cut(d, 1, 200), ()),
    "5 missing": (lambda d: d / "nowhere.h5ad", ()),
    "6 a folder": (lambda d: folder_called(d / "c.h5ad"), ()),
    "8 no X": (lambda d: put(d, edit=lambda f: f.pop("X")), ("no X",)),
    "9 no var": (lambda d: put(d, edit=lambda f: f.pop("var")), ("no var",)),
    "10 no obs": (lambda d: put(d, edit=lambda f: f.pop("obs")), ("no obs",)),
    "11 unknown encoding": (
        lambda d: put(d, edit=lambda f: f["X"].attrs.modify("encoding-type", "csr_of_tomorrow")),
        ("newer anndata",),
    ),
    "13 short indptr": (array("indptr", lambda old: old[:-3]), ("indptr",)),
    "14 column out of range": (array("indices", at(5, 10_000)), ("10,000",)),
    "15 negative column": (array("indices", at(5, -7)), ("-7",)),
    "16 indptr falls": (array("indptr", at(4, 0)), ("indptr",)),
    "17 an entry twice": (array("indices", lambda old: np.r_[old[0], old[0], old[2:]]), ("twice", "cell0")),
    "18 a shape of more genes": (lambda d: put(d, edit=lambda f: f["X"].attrs.modify("shape", [40, 31])), ("31",)),
    "18 a shape of fewer cells": (lambda d: put(d, edit=lambda f: f["X"].attrs.modify("shape", [39, 30])), ("39",)),
    "19 NaN": (array("data", at(40, np.nan)), ("NaN", "cell 'cell", "gene 'GENE")),
    "20 Inf": (array("data", at(40, np.inf)), ("Inf", "cell 'cell", "gene 'GENE")),
    "21 negative": (array("data", at(40, -1)), ("negative", "cell 'cell", "gene 'GENE")),
    "23 strings": (lambda d: put(d, edit=strings), ()),
    "26 no cells": (lambda d: put(d, lambda a: a[:0].copy()), ("no cells",)),
    "27 no genes": (lambda d: put(d, lambda a: a[:, :0].copy()), ("no genes",)),
    "28 zeros alone": (lambda d: put(d, lambda a: setattr(a, "X", a.X * 0)), ()),
    "30 a gene twice": (lambda d: put(d, renamed(["GENE1", *GENES[:-1]])), ("GENE1",)),
    "31 a cell twice": (
        lambda d: put(d, lambda a: setattr(a, "obs_names", ["cell0", "cell0", *a.obs_names[2:]])),
        ("cell0",),
    ),
    "33 dates of a spreadsheet": (lambda d: put(d, renamed(["1-Mar", "2-Sep", *GENES[2:]])), ("1-Mar", "spreadsheet")),
    "43 a git-LFS pointer": (lambda d: written(d / "c.h5ad", POINTER), ("git lfs pull",)),
}


def every_command_refuses(path: Path, model: Path, refused: Run, *names: object, labelled: bool = True) -> None:
    refused(["prepare", path, "--out", "store"], *names)
    refused(["embed", model, path, "--out", "e.h5ad"], *names)
    refused(["denoise", model, path, "--out", "d.h5ad"], *names)
    refused(["pretrain", path, "--out", "m", *TINY], *names)
    if labelled:
        refused(["bench", "--models", "none", "--transfer", path, "--out", "b", *TINY], *names)


@pytest.mark.parametrize("case", CASES)
def test_every_command_refuses_the_file(case: str, tmp_path: Path, model: Path, refused: Run) -> None:
    make, names = CASES[case]
    path = make(tmp_path)
    every_command_refuses(path, model, refused, path, *names)


def test_12_a_file_that_another_program_writes(tmp_path: Path, model: Path, refused: Run) -> None:
    path = put(tmp_path)
    holding = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+', locking=True); print(flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", holding, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"\n"
        every_command_refuses(path, model, refused, path, "another program writes")
        writer.stdin.close()
    prepare([path], out=tmp_path / "store")


def test_22_fractions_as_counts(tmp_path: Path, model: Path, refused: Run) -> None:
    path = put(tmp_path, lambda a: a.layers.__setitem__("counts", a.X * 1.37))
    refused(["prepare", path, "--out", "store", "--layer", "counts"], path, "counts")
    refused(["embed", model, path, "--out", "e.h5ad", "--layer", "counts"], path, "counts")


@pytest.mark.parametrize("kind", ["dense", "int64", "float64", "bool", "uint16", "csc"])
def test_24_25_every_kind_of_matrix_is_read(kind: str, tmp_path: Path, model: Path, fine: Run) -> None:
    def change(adata: anndata.AnnData) -> None:
        adata.X = {"dense": adata.X.toarray, "csc": adata.X.tocsc}.get(kind, lambda: adata.X.astype(kind))()

    path = put(tmp_path, change)
    said = ("40 cells", "CSC") if kind == "csc" else ("40 cells",)
    fine(["prepare", path, "--out", "store"], *said)
    fine(["embed", model, path, "--out", "e.h5ad"], *said)


def test_28_29_a_cell_of_zeros_and_cells_of_one_gene(tmp_path: Path, model: Path, fine: Run, refused: Run) -> None:
    def change(adata: anndata.AnnData) -> None:
        rows = adata.X.tolil()
        rows[3], rows[4:6, 1:] = 0, 0
        adata.X = rows.tocsr()

    path = put(tmp_path, change)
    fine(["prepare", path, "--out", "store"], "without any count", "cell3")
    fine(["pretrain", path, "--out", "m", *TINY], "without any count", "fewer than two genes")
    fine(["embed", model, path, "--out", "e.h5ad"])
    assert np.isfinite(anndata.read_h5ad("e.h5ad").obsm["X_scgraph"]).all()
    fine(["denoise", model, path, "--out", "d.h5ad"], "cells without any count get zeros")
    assert np.isfinite(anndata.read_h5ad("d.h5ad").layers["scgraph_denoised"]).all()

    def one_gene(adata: anndata.AnnData) -> None:
        rows = adata.X.tolil()
        rows[:, 1:] = 0
        adata.X = rows.tocsr()

    refused(["pretrain", put(tmp_path, one_gene, name="one.h5ad"), "--out", "m2", *TINY], "two genes")


def test_32_33_genes_that_the_model_does_not_know(tmp_path: Path, model: Path, fine: Run, refused: Run) -> None:
    others = [f"OTHER{number}" for number in range(30)]
    out = ["--out", "e.h5ad"]
    for names, told in ((others, "0/30"), (["GENE1", *others[1:]], "1/30"), ([n.lower() for n in GENES], "case")):
        path = put(tmp_path, renamed(names))
        refused(["embed", model, path, *out], path, told)
        refused(["denoise", model, path, *out], path, told)
        refused(["probe", model, path], path)
    ids = [f"ENSG{number:011d}" for number in range(1, 31)]
    fine(["embed", model, put(tmp_path, renamed([f"{one}.7" for one in ids])), *out], "30 of 30")
    mixed = [one if number % 2 else GENES[number] for number, one in enumerate(ids)]
    fine(["embed", model, put(tmp_path, renamed(mixed)), *out, "--overwrite"], "30 of 30")
