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


def test_34_labels_and_files_may_be_called_anything(tmp_path: Path, fine: Run) -> None:
    names = ["T/NK ../../x", " B cell ", "Ünïcode Zelle β"]
    path = put(tmp_path, lambda a: a.obs.__setitem__("cell_type", names * 20), name="lab els ü.h5ad", n=60)
    fine(["bench", "--models", "none", "--data", path, "--out", "b", *BENCH])
    assert "T/NK ../../x" in (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    assert not [found for found in tmp_path.rglob("*") if found.name.startswith("x")]
