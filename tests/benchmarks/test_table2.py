"""Table II: the paper's numbers, what our models state, and both commands on tiny cases."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks.conftest import ROOT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Script = Callable[..., subprocess.CompletedProcess[str]]

QUICK = [
    f"--set={word}"
    for word in ("model.layers=1", "train.epochs=1", "train.batch_size=32", "probe.epochs=2", "components=5")
]


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code of the command line in this process, and what it says on standard error."""
    from benchmarks.table2 import run as table2

    with pytest.raises(SystemExit) as stopped:
        table2.main(words)
    return int(stopped.value.code or 0), capsys.readouterr().err


def setting_names() -> list[tuple[int, int]]:
    from benchmarks.table2.paper import SETTINGS

    return list(SETTINGS)


def test_the_copy_of_the_papers_table_is_the_papers() -> None:
    from benchmarks.table2.paper import DATASETS, paper_row

    source = ROOT.parent / "shared" / "paper" / "table2.csv"
    if not source.is_file():
        pytest.skip("the paper's tables are not on this machine")
    with source.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    for row in rows:
        ours = paper_row(int(row["channels"]), int(row["genes"]), row["model"])
        assert (ours.flops, ours.memory_mb) == (float(row["flops_g"]), float(row["memory_mb"]))
        expected = tuple((float(row[n.lower()]), float(row[f"{n.lower()}_sd"])) for n in DATASETS)
        assert ours.accuracies == expected


@pytest.mark.parametrize(("channels", "genes"), setting_names())
def test_multiply_adds_agree_with_the_paper(channels: int, genes: int) -> None:
    from benchmarks.table2.costs import multiply_adds_like_paper, setting_configs, stated_multiply_adds
    from benchmarks.table2.paper import paper_row

    configs = setting_configs(channels, genes, "cpu")
    tf = stated_multiply_adds(configs["tf"], genes)[0]
    assert round(tf / 1e9, 2) == paper_row(channels, genes, "tf").flops
    shared, adjacency = stated_multiply_adds(configs["gnn"], genes)
    paper = paper_row(channels, genes, "gnn").flops
    assert multiply_adds_like_paper(configs["gnn"], genes) / 1e9 == pytest.approx(paper, rel=0.02)
    assert adjacency == genes**2 * 48
    assert shared / 1e9 < paper


def test_costs_are_measured_and_written(script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = script("table2", "costs", "--out", "costs", "--settings", "256/256", "--batch-size", "1", "--seconds", "0")
    assert done.returncode == 0, done.stderr
    costs = pd.read_csv(tmp_path / "costs" / "costs.csv").set_index("row")
    assert list(costs.index) == ["gnn", "gnn, adjacency a layer", "tf, fused", "tf, math"]
    assert (costs["multiply_adds"] == costs["counted_multiply_adds"]).all()
    assert costs["attention"].fillna("").tolist() == ["", "", "fused", "math"]
    saved = costs["saved_mb"]
    assert saved["gnn"] < saved["gnn, adjacency a layer"] < saved["tf, fused"] < saved["tf, math"]
    page = (tmp_path / "costs" / "costs.md").read_text()
    assert "| 256/256 | 0.20 G | 0.22 G | 0.24 G | 0.24 G | 0.81 G | 0.81 G |" in page
    assert f"{saved['tf, math']:.1f} | 52.3 |" in page
    assert "saves for backward" in page
    origin = json.loads((tmp_path / "costs" / "environment.json").read_text())
    command = "python -m benchmarks.table2.run costs --out costs --settings 256/256 --batch-size 1 --seconds 0"
    assert origin["command"] == command
    from benchmarks.table2.costs import costs_markdown

    assert "The machine was busy" in costs_markdown(costs.reset_index(), load=1000.0)
    assert "The machine was busy" not in costs_markdown(costs.reset_index(), load=0.0)
    code, said = run(["costs", "--out", str(tmp_path / "costs")], capsys)
    assert (code, said.count("\n")) == (2, 1)
    assert "already holds files" in said


@pytest.mark.slow
def test_accuracy_of_two_settings_and_a_restart(
    cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "t2"
    command = ["accuracy", "--data", str(cells_file), "--scale", "16", "--seeds", "2", "--out", str(folder)]
    command += ["--settings", "256/256,128/512", *QUICK]
    code, said = run(command, capsys)
    assert code == 0, said
    rows = pd.read_csv(folder / "results.csv")
    assert list(rows["setting"].unique()) == ["256/256", "128/512"]
    assert set(rows["model"]) == {"majority", "pca+logreg", "gnn untrained", "gnn", "tf untrained", "tf"}
    assert len(rows) == 2 * 2 * 6
    page = (folder / "table2.md").read_text()
    assert "| 128/512 | gnn | 8 |" in page
    assert "other cells than ours" in page
    assert "| all settings |" in page
    first = {path.name: path.read_bytes() for path in folder.iterdir()}

    # Cut off while the second setting was written: its rows stand there, but it is not in settings.json.
    kept = json.loads(first["settings.json"])
    del kept["128/512"]
    (folder / "settings.json").write_text(json.dumps(kept))
    code, said = run(command, capsys)
    assert code == 0, said
    assert "256/256: t2 holds it already." in said
    assert "128/512 [1/6]" in said
    assert "256/256 [" not in said
    assert (folder / "table2.md").read_bytes() == first["table2.md"]
    scores = ["setting", "model", "seed", "accuracy", "macro_f1"]
    pd.testing.assert_frame_equal(pd.read_csv(folder / "results.csv")[scores], rows[scores])

    code, said = run([*command, "--set", "probe.epochs=3"], capsys)
    assert code == 2
    assert "holds results of other settings" in said
    assert (folder / "table2.md").read_bytes() == first["table2.md"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scale", "3"], "does not divide 256 channels"),
        (["--settings", "256/500"], "'256/500' is not in Table II. Did you mean '256/512'?"),
        (["--scale", "64"], "heads (8) must divide channels (4)"),
        (["--set", "train.gens=3"], "Did you mean 'genes'?"),
        (["--data", "gone.h5ad"], "gone.h5ad"),
    ],
)
def test_bad_input_is_refused(
    words: list[str], said: str, cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, found = run(["accuracy", "--data", str(cells_file), "--out", str(out), *QUICK, *words], capsys)
    assert (code, found.count("\n")) == (2, 1)
    assert said in found
    assert not out.exists()


def test_differences_pair_the_seeds() -> None:
    from benchmarks.table2.page import OVERALL, differences

    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for setting, shift in (("256/512", 0.02), ("128/512", -0.04)):
        for dataset in ("a", "b"):
            for seed in range(4):
                base = rng.uniform(0.5, 0.9)
                scores = {"gnn": base + shift + 1e-4 * seed, "tf": base}
                common = {"setting": setting, "dataset": dataset, "seed": seed}
                rows += [common | {"model": m, "accuracy": s, "macro_f1": s} for m, s in scores.items()]
    found = differences(pd.DataFrame(rows), margin=0.03).set_index(["setting", "dataset", "metric"])
    assert found.loc[("256/512", "a", "accuracy"), "mean"] == pytest.approx(0.02015)
    assert found.loc[("256/512", "all sets", "accuracy"), "n"] == 4
    assert found.loc[("256/512", "a", "accuracy"), "equivalent"]
    assert not found.loc[("128/512", "a", "accuracy"), "equivalent"]
    whole = found.loc[(OVERALL, "all sets", "accuracy")]
    assert (whole["n"], whole["mean"]) == (4, pytest.approx(-0.00985))
