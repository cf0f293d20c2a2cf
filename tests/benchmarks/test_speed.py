"""The speed benchmarks on tiny real cases: what they measure, mark, write and take up again."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILES = {"results.csv", "table.md", "figure.png", "figure.svg", "config.yaml", "environment.json"}
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and sets RLIMIT_DATA")


def run(module: str, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code of a script in this process, and what it says on standard error."""
    import importlib

    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(f"benchmarks.{module}.run").main(list(words))
    return int(stopped.value.code or 0), capsys.readouterr().err


def case_names() -> list[str]:
    from benchmarks.layers.cases import cases

    return [case.name for case in cases()]


@pytest.mark.parametrize("name", case_names())
def test_every_layer_gives_its_shape_and_gradients(name: str) -> None:
    from benchmarks.layers.cases import LayerStep, Sizes, named_case

    step = LayerStep(named_case(name), Sizes(6, channels=16, rank=3, cells=2))
    assert step.forward().shape == (2, 6, 16)
    step()
    assert step.x.grad is not None
    assert step.x.grad.isfinite().all()
    assert step.x.grad.abs().sum() > 0
    assert step.saved_mb() > 0
    half = LayerStep(named_case(name), Sizes(6, channels=16, rank=3, precision="bf16-mixed"))
    half()
    assert half.x.grad is not None
    assert half.x.grad.isfinite().all()


def test_peers_of_a_layer_compute_the_same_kind_of_thing() -> None:
    from benchmarks.layers.cases import EDGES, LayerStep, Sizes, named_case

    sizes = Sizes(9, channels=16, rank=3, cells=2)
    ours, edges = LayerStep(named_case("gnn"), sizes), LayerStep(named_case("gnn (edges)"), sizes)
    assert named_case("gnn (edges)").kind == EDGES
    edges.module.load_state_dict(ours.module.state_dict())
    torch.testing.assert_close(ours.run(ours.x), edges.run(ours.x))
    assert edges.saved_mb() > ours.saved_mb()
    assert LayerStep(named_case("tf (math)"), sizes).saved_mb() > LayerStep(named_case("tf"), sizes).saved_mb()


@LINUX
def test_layers_are_measured_marked_and_taken_up_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["--out", str(out), "--genes", "64,16000,20000", "--channels", "8", "--rank", "2", "--seconds", "0"]
    words += ["--cases", "tf (math),gnn-linear", "--edge-sizes", "1x12", "--edge-rounds", "2", "--memory-gb", "2.5"]
    code, said = run("layers", words, capsys)
    assert code == 0, said
    assert {path.name for path in out.iterdir()} == FILES | {"exponents.csv", "edges.json"}
    rows = pd.read_csv(out / "results.csv").set_index(["case", "genes"])
    assert rows.loc["tf (math)", "status"].tolist() == ["ok", "out of memory", "not tried"]
    assert rows.loc["gnn-linear", "status"].tolist() == ["ok", "ok", "ok"]
    assert rows.loc[("tf (math)", 20000), "message"] == "out of memory at 16000 genes"
    assert rows.loc[("gnn-linear", 16000), "saved_mb"] > 100 * rows.loc[("gnn-linear", 64), "saved_mb"]
    assert rows.loc[("gnn-linear", 16000), "peak_mb"] > 1
    fitted = pd.read_csv(out / "exponents.csv").set_index("case")
    assert fitted.loc["gnn-linear", "saved_mb_exponent"] == pytest.approx(1, abs=0.05)
    assert fitted.loc["tf (math)", "saved_mb_points"] == 1
    page = (out / "table.md").read_text()
    assert "| out of memory | - | - |" in page
    assert "needed more than 2.5 GB" in page
    assert "edges over products" in page
    origin = json.loads((out / "environment.json").read_text())
    assert origin["command"].startswith("python -m benchmarks.layers.run")
    assert "load" in origin

    before = {path.name: path.read_bytes() for path in out.iterdir() if path.name != "environment.json"}
    lines = (out / "results.csv").read_text().splitlines(keepends=True)
    (out / "results.csv").write_text("".join(lines[:-1]))
    code, said = run("layers", words, capsys)
    assert code == 0, said
    assert said.count(" after ") == 1
    again = pd.read_csv(out / "results.csv").set_index(["case", "genes"])
    pd.testing.assert_series_equal(again["saved_mb"], rows["saved_mb"])
    assert (out / "edges.json").read_bytes() == before["edges.json"]
    code, said = run("layers", [*words, "--rank", "3"], capsys)
    assert code == 2
    assert "other settings" in said


@LINUX
def test_a_point_over_its_time_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["--out", str(out), "--genes", "64", "--channels", "8", "--cases", "none", "--edge-rounds", "0"]
    code, said = run("layers", [*words, "--seconds", "90", "--seconds-per-point", "3"], capsys)
    assert code == 0, said
    assert pd.read_csv(out / "results.csv")["status"].tolist() == ["over time"]
    assert "| `none` | over time | - |" in (out / "table.md").read_text()


def test_training_steps_are_compared_in_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers", reason="BertModel comes with the extra dev")
    out = tmp_path / "out"
    sizes = ["--channels", "16", "--genes", "12", "--layers", "2", "--rank", "2", "--batch-size", "2"]
    words = ["--out", str(out), *sizes, "--vocabulary", "30", "--rounds", "6", "--adam", "--profile"]
    code, said = run("training_step", [*words, "--variant", "gnn:shared_adjacency=false,dropout=0.1"], capsys)
    assert code == 0, said
    assert {path.name for path in out.iterdir()} == FILES | {"rounds.csv", "profile.csv"}
    shares = pd.read_csv(out / "profile.csv").set_index("name")
    assert shares.sum(axis=1).tolist() == pytest.approx([1.0] * 12)
    assert (shares["products"] > 0).all()
    assert (shares.loc[["gat", "tf"], "attention"] > shares.loc["gnn-linear", "attention"]).all()
    rows = pd.read_csv(out / "results.csv").set_index("name")
    assert list(rows.index) == [
        "gnn", "gnn-linear", "gcn", "gat", "tf", "tf (math)", "hybrid", "TransformerEncoder",
        "TransformerEncoder (math)",
        "BertModel", "BertModel (math)", "gnn (shared_adjacency=False, dropout=0.1)",
    ]  # fmt: skip
    assert (rows["status"] == "ok").all()
    assert (rows["rounds"] == 6).all()
    assert rows.loc["tf", "times_tf"] == 1
    assert rows.loc["TransformerEncoder", "times_encoder"] == 1
    assert (rows["times_tf_low"] <= rows["times_tf"]).all()
    assert (rows["times_tf"] <= rows["times_tf_high"]).all()
    assert rows.loc["TransformerEncoder", "multiply_adds"] == rows.loc["tf", "multiply_adds"]
    assert rows.loc["tf", "saved_mb"] < rows.loc["tf (math)", "saved_mb"]
    share = rows["operations_per_second"] / rows["matmul_share"]
    origin = json.loads((out / "environment.json").read_text())
    assert share.tolist() == pytest.approx([max(origin["matmul_peak"].values())] * len(rows), rel=1e-6)
    rounds = pd.read_csv(out / "rounds.csv")
    speed = 2 / rounds.groupby("name")["seconds"].median()
    assert speed["gat"] == pytest.approx(rows.loc["gat", "cells_per_second"], rel=1e-6)
    by_round = rounds.pivot(index="round", columns="name", values="seconds")
    faster = (by_round["tf"] / by_round["gnn-linear"]).median()
    assert rows.loc["gnn-linear", "times_tf"] == pytest.approx(faster, rel=1e-6)
    assert "median of 6 rounds" in (out / "table.md").read_text()


def test_peers_have_the_size_of_the_transformer() -> None:
    from benchmarks.training_step.cases import BERT, TORCH_ENCODER, Entry, ModelSizes, TrainingStep

    sizes = ModelSizes(12, channels=16, layers=2, cells=2, vocabulary=30)
    count = {
        name: sum(p.numel() for p in TrainingStep(Entry(name, name), sizes).model.parameters())
        for name in ("tf", TORCH_ENCODER)
    }
    assert count[TORCH_ENCODER] == count["tf"]
    pytest.importorskip("transformers", reason="BertModel comes with the extra dev")
    bert = TrainingStep(Entry(BERT, BERT), sizes)
    parts = dict(bert.model.named_parameters())
    inside = sum(p.numel() for name, p in parts.items() if ".encoder.layer." in name)
    assert inside == 2 * (6 * 16 * 16 + 6 * 16 + 4 * 16)  # four maps, a feed-forward of width C, two norms
    bert()
    assert all(p.grad is not None for name, p in parts.items() if ".encoder.layer." in name)


def test_a_missing_library_leaves_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from benchmarks.training_step.cases import ModelSizes, entries
    from benchmarks.training_step.rounds import measure_training, training_table, with_shares

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "transformers" else find(name))
    sizes = ModelSizes(8, channels=8, layers=1, cells=1, vocabulary=8)
    rows, times = measure_training(entries(["gnn", "BertModel"]), sizes, rounds=1, seconds=0)
    assert list(times) == ["gnn"]
    assert training_table(with_shares(rows, 1e9)).count("| not installed | - |") == 2


@pytest.mark.parametrize(
    ("module", "words", "said"),
    [
        ("layers", ["--cases", "gnm"], "Did you mean 'gnn'?"),
        ("layers", ["--genes", "64,some"], "'some' is no positive number"),
        ("layers", ["--edge-sizes", "4"], "is not cells x genes"),
        ("layers", ["--channels", "12"], "no multiple of 8"),
        ("training_step", ["--models", "gnm"], "Did you mean 'gnn'?"),
        ("training_step", ["--variant", "gnn:shared_adjacancy=1"], "Did you mean 'shared_adjacency'?"),
        ("training_step", ["--variant", "gnn"], "is not of the form"),
        ("scatter", ["--channels", "12"], "no multiple of 8"),
        ("hardware_lottery", ["--channels", "12"], "no multiple of 8"),
        ("hardware_lottery", ["--genes", "64,0"], "'0' is no positive number"),
    ],
)
def test_bad_input_is_refused(
    module: str, words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = run(module, ["--out", str(tmp_path / "out"), *words], capsys)
    assert code == 2
    assert said in found
    assert found.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_edge_path_is_measured_with_torch_scatter_and_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from torch_geometric.typing import WITH_TORCH_SCATTER

    from scgraph.nn.conv.registry import conv_names

    out = tmp_path / "out"
    words = [
        "--out",
        str(out),
        "--genes",
        "20",
        "--top-k",
        "4",
        "--channels",
        "8",
        "--batch-size",
        "2",
        "--rounds",
        "6",
    ]
    code, said = run("scatter", words, capsys)
    assert code == 0, said
    assert {path.name for path in out.iterdir()} == FILES
    rows = pd.read_csv(out / "results.csv").set_index("name")
    assert set(conv_names()) | {"GCNConv", "GATConv", "TransformerConv", "sum by index", "sum by pointer"} == set(
        rows.index
    )
    assert (rows["edges"] == 2 * 20 * 4).all()
    assert (rows["without_ms"] > 0).all()
    origin = json.loads((out / "environment.json").read_text())
    assert origin["pyg_uses_torch_scatter"] == WITH_TORCH_SCATTER
    if WITH_TORCH_SCATTER:
        assert rows["with_ms"].notna().all()
        assert bool(rows.loc["sum by pointer", "calls_torch_scatter"])
    else:
        assert (rows["status"] == "not installed").all()
        assert (out / "table.md").read_text().count("| not installed |") == len(rows)


def test_the_switch_decides_what_pyg_uses() -> None:
    import torch_geometric.typing

    from benchmarks.scatter.cases import switched

    seen: list[Any] = []
    before = torch_geometric.typing.WITH_TORCH_SCATTER
    for on in (True, False):
        switched(lambda: seen.append(torch_geometric.typing.WITH_TORCH_SCATTER), on=on)()
    assert seen == [True, False]
    assert before == torch_geometric.typing.WITH_TORCH_SCATTER


def test_the_gpu_script_runs_at_tiny_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.gpu import run as gpu

    out = tmp_path / "out"
    assert gpu.main(["--device", "cpu", "--tiny", "--out", str(out)]) == 0
    page = capsys.readouterr().out
    assert page == (out / "table.md").read_text()
    expected = (FILES - {"results.csv"}) | {"training.csv", "layers.csv", "training.png", "training.svg"}
    assert {path.name for path in out.iterdir()} == expected
    training = pd.read_csv(out / "training.csv")
    first = training[~training["compiled"]]
    assert first.groupby(["channels", "precision"]).size().tolist() == [11, 11, 11, 11]
    layers = pd.read_csv(out / "layers.csv")
    assert (layers["status"] == "ok").all()
    assert set(layers["precision"]) == {"bf16-mixed", "32-true"}
    assert set(layers["case"]) == set(case_names())
    assert gpu.main(["--device", "cpu", "--tiny", "--out", str(out)]) == 2
    assert "already holds files" in capsys.readouterr().err


def test_the_gpu_script_stops_starting_points_when_the_time_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.gpu import run as gpu

    out = tmp_path / "out"
    assert gpu.main(["--device", "cpu", "--tiny", "--out", str(out), "--budget-seconds", "0"]) == 0
    assert "the time is up" in capsys.readouterr().err
    assert set(pd.read_csv(out / "layers.csv")["status"]) == {"not tried"}


def test_without_a_gpu_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.gpu import run as gpu

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "no GPU" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
