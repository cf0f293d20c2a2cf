"""Commands read an experiment of TileDB-SOMA, and refuse what is wrong with a filter in its own words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.bad_inputs.helpers import TINY, Run, cells
from tests.forms import write_soma

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("tiledbsoma")

DONOR = 'donor == "d1"'


def test_a_part_of_an_experiment_is_pretrained_on_as_a_file_of_it(tmp_path: Path, fine: Run) -> None:
    adata = cells()
    write_soma(tmp_path / "atlas.soma", adata)
    part = adata[adata.obs["donor"] == "d1"].copy()
    part.write_h5ad(tmp_path / "part.h5ad")
    fine(["pretrain", "part.h5ad", "--out", "a", *TINY])
    fine(["pretrain", "atlas.soma/RNA", "--obs-value-filter", DONOR, "--out", "b", *TINY])
    weights, same = (load_file(tmp_path / folder / "model.safetensors") for folder in "ab")
    assert all(np.array_equal(weights[name], same[name]) for name in weights)
    fine(["prepare", "atlas.soma", "--obs-value-filter", DONOR, "--out", "store"], f"{part.n_obs} cells, 30 genes")


@pytest.mark.parametrize("command", ["prepare", "pretrain"])
def test_a_wrong_filter_is_refused_in_words_of_the_command_line(command: str, tmp_path: Path, refused: Run) -> None:
    write_soma(tmp_path / "atlas.soma", cells())
    cells().write_h5ad(tmp_path / "cells.h5ad")
    for value_filter, said in (
        ('doner == "d1"', "Did you mean 'donor'?"),
        ("donor ==", "is no filter"),
        ('donor == "d9"', "leaves no cell"),
    ):
        refused([command, "atlas.soma", "--out", "x", "--obs-value-filter", value_filter], "--obs-value-filter", said)
    refused([command, "cells.h5ad", "--out", "x", "--obs-value-filter", DONOR], "cells.h5ad", "experiments alone")
    refused([command, "atlas.soma/ATAC", "--out", "x"], "no measurement 'ATAC'", "atlas.soma/RNA")
    refused([command, "atlas.soma", "--out", "x", "--layer", "counts"], "X has no layer 'counts'", "data")
    refused([command, "atlas.soma/obs", "--out", "x"], "is a DataFrame of SOMA")


def test_a_store_has_nothing_to_filter(tmp_path: Path, fine: Run, refused: Run) -> None:
    write_soma(tmp_path / "atlas.soma", cells())
    fine(["prepare", "atlas.soma", "--out", "store"])
    refused(["pretrain", "store", "--out", "m", "--obs-value-filter", DONOR], "store has no obs to filter")


def test_the_extra_is_named(tmp_path: Path, refused: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_soma(tmp_path / "atlas.soma", cells())
    monkeypatch.setitem(sys.modules, "tiledbsoma", None)
    refused(["prepare", "atlas.soma", "--out", "x"], 'pip install "scgraph-zoo[soma]"')
