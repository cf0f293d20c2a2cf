"""The command line: what it offers, what it says of wrong words, and that it starts at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from scgraph.cli import main
from scgraph.cli.options import assignments, bench_settings, repeat_lists
from scgraph.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SAGE = "torch_geometric.nn.SAGEConv"


COMMANDS = [
    "annotate",
    "bench",
    "prepare",
    "pretrain",
    "probe",
    "embed",
    "denoise",
    "graph",
    "perturb",
    "drugs",
    "push",
    "profile",
    "synthetic",
    "tune",
    "models",
    "example",
    "doctor",
]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize(
    "command", [[], *([name] for name in COMMANDS)], ids=lambda words: " ".join(words) or "scgraph"
)
def test_help_is_quick(command: list[str]) -> None:
    words = [sys.executable, "-X", "importtime", "-m", "scgraph.cli", *command, "--help"]
    start = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 20  # a machine under load; what is imported is what makes it quick
    assert "Usage: scgraph" in done.stdout
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not imported & {
        "torch",
        "pandas",
        "anndata",
        "scanpy",
        "lightning",
        "sklearn",
        "numpy",
        "matplotlib",
        "optuna",
    }


def test_several_files_after_one_option() -> None:
    assert repeat_lists(["bench", "--data", "a", "b", "--label", "x"]) == [
        "bench",
        "--data",
        "a",
        "--data",
        "b",
        "--label",
        "x",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bnch"], "Did you mean 'bench'"),
        (["bench", "--modles", "gnn"], "--models"),
        (["bench", "--models", "gnm"], "Did you mean 'gnn'"),
        (["bench", "--models", "gnn,gnn"], "gnn is named twice"),
        (["bench", "--models", ","], "at least one model"),
        (["bench", "--set", "train.epoch=3"], "Did you mean 'epochs'"),
        (["bench", "--set", "train"], "key=value"),
        (["bench", "--set", "model.conv_options=" + "[" * 900 + "]" * 900], "nested more than 100 levels deep"),
        (["bench", "--set", ".".join(["a"] * 5000) + "=1"], "the key has 5,000 parts"),
        (["bench", "--set", "train={epochs: 1, epochs: 2}"], "'epochs' stands twice"),
        (["bench", "--config", "bench/defalt"], "Did you mean 'bench/default'"),
        (["bench", "--config", "missing.yaml"], "no such file"),
        (["bench", "--epochs", "0"], "train.epochs"),
        (["bench", "--genes", "0"], "train.genes"),
        (["bench", "--set", "model.rank=0"], "model.rank"),
        (["bench", "--set", "train.learning_rate=0"], "train.learning_rate"),
        (["bench", "--set", "per_model.tf.conv_options.heads=7", "--models", "tf"], "must divide channels"),
        (["bench", "--set", "per_model.gnn.chanels=7"], "Did you mean 'channels'"),
        (["bench", "--models", "tf", "--set", "per_model.gnn.chanels=7"], "Did you mean 'channels'"),
        (["bench", "--set", "per_model.gnm.rank=4"], "per_model: there is no model 'gnm'. Did you mean 'gnn'"),
        (["bench", "--set", "per_model.asym:gnm.rank=4"], "there is no model 'asym:gnm'. Did you mean 'asym:gnn'"),
        (["bench", "--set", "train_per_model.gnm.epochs=4"], "train_per_model: there is no model 'gnm'"),
        (["bench", "--set", "probe_per_model.gnm.epochs=4"], "probe_per_model: there is no model 'gnm'"),
        (["pretrain", "pbmc68k_reduced", "--out", "m", "--set", "per_model.tff.rank=4"], "Did you mean 'tf'"),
        (["tune", "--data", "pbmc68k_reduced", "--set", "bench.per_model.gnm.rank=4"], "per_model: there is no model"),
        (["tune", "--data", "pbmc68k_reduced", "--set", "space_per_model.gnm.train.epochs=[1]"], "Did you mean 'gnn'"),
        (
            ["probe", "m", "x.h5ad", "--set", "per_model.gnm.rank=4"],
            "per_model: there is no model 'gnm'. Did you mean 'gnn'",
        ),
        (
            ["bench", "--set", "per_model.no_lab:Conv.rank=4"],
            "per_model: Model 'no_lab:Conv': there is no module 'no_lab'",
        ),
        (["bench", "--set", "per_model.asym:no_lab:Conv.rank=4"], "there is no module 'no_lab'"),
        (
            ["probe", "m", "x.h5ad", "--set", "probe_per_model.no_lab:Conv.epochs=4"],
            "probe_per_model: Model 'no_lab:Conv'",
        ),
        (
            ["bench", "--set", 'train_per_model."torch_geometric.nn:Linear".epochs=4'],
            "not a subclass of scgraph.nn.GeneConv",
        ),
        (
            [
                "tune",
                "--data",
                "pbmc68k_reduced",
                "--set",
                'space_per_model."torch_geometric.nn.SAGEKonv".train.epochs=[1]',
            ],
            "space_per_model: Model 'torch_geometric.nn.SAGEKonv': torch_geometric.nn has no 'SAGEKonv'. Did you mean",
        ),
        (["bench", "--set", "model=3"], "model: must be a mapping of keys to values, not 3"),
        (["bench", "--set", "train=[epochs]", "--epochs", "2"], "train: must be a mapping"),
        (["bench", "--set", "train_per_model=3", "--set", "train.epochs=2"], "train_per_model: must be a mapping"),
        (["bench", "--set", "train_per_model.tf=3", "--epochs", "2"], "train_per_model.tf: Input should be"),
        (["pretrain", "pbmc68k_reduced", "--out", "m", "--set", "train=3"], "train: must be a mapping"),
        (["tune", "--data", "pbmc68k_reduced", "--set", "bench.train=3"], "train: must be a mapping"),
        (
            ["tune", "--data", "pbmc68k_reduced", "--set", "space_per_model.gnn=3"],
            "space_per_model.gnn: Input should be",
        ),
        (["bench", "--set", "train.learning_rate=.inf"], "train.learning_rate: must be a finite number, not inf"),
        (["bench", "--data", "missing.h5ad"], "missing.h5ad"),
        (["bench", "--data", "pbmc68k_reduce"], "Did you mean 'pbmc68k_reduced'"),
        (["bench", "--label", "bulk_label"], "Did you mean 'bulk_labels'"),
        (["bench", "--device", "cuda:99"], "not on this machine"),
        (["profile", "--models", "gnn", "--rank", "0"], "rank"),
        (["profile", "--attention", "flash"], "'math'"),
        (["profile", "--network", "missing.tsv"], "missing.tsv: cannot be read"),
        (["bench", "--network", "net.sif"], "a .tsv, .csv or .graphml file, not .sif"),
        (["bench", "--set", "model.positional=laplacian"], "positional laplacian: needs a gene network; name its file"),
        (["bench", "--network", "x.tsv", "--set", "model.restricted=false"], "network: no model makes use of it"),
        (["tune", "--data", "pbmc68k_reduced", "--network", "missing.tsv"], "missing.tsv: cannot be read"),
        (["bench", "--models", "asym:gnn", "--network", "x.tsv"], "asym:gnn takes no gene network"),
        (["profile", "--zero-genes", "few"], "--zero-genes: 'few' is no number of genes"),
        (["profile", "--models", "asym:gnm"], "Did you mean 'gnn'"),
        (["synthetic", "--set", "sign=papr"], "sign"),
        (["synthetic", "--config", "synthetic/papr"], "Did you mean 'synthetic/paper'"),
        (["models", "--check", "nowhere:Conv"], "no module 'nowhere'"),
        (["models", "--check", "torch_geometric.nn.SAGEKonv"], "Did you mean 'SAGEConv'"),
        (["models", "--check", "torch_geometric.nn.ChebConv"], "needs K"),
        (["models", "--check", "torch_geometric.nn.FAConv"], "sentence 1 of the contract"),
        (["models", "--check", "gat", "--set", "hads=2"], "sentence 1 of the contract"),
        (["bench", "--models", "torch_geometric.nn.MixHopConv"], "sentence 1 of the contract: [19, 64] went in"),
        (["bench", "--models", "torch_geometric.nn.ChebConv"], "conv_options"),
        (["bench", "--models", SAGE, "--set", f'per_model."{SAGE}".chanels=7'], "Did you mean 'channels'"),
        (["embed", "nowhere", "x.h5ad", "--out", "y.h5ad"], "nowhere"),
        (["embed", "nowhere", "x.h5ad", "--out", "y.csv"], "ends in .h5ad"),
        (["bench", "--classes", "map.tsv"], "--transfer"),
        (["bench", "--uses", "transfer"], "name its labelled cells with --transfer."),
        (["denoise", "nowhere", "x.h5ad", "--out", "y.h5ad"], "nowhere"),
        (["annotate", "missing.h5ad", "--reference", "x.h5ad"], "missing.h5ad"),
        (["annotate", "missing.h5ad", "--reference", "x.h5ad", "--out", "y.csv"], "ends in .h5ad"),
        (["denoise", "nowhere", "x.h5ad", "--out", "y.csv"], "ends in .h5ad"),
        (["probe", "nowhere", "x.h5ad"], "nowhere"),
        (["perturb", "x.h5ad", "--model", "nowhere"], "nowhere"),
        (["perturb", "x.h5ad"], "--model"),
        (["drugs", "--combinations", "no.csv", "--lines", "x", "--drugs", "y"], "no.csv"),
        (["drugs"], "--combinations"),
        (["pretrain", "missing.h5ad", "--out", "m"], "missing.h5ad"),
        (["pretrain", "x.h5ad", "--out", "m", "--strategy", "dpp"], "should be 'auto', 'ddp' or 'ddp_find"),
        (["pretrain", "x.h5ad", "--out", "m", "--devices", "0"], "train.devices"),
        (["pretrain", "x.h5ad", "--out", "m", "--nodes", "2"], "torchrun --nnodes 2"),
        (["bench", "--set", "train.nodes=2"], "torchrun --nnodes 2"),
        (["pretrain", "x.h5ad", "--out", "m", "--log", "tensorbord"], "Did you mean 'tensorboard'"),
        (["pretrain", "x.h5ad", "--out", "m", "--license", "My Own"], "no name of a licence"),
        (["embed", "hf://nowhere", "x.h5ad", "--out", "y.h5ad"], "hf://nowhere: is no name of a model"),
        (["push", "nowhere", "lab/blood"], "nowhere: there is no such folder"),
        (["push", "nowhere"], "Missing argument 'ORG/NAME'"),
        (["prepare", "missing.h5ad", "--out", "s"], "missing.h5ad"),
        (["prepare", "missing.h5ad"], "scgraph prepare FILES --out STORE"),
        (["prepare", "--check", "nowhere"], "nowhere: is no store of cells"),
        (["prepare", "--check", "nowhere", "--out", "s"], "stands alone"),
        (["prepare", "x.h5ad", "--out", "s", "--vocabulary", "nowhere"], "nowhere: there is no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_get_one_message_and_code_2(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_models_lists_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "models", "--json", "-")
    rows = json.loads(out)  # with --json - nothing else stands on standard output
    assert code == 0
    assert {row["model"] for row in rows} >= {"gnn", "gnn-linear", "gcn", "gat", "tf", "hybrid", "mean", "none"}


def test_check_names_the_broken_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_lab.py").write_text(
        "from scgraph.nn.conv import NoneConv\n"
        "class Wide(NoneConv):\n"
        "    def complete(self, x, graph, view):\n"
        "        return x.repeat(1, 1, 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    code, _, err = run(capsys, "models", "--check", "their_lab:Wide")
    assert code == 2
    assert "Wide breaks sentence 1 of the contract" in err
    assert "[3, 11, 16] went in, [3, 11, 32] came out" in err
    assert run(capsys, "models", "--check", "gnn")[0] == 0


def test_keys_with_dots_stand_in_quotes() -> None:
    words = ['per_model."a.b:C".conv_options.K=2', "train.epochs=3"]
    assert assignments(words) == {"per_model": {"a.b:C": {"conv_options": {"K": 2}}}, "train": {"epochs": 3}}
    with pytest.raises(ConfigError, match="no key"):
        bench_settings(None, ["train..epochs=3"], model={}, train={})


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def complete(self, x, graph, view):\n        return x @ x.new_ones(3, 3)", "RuntimeError: mat1 and mat2"),
        ("def forward(self, x):\n        return x", "forward takes (self, x, graph, view), not (self, x)"),
        ("def __init__(self, channels, depth):\n        super().__init__(channels)", "'depth'"),
    ],
)
def test_a_bench_says_what_a_layer_breaks_before_it_reads(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    name = f"lab_{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(
        f"from scgraph.nn.conv import NoneConv\nclass Mine(NoneConv):\n    {code}\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    exit_code, _, err = run(capsys, "bench", "--models", f"{name}:Mine", "--data", str(tmp_path / "missing.h5ad"))
    assert exit_code == 2
    assert said in err
    assert "Mine" in err
    assert "missing.h5ad" not in err
    assert "Traceback" not in err


def test_profile_prints_the_papers_multiply_adds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    code, out, _ = run(
        capsys,
        "profile",
        "--models",
        "gnn,tf",
        "--channels",
        "256",
        "--genes",
        "512",
        "--batch-size",
        "1",
        "--vocabulary",
        "600",
        "--json",
        str(path),
    )
    assert code == 0
    written = json.loads(path.read_text())
    costs = {row["model"]: row for row in written["costs"]}
    assert written["environment"]["versions"]["torch"]
    assert round(costs["tf"]["multiply_adds"] / 1e9, 2) == 2.01
    assert costs["gnn"]["multiply_adds"] <= 0.63e9
    assert all(row["multiply_adds"] == row["counted_multiply_adds"] for row in costs.values())
    assert "2.013 G" in out
    assert re.search(r"waiting for cells, .*: gnn \d+\.\d\d%, tf", out)
    assert all(0 < row["waiting_share"] < 0.5 for row in costs.values())
