"""The script that scores predicted drug combinations, and the table of its committed runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from benchmarks.drugs.page import REPLICATES, drugs_page
from scgraph.drugs import run_drugs
from tests.drugs.forms import QUICK, small_screen, write_screen

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("rdkit")


def test_every_number_has_its_ceiling_and_floor() -> None:
    page = drugs_page(run_drugs(*small_screen(), split="line", config={**QUICK, "folds": 2}), "line")
    assert "| mean (floor) | 0.000 |" in page
    assert all(f"{value:.3f}" in page.partition("Ceiling:")[2].partition("Floor")[0] for value in REPLICATES.values())
    assert "252 rows: 28 pairs" in page
    assert "gnn on unseen cell lines, 2 folds" in page


@pytest.mark.slow
def test_a_screen_of_files(script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    write_screen(tmp_path)
    words = ["--combinations", "combinations.csv", "--lines", "lines.h5ad", "--drugs", "drugs.csv", "--out", "out"]
    quick = ["--set", "folds=2", "--set", "trees=5", "--set", "network.epochs=1", "--values", "counts"]
    done = script("drugs", *words, "--split", "pair", *quick)
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(tmp_path / "out" / "summary.csv")["folds"]) == {2}
    assert json.loads((tmp_path / "out" / "environment.json").read_text())["split"] == "pair"
    assert (tmp_path / "out" / "figure.png").exists()
