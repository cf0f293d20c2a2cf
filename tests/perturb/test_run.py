"""The whole run: command, files, and whether it finds what the simulation hid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import yaml

import scgraph
from scgraph.cli import main
from scgraph.errors import ConfigError, OutputError, TrainingError
from scgraph.perturb.run import OWNED
from scgraph.perturb.simulate import SimulatedScreen, save_graph_model, simulate_screen
from tests.helpers import Bars

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.perturb import PerturbResult

TABLES = ["random", "pca", "gnn untrained", "gnn", "gnn graph"]
ROWS = [
    "split half (ceiling)",
    "no change",
    "mean change",
    "additive",
    *(f"{how}+{table}" for table in TABLES for how in ("ridge", "kernel", "nearest")),
    "gnn untrained",
    "gnn",
]
BRIEF = {"seeds": 1, "network": {"epochs": 2, "width": 8}, "components": 5, "control_cells": 20}
WORDS = [word for key in ("network.epochs=2", "network.width=8", "components=5") for word in ("--set", key)]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["perturb", *words])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> PerturbResult:
    """Two splits of singles whose effects follow the graph in the tables of the model."""
    screen = simulate_screen(n_genes=100, singles=60, cells=25, controls=150, programs=3, seed=1)
    folder = tmp_path_factory.mktemp("found")
    save_graph_model(folder / "model", screen)
    network = {"learning_rate": 0.01, "patience": 10}
    config = {"seeds": 2, "score_targets": False, "separate_controls": False, "control_cells": 40, "network": network}
    result: PerturbResult = scgraph.perturb(screen.adata, folder / "model", config=config)
    return result


def test_a_model_with_a_decoder_is_compared_with_its_untrained_twin(simulated: SimulatedScreen, tmp_path: Path) -> None:
    sizes = {"channels": 8, "layers": 1, "rank": 2, "decoder_layers": 1}
    training = {"genes": 20, "batch_size": 128, "epochs": 1, "device": "cpu"}
    pretraining = {"model": sizes, "train": training}
    scgraph.pretrain([simulated.adata], model="asym:gnn", config=pretraining, out=tmp_path / "model")
    result = scgraph.perturb(simulated.adata, tmp_path / "model", config=BRIEF)
    assert set(ROWS) == set(result.summary["model"])


def test_a_bar_goes_from_split_to_split(
    simulated: SimulatedScreen, graph_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = Bars()
    monkeypatch.setattr("scgraph.perturb.run.progress_bars", bars)
    scgraph.perturb(simulated.adata, graph_model, config=BRIEF | {"seeds": 2}, show_progress=True)
    assert bars.shown == {"predicting changes": [(1, 2), (2, 2)]}


def test_the_graph_is_found_and_a_random_embedding_tells_nothing(found: PerturbResult) -> None:
    rows = found.summary.set_index("model")
    mean = rows.loc["mean change"]
    assert rows.loc["gnn", "mse_mean"] < 0.85 * mean["mse_mean"]
    assert rows.loc["ridge+gnn", "mse_mean"] < 0.9 * mean["mse_mean"]
    assert rows.loc["gnn", "pearson_top_mean"] > mean["pearson_top_mean"] + 0.05
    for name in ("gnn untrained", "ridge+gnn untrained"):
        assert rows.loc[name, "mse_mean"] > 0.95 * mean["mse_mean"]
    assert rows.loc["gnn", "mse_reference"].endswith("+pca")
    assert "additive" not in rows.index
    assert any("no perturbation has two genes" in note for note in found.notes)


def test_results_hold_every_test_perturbation(found: PerturbResult) -> None:
    counted = found.results.groupby(["model", "seed"]).size()
    assert set(counted) == {15}
    assert found.results["perturbation"].nunique() == found.predictions.n_obs
    assert found.predictions.obs["splits"].sum() == 30
    once = found.predictions.obs["splits"] == 1
    row = found.predictions[once].obs_names[0]
    own = found.results[(found.results["perturbation"] == row) & (found.results["model"] == "gnn")]
    guess = found.predictions[row].X.ravel()
    truth = found.predictions[row].layers["measured"].ravel()
    others = found.predictions.var_names != row
    assert own["mse"].item() == pytest.approx(float(((guess - truth)[others] ** 2).mean()), rel=1e-4)


def test_the_command_writes_everything(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, screen_file: Path, graph_model: Path
) -> None:
    out, table = tmp_path / "out", tmp_path / "table.json"
    words = [str(screen_file), "--model", str(graph_model), "--out", str(out), "--seeds", "1", *WORDS]
    code, shown, said = run(capsys, *words, "--json", str(table), "--set", "predict=[GENE0, GENE1_GENE2]")
    assert code == 0, said
    assert sorted(path.name for path in out.iterdir()) == sorted(OWNED)
    assert "gnn untrained" in shown
    assert "52 perturbations of obs['perturbation'] (12 of two genes)" in said
    results = pd.read_csv(out / "results.csv")
    assert list(dict.fromkeys(results["model"])) == ROWS
    assert set(results["seed"]) == {0}
    assert {row["model"] for row in json.loads(table.read_text())} == set(ROWS)
    page = (out / "summary.md").read_text()
    assert all(f"| {name} |" in page for name in ROWS)
    assert "## Double, 1/2 seen" in page
    assert "paired difference to the best baseline" in page
    predictions = ad.read_h5ad(out / "predictions.h5ad")
    new = predictions[predictions.obs["part"] == "new"]
    assert list(new.obs_names) == ["GENE0 (new)", "GENE1+GENE2 (new)"]
    assert np.isfinite(new.X).all()
    assert np.isnan(new.layers["measured"]).all()
    assert predictions.n_vars == 80
    assert yaml.safe_load((out / "config.yaml").read_text())["network"]["epochs"] == 2
    environment = json.loads((out / "environment.json").read_text())
    assert environment["data"]["control"] == ["control"]
    assert len(environment["data"]["sha256"]) == 64
    assert (out / "scores.svg").read_text().startswith("<?xml")
    assert (out / "changes.png").read_bytes().startswith(b"\x89PNG")

    code, _, said = run(capsys, *words)
    assert code == 2
    assert "already holds files" in said
    config = yaml.safe_load((out / "config.yaml").read_text())
    again = scgraph.perturb(screen_file, graph_model, config={**config, "predict": []})
    pd.testing.assert_frame_equal(again.results.fillna({"choice": ""}), results.fillna({"choice": ""}), rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--control", "ctrl"], "no cell is labelled 'ctrl'"),
        (["--perturbation", "guide"], "obs has no column 'guide'"),
        (["--set", "embeding=gene"], "Did you mean 'embedding'"),
        (["--set", "embedding=value"], "no value table. It has: gene, adjacency"),
        (["--set", "test_share=0.9"], "nothing is left to train on"),
        (["--set", "predict=TP53"], "TP53 of 'TP53' is no gene"),
        (["--seeds", "0"], "seeds"),
        (["--set", "min_cells=100"], "perturbations with fewer than 100 cells"),
        (["--layer", "counts"], "no layer 'counts'"),
        (["--device", "cuda:99"], "not on this machine"),
        (["--config", "missing.yaml"], "no such file"),
    ],
)
def test_wrong_words_leave_nothing(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    screen_file: Path,
    graph_model: Path,
    words: list[str],
    said: str,
) -> None:
    out = tmp_path / "out"
    code, shown, err = run(capsys, str(screen_file), "--model", str(graph_model), "--out", str(out), *words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert shown == ""
    assert not out.exists()


def test_a_training_that_fails_leaves_no_folder(simulated: SimulatedScreen, graph_model: Path, tmp_path: Path) -> None:
    config: dict[str, Any] = {**BRIEF, "network": {"learning_rate": 1e30, "epochs": 9}}
    with pytest.raises(TrainingError, match="learning_rate"):
        scgraph.perturb(simulated.adata, graph_model, config=config, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    with pytest.raises(OutputError, match="already holds files"):
        scgraph.perturb(simulated.adata, graph_model, config=BRIEF, out=tmp_path / "out")
    with pytest.raises(ConfigError, match=r"config: network.width"):
        scgraph.perturb(simulated.adata, graph_model, config={"network": {"width": 0}})
