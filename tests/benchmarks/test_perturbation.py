"""The script that scores predicted perturbations of real and of simulated cells."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from benchmarks.perturbation.screens import control_cells, some_cells
from tests.perturb.forms import MEASURED, labelled_screen, write_edges

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.slow
def test_the_graph_of_the_simulation_is_the_most_that_embeddings_tell(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = script("perturbation", "simulated", "--out", "out", "--seeds", "1", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    errors = {}
    for name in ("graph", "value", "gene", "adjacency"):
        results = pd.read_csv(tmp_path / "out" / name / "results.csv")
        errors[name] = results.groupby("model")["mse"].mean()
        assert not (tmp_path / "out" / name / "predictions.h5ad").exists()
        assert (
            "benchmarks.perturbation.run"
            in json.loads((tmp_path / "out" / name / "environment.json").read_text())["command"]
        )
    assert (
        errors["graph"]["gnn"] < min(errors["graph"]["mean change"], *(errors[name]["gnn"] for name in errors)) + 1e-9
    )
    assert (tmp_path / "out" / "perturbation.md").read_text().count("## ") == 4


@pytest.mark.slow
def test_a_screen_has_its_floor_and_ceiling(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    labelled_screen(["NT_1", "NT_2", *MEASURED[:6], "LYZ+CD3D"], each=20).write_h5ad(tmp_path / "screen.h5ad")
    network = write_edges(tmp_path, list(pairwise(MEASURED)))
    words = ["--data", "screen.h5ad", "--network", str(network), "--out", "out", "--seeds", "1", "--steps", "2"]
    done = script("perturbation", "screen", *words)
    assert done.returncode == 0, done.stderr
    results = pd.read_csv(tmp_path / "out" / "results.csv")
    assert {"split half (ceiling)", "mean change", "additive", "ridge+network", "kernel+gnn graph", "gnn"} <= {
        *results["model"]
    }
    assert set(pd.read_csv(tmp_path / "out" / "shared.csv")["separate_controls"]) == {True, False}
    page = (tmp_path / "out" / "table.md").read_text()
    assert "| mean change |" in page
    assert "With the same controls on both sides the mean change would have Pearson" in page
    assert "| double, 2/2 seen (1) |" in page.replace("\n", " ")


def test_some_cells_are_drawn_and_controls_found(tmp_path: Path) -> None:
    adata = labelled_screen(["NT_1", "NT_2", *MEASURED[:3]])
    adata.write_h5ad(tmp_path / "screen.h5ad")
    controls = control_cells(tmp_path / "screen.h5ad")
    assert set(controls.obs["perturbation"]) == {"NT_1", "NT_2"}
    drawn = some_cells(controls, 5, seed=0)
    assert drawn.n_obs == 5
    assert list(drawn.obs_names) == list(some_cells(controls, 5, seed=0).obs_names)
    assert some_cells(controls, 24, seed=0) is controls
