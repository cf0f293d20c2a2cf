"""Labels that cannot be probed: cases 34 to 40 of the bad inputs, through every command that reads labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.bad_inputs.helpers import BENCH, Run, put

if TYPE_CHECKING:
    from pathlib import Path

TWO = ["T", "B"] * 30
DONORS = ["d1", "d2", "d3"] * 20
# By case: the classes of 60 cells, options, what the message names.
CASES: dict[str, tuple[Any, tuple[str, ...], tuple[str, ...]]] = {
    "35 missing": ([None, *TWO[1:]], (), ("cell_type", "cell0")),
    "36 no such column": (TWO, ("--label", "cluster"), ("cluster", "cell_type", "donor")),
    "37 one class": (["T"] * 60, (), ("'T'",)),
    "38 a class of one cell": (["rare", *TWO[1:]], (), ("rare", "fewer than 3 cells")),
    "39 classes of one donor": ([f"only {donor}" for donor in DONORS], ("--batch-key", "donor"), ("only d",)),
    "40 numbers": (TWO, ("--label", "n_genes"), ("n_genes", "numbers")),
}


@pytest.mark.parametrize("case", CASES)
def test_every_command_refuses_the_labels(case: str, tmp_path: Path, model: Path, refused: Run) -> None:
    classes, options, names = CASES[case]

    def change(adata: Any) -> None:
        adata.obs["cell_type"] = pd.Categorical(classes)
        adata.obs["donor"] = DONORS
        adata.obs["n_genes"] = np.arange(60)

    path = put(tmp_path, change, n=60)
    refused(["bench", "--models", "gnn", "--data", path, "--out", "b", *BENCH, *options], *names)
    refused(["probe", model, path, *options], *names)
    refused(["tune", "--models", "gnn", "--trials", "1", "--data", path, "--out", "t", *options], *names)


# By case: the column of classes of 60 cells, options, what the message names.
BEFORE_THE_MATRIX: dict[str, tuple[Any, dict[str, str], tuple[str, ...]]] = {
    "no such column": (TWO, {"label": "cluster"}, ("no column 'cluster'", "donor")),
    "numbers": (TWO, {"label": "n_genes"}, ("n_genes", "numbers")),
    "one class": (["T"] * 60, {}, ("one class only ('T')",)),
    "one class and missing labels": ([None, *["T"] * 59], {}, ("one class only ('T')",)),
    "all missing": ([None] * 60, {}, ("says nothing for 60 of 60 cells",)),
    "no such batches": (TWO, {"batch-key": "plate"}, ("no column 'plate'",)),
    "no batches": (TWO, {"batch-key": "empty"}, ("obs['empty'] says nothing for 60 of 60 cells",)),
}


def beyond_all_genes(file: Any) -> None:
    file["X/indices"][0] = 10**6


@pytest.mark.parametrize("case", BEFORE_THE_MATRIX)
def test_columns_are_refused_before_the_matrix_is_read(case: str, tmp_path: Path, model: Path, refused: Run) -> None:
    classes, given, names = BEFORE_THE_MATRIX[case]

    def change(adata: Any) -> None:
        adata.obs["cell_type"] = pd.Categorical(classes)
        adata.obs["empty"] = pd.Categorical([None] * 60)

    broken = put(tmp_path, change, beyond_all_genes, n=60)
    options = [word for key, value in given.items() for word in (f"--{key}", value)]
    commands = [
        ["bench", "--models", "none", "--data", broken, "--out", "b", *BENCH],
        ["probe", model, broken],
        ["tune", "--models", "gnn", "--trials", "1", "--data", broken, "--out", "t"],
        ["annotate", broken, "--reference", broken, "--out", "a.h5ad"],  # of the two the columns are looked at first
    ]
    for words in commands:
        refused([*words, *options], "cells.h5ad", *names)
    if case == "no such column":
        for words in commands:
            assert "entry at column 1,000,000" in refused(words)
        perturb = ["perturb", broken, "--model", model, "--perturbation", "cell_type"]
        assert "no column 'plate'" in refused([*perturb, "--covariate", "plate"])
        assert "entry at column 1,000,000" in refused(perturb)


@pytest.mark.parametrize("words", [["bench", "--data"], ["bench", "--transfer"], ["tune", "--trials", "1", "--data"]])
def test_columns_of_a_second_set_are_refused_before_the_first_is_read(
    words: list[str], tmp_path: Path, refused: Run
) -> None:
    first = put(tmp_path, edit=beyond_all_genes, n=60)
    other = put(tmp_path, lambda a: a.obs.__setitem__("cell_type", "T"), name="other.h5ad", n=60)
    given = [words[0], "--models", "none", "--data", first, "--out", "b", *words[1:], other]
    refused(given, "other.h5ad", "one class only ('T')")


def test_34_labels_and_files_may_be_called_anything(tmp_path: Path, fine: Run) -> None:
    names = ["T/NK ../../x", " B cell ", "Ünïcode Zelle β"]
    path = put(tmp_path, lambda a: a.obs.__setitem__("cell_type", names * 20), name="lab els ü.h5ad", n=60)
    fine(["bench", "--models", "none", "--data", path, "--out", "b", *BENCH])
    assert "T/NK ../../x" in (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    assert not [found for found in tmp_path.rglob("*") if found.name.startswith("x")]


# By case: the classes of the other file, the table of classes, what the message names.
TRANSFERS: dict[str, tuple[list[str | None], str | None, tuple[str, ...]]] = {
    "missing labels": ([None, *TWO[1:]], None, ("other.h5ad", "cell_type", "cell0")),
    "one class": (["T"] * 60, None, ("other.h5ad", "one class", "'T'")),
    "no class shared": (["X", "Y"] * 30, None, ("other.h5ad", "no class is shared", "'X'", "'T'", "--classes")),
    "one class shared": (["T", "Y"] * 30, None, ("other.h5ad", "only one class ('T')", "--classes")),
    "a table of three columns": (TWO, "T\tT\tT\n", ("map.tsv", "line 1")),
    "an empty table": (TWO, "\n", ("map.tsv", "empty")),
    "a class of neither": (TWO, "T\tT\nB\tNK\n", ("map.tsv", "column 2", "'NK'", "--transfer")),
    "no table": (TWO, None, ("nowhere.tsv", "cannot be read")),
}


@pytest.mark.parametrize("case", TRANSFERS)
def test_another_set_that_cannot_be_asked_about(case: str, tmp_path: Path, refused: Run) -> None:
    classes, table, names = TRANSFERS[case]
    path = put(tmp_path, lambda a: a.obs.__setitem__("cell_type", TWO), n=60)
    put(tmp_path, lambda a: a.obs.__setitem__("cell_type", pd.Categorical(classes)), name="other.h5ad", n=60, seed=5)
    words = ["bench", "--models", "none", "--data", path, "--transfer", "other.h5ad", "--out", "b", *BENCH]
    if table is not None:
        (tmp_path / "map.tsv").write_text(table)
    if table is not None or "nowhere.tsv" in names:
        words += ["--classes", "nowhere.tsv" if table is None else "map.tsv"]
    refused(words, *names)
