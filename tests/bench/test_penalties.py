"""The penalty that every row chose is written down, and its grid has room on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scgraph.bench import run_bench
from scgraph.bench.measure import measure, penalties_note
from scgraph.bench.plan import plan_bench
from scgraph.config_files import as_bench_config
from scgraph.data.sets.corpus import NO_CORPUS
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.representations.classifier import INVERSE_PENALTIES
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_chosen_stands_in_results_and_notes(tmp_path: Path) -> None:
    result = run_bench(["none"], [make_cells()], config=QUICK | {"seeds": 2}, out=tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "results.csv").set_index("model")
    assert written["inverse_penalty"].drop("majority").isin(INVERSE_PENALTIES).all()
    assert written["scaling"].drop("majority").isin(["global", "columns"]).all()
    assert written.loc["majority", "inverse_penalty"].isna().all()
    (note,) = (note for note in result.notes if "C chosen on the validation part" in note)
    for name in ("pca+logreg", "none untrained", "none"):
        assert f"{name} {', '.join(f'{one:g}' for one in written.loc[name, 'inverse_penalty'])}" in note
    assert note in (tmp_path / "out" / "summary.md").read_text()


def test_a_choice_on_the_border_is_said() -> None:
    logistic = {"dataset": "a", "scaling": "global"}
    inside = [{**logistic, "model": "pca+logreg", "inverse_penalty": one} for one in (0.1, 100.0)]
    other = [
        {"dataset": "a", "model": "majority"},
        {**logistic, "dataset": "b", "model": "tf", "inverse_penalty": 1e-4},
    ]
    assert penalties_note("a", [*inside, *other]).endswith(": pca+logreg 0.1, 100.")
    outside = [*inside, {**logistic, "model": "gnn", "inverse_penalty": max(INVERSE_PENALTIES)}]
    assert penalties_note("a", outside).endswith(": pca+logreg 0.1, 100; gnn 10000; 1 of 3 on the border.")
    # The regression on genes has a grid of its own, and the paper's probe has none.
    without = [{"dataset": "a", "model": "logreg", "inverse_penalty": 10.0}, {"dataset": "a", "model": "gnn"}]
    assert penalties_note("a", without) == ""


def test_the_grid_has_room_on_real_cells() -> None:
    """The 700 cells that scanpy carries chose the weakest penalty of the narrow grid .01 to 1."""
    config = as_bench_config({"seeds": 3, "baselines": ["pca+logreg"]})
    measured = measure(plan_bench({}, read_probe_sets(["pbmc68k_reduced"]), NO_CORPUS, config))
    chosen = [row["inverse_penalty"] for row in measured.rows if row["model"] == "pca+logreg"]
    assert len(chosen) == 3
    assert all(min(INVERSE_PENALTIES) < one < max(INVERSE_PENALTIES) for one in chosen)
