"""The script that scores predicted perturbations of simulated cells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.slow
def test_the_graph_of_the_simulation_is_the_most_that_embeddings_tell(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = script("perturbation", "--out", "out", "--seeds", "1", "--epochs", "1")
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
