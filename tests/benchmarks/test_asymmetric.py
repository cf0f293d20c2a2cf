"""The asymmetric benchmark on tiny sizes: budgets meet, tables say what was measured, a run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tests.helpers import make_cells

if TYPE_CHECKING:
    from pathlib import Path

SMALL = [
    "--panels", "40", "--budgets", "16", "--channels", "16", "--layers", "1", "--rounds", "1", "--seconds", "0",
    "--models", "asym:gnn", "--beside", "tf", "--vocabulary", "400",
    "--set", "train.genes=12", "--set", "train.batch_size=16", "--set", "train.epochs=1",
    "--set", "components=5", "--set", "model.rank=2", "--set", "model.layers=1",
]  # fmt: skip


def test_widths_meet_the_budget() -> None:
    from benchmarks.asymmetric.point import _adds, with_budget
    from scgraph.config_files import as_bench_config
    from scgraph.models.settings import settings_by_model

    base = as_bench_config("bench/mvp")
    own = with_budget(["tf", "gnn", "xtrimogene", "asym:gnn-linear"], base, 64)
    by_model = settings_by_model([name for name in own.per_model if name != "gat"], own)
    adds = {name: _adds(settings.model, own) for name, settings in by_model.items()}
    assert by_model["tf"].model.channels == 64
    assert all(count == pytest.approx(adds["tf"], rel=0.2) for count in adds.values()), adds
    assert own.per_model["tf"]["conv_options"] == {"heads": 4}


@pytest.mark.slow
def test_a_tiny_run_and_its_continuation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.asymmetric import run as asymmetric

    make_cells().write_h5ad(tmp_path / "cells.h5ad")
    words = ["--data", str(tmp_path / "cells.h5ad"), "--out", str(tmp_path / "found"), *SMALL]
    with pytest.raises(SystemExit) as stopped:
        asymmetric.main(words)
    assert not stopped.value.code, capsys.readouterr().err
    folder = tmp_path / "found"
    assert {path.name for path in folder.iterdir()} == set(asymmetric.OWNED)
    counts = pd.read_csv(folder / "counted.csv")
    assert (counts["multiply_adds"] * counts["times_fewer"]).tolist() == pytest.approx(counts["reference"].tolist())
    costs = pd.read_csv(folder / "measured.csv").set_index("model")
    assert costs.loc["tf", "multiply_adds"] > costs.loc["asym:gnn", "multiply_adds"]
    scores = pd.read_csv(folder / "results.csv").set_index("model")
    assert set(scores.index) == {"majority", "pca+logreg", "tf", "asym:gnn"}
    assert scores.loc["tf", "channels"] == 16
    page = (folder / "asymmetric.md").read_text()
    assert f"{scores.loc['asym:gnn', 'macro_f1']:.3f}" in page
    assert "majority" in page

    before = (folder / "results.csv").read_bytes()
    with pytest.raises(SystemExit) as stopped:
        asymmetric.main(words)
    assert not stopped.value.code
    assert (folder / "results.csv").read_bytes() == before
    with pytest.raises(SystemExit) as stopped:
        asymmetric.main([*words, "--seeds", "2"])
    assert stopped.value.code == 2
    assert "results of other settings" in capsys.readouterr().err
