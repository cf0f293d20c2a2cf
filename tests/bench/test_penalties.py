"""The penalty that logistic regression chose is written down, and its grid has room on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from scgraph.bench import run_bench
from scgraph.bench.baselines import INVERSE_PENALTIES, pca_logreg
from scgraph.bench.inputs import read_probe_sets, split_of
from scgraph.bench.protocol import _said_of_penalties
from scgraph.bench.run import as_bench_config
from tests.bench.conftest import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_chosen_stands_in_results_and_notes(tmp_path: Path) -> None:
    result = run_bench(["none"], [make_cells()], config=QUICK | {"seeds": 2}, out=tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "results.csv")
    rows = written[written["model"] == "pca+logreg"]
    assert rows["inverse_penalty"].isin(INVERSE_PENALTIES).all()
    assert written.loc[written["model"] != "pca+logreg", "inverse_penalty"].isna().all()
    (note,) = (note for note in result.notes if "pca+logreg chose C = " in note)
    assert note.startswith("adata: pca+logreg chose C = " + ", ".join(f"{one:g}" for one in rows["inverse_penalty"]))
    assert note in (tmp_path / "out" / "summary.md").read_text()


def test_a_choice_on_the_border_is_said() -> None:
    inside = [{"dataset": "a", "model": "pca+logreg", "inverse_penalty": one} for one in (0.1, 100.0)]
    assert "border" not in _said_of_penalties("a", inside)
    outside = [*inside, {"dataset": "a", "model": "pca+logreg", "inverse_penalty": max(INVERSE_PENALTIES)}]
    assert _said_of_penalties("a", outside).endswith("1 of 3 on the border.")


def test_the_grid_has_room_on_real_cells() -> None:
    """The 700 cells that scanpy carries chose the weakest penalty of the narrow grid .01 to 1."""
    (probe,) = read_probe_sets(["pbmc68k_reduced"])
    x, y = probe.cells.normalized(), probe.codes
    for seed in range(3):
        split = split_of(probe, as_bench_config({}), seed=seed)
        parts = (x[split.train], y[split.train], x[split.validation], y[split.validation], x[split.test])
        found = pca_logreg(*parts, seed=seed).inverse_penalty
        assert found is not None
        assert min(INVERSE_PENALTIES) < found < max(INVERSE_PENALTIES)


def test_strong_and_weak_penalties_are_both_chosen() -> None:
    """Labels that follow a faint direction need a weak penalty, labels that are mostly noise a strong one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 20)) + 4
    faint = (x[:, 0] > 4).astype(int)
    noisy = np.where(rng.random(600) < 0.4, rng.integers(0, 2, 600), faint)
    chosen = {}
    for name, y, scale in (("faint", faint, 0.01), ("noisy", noisy, 1.0)):
        values = sparse.csr_matrix(scale * x)
        found = pca_logreg(values[:60], y[:60], values[60:400], y[60:400], values[400:], components=19, seed=0)
        chosen[name] = found.inverse_penalty
    assert chosen["noisy"] < 10 < chosen["faint"]
