"""Runs and studies that cannot begin or go on: cases 49 to 64 of the bad inputs, through the command line.

Wrong words (53 to 55) stand in tests/cli/test_cli.py; kills, Ctrl-C, locks and servers (50, 57, 60, 62, 65) in
tests/train/test_resume.py, test_model_io.py and tests/tune, with processes of their own.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import anndata
import numpy as np
import pytest

from scgraph.cli import app as cli
from tests.bad_inputs.helpers import BENCH, TINY, Run, put, snapshot
from tests.bad_inputs.processes import run_at_once

TUNE = ["--models", "none", "--no-final", "--trials", "1"]
for setting in ("bench.train.epochs=1", "bench.train.genes=16", "bench.train.batch_size=8"):
    TUNE += ["--set", setting]
TUNE += ["--set", "space.model.channels=[8,16]", "--set", "space.model.layers=[1]"]


def test_49_a_run_goes_on_only_as_it_began(tmp_path: Path, fine: Run, refused: Run) -> None:
    data, other = put(tmp_path), put(tmp_path, name="other.h5ad", seed=5)
    fine(["pretrain", data, "--out", "m", *TINY])
    resumed = ["--out", "m", *TINY, "--resume"]
    refused(["pretrain", other, *resumed], tmp_path / "m", "cells")
    refused(["pretrain", data, *resumed, "--set", "train.batch_size=9"], tmp_path / "m", "batch_size")
    refused(["pretrain", data, *resumed, "--precision", "bf16-mixed"], tmp_path / "m", "precision")


def commands(data: Path, model: Path, folder: Path) -> list[list[object]]:
    """Every command that writes, with its output in a folder."""
    return [
        ["prepare", data, "--out", folder / "st"],
        ["pretrain", data, "--out", folder / "m", *TINY],
        ["embed", model, data, "--out", folder / "e.h5ad"],
        ["denoise", model, data, "--out", folder / "d.h5ad"],
        ["bench", "--models", "none", "--data", data, "--out", folder / "b", *BENCH],
        ["graph", model, "--out", folder / "g.graphml"],
        ["tune", *TUNE, "--data", data, "--out", folder / "t"],
        ["synthetic", "--out", folder / "s"],
    ]


@pytest.mark.parametrize("number", range(8))
def test_51_a_place_where_nothing_can_be_written(number: int, tmp_path: Path, model: Path, refused: Run) -> None:
    # Not even root may write there; the permission bits of an ordinary folder mean nothing to root.
    refused(commands(put(tmp_path), model, Path("/proc"))[number], "/proc")


@pytest.mark.parametrize("number", range(8))
def test_52_what_stands_there_stays(number: int, tmp_path: Path, model: Path, refused: Run) -> None:
    words = commands(put(tmp_path), model, tmp_path / "there")[number]
    out = Path(str(words[words.index("--out") + 1]))
    out.parent.mkdir()
    if out.suffix:
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    refused(words, out)


def test_56_a_loss_that_is_no_number(
    tmp_path: Path, fine: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lab_of_56.py").write_text(
        "from scgraph.nn.conv import MeanConv\n"
        "class NaNConv(MeanConv):\n"
        "    steps = 0\n"
        "    def complete(self, x, graph, view):\n"
        "        type(self).steps += self.training\n"
        "        return super().complete(x, graph, view) * (float('nan') if type(self).steps > 30 else 1.0)\n"
    )
    data = put(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = ["pretrain", str(data), "--model", "lab_of_56:NaNConv", "--out", "m", *TINY, "--epochs", "20"]
    with pytest.raises(SystemExit) as end:
        cli.main([*words, "--set", "max_steps=null"])
    printed = capsys.readouterr().err
    assert end.value.code == 2
    assert "the loss is nan. The batch holds cells 'cell" in printed
    assert f"of {data}" in printed
    sys.modules["lab_of_56"].NaNConv.steps = -(10**9)
    fine(["embed", "m", data, "--allow-conv", "lab_of_56:NaNConv", "--out", "e.h5ad"])
    assert np.isfinite(anndata.read_h5ad("e.h5ad").obsm["X_scgraph"]).all(), "the last good state was kept"


LAYER = """
import torch
from scgraph.nn.conv import MeanConv

class {name}(MeanConv):
    def __init__(self, channels{argument}):
        super().__init__(channels)
        self.steps = 0

    def complete(self, x, graph, view):
        y = super().complete(x, graph, view)
        self.steps += self.training and x.device.type != "meta"
        {body}
        return y
"""
MEMORY = "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 9 GiB')"


def test_58_a_layer_that_breaks_the_contract(tmp_path: Path, refused: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    layers = {
        "Shape": ("", "y = y[:, :-1]"),
        "Arguments": (", something_else", "pass"),
        "Nothing": ("", "y = None"),
        "Raises": ("", "raise ValueError('a fault of its own')"),
    }
    text = "".join(LAYER.format(name=name, argument=more, body=body) for name, (more, body) in layers.items())
    (tmp_path / "lab_of_58.py").write_text(f"{text}\nclass NoLayer: pass\n")
    data = put(tmp_path)
    for name in (*layers, "NoLayer", "Missing"):
        refused(["pretrain", data, "--model", f"lab_of_58:{name}", "--out", "m", *TINY], name)
        refused(["models", "--check", f"lab_of_58:{name}"], name)
    (tmp_path / "broken_of_58.py").write_text("def x(:\n")
    refused(["pretrain", data, "--model", "broken_of_58:X", "--out", "m", *TINY], "broken_of_58.py, line 1")
    refused(["pretrain", data, "--model", "no_lab_of_58:X", "--out", "m", *TINY], "no_lab_of_58")


def test_64_a_model_for_which_memory_does_not_suffice_is_named(
    tmp_path: Path, refused: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    layers = {"AtOnce": f"if self.steps: {MEMORY}", "Later": f"if self.steps > 2: {MEMORY}"}
    text = "".join(LAYER.format(name=name, argument="", body=body) for name, body in layers.items())
    (tmp_path / "lab_of_64.py").write_text(text)
    data = put(tmp_path)
    told = ("Model 'lab_of_64:AtOnce': out of memory (CUDA out of memory", "train.batch_size")
    refused(["pretrain", data, "--model", "lab_of_64:AtOnce", "--out", "m", *TINY], *told)
    refused(["tune", *TUNE, "--models", "lab_of_64:AtOnce", "--data", data, "--out", "t"], *told)
    bench = ["bench", "--data", data, "--out", "b", *BENCH]
    refused([*bench, "--models", "none,lab_of_64:AtOnce"], *told)
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in [*bench, "--models", "none,lab_of_64:Later"]])
    assert end.value.code == 2
    assert "scgraph: Model 'lab_of_64:Later': out of memory (CUDA out of memory" in capsys.readouterr().err
    assert (tmp_path / "b" / "results.csv").is_file(), "the rows of the model before it are kept"


def test_59_a_journal_of_something_else(tmp_path: Path, refused: Run) -> None:
    data = put(tmp_path)
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "journal.log").write_bytes(np.random.default_rng(0).bytes(4000))
    refused(["tune", *TUNE, "--data", data, "--out", "all"], tmp_path / "all" / "journal.log")


@pytest.mark.slow
def test_63_another_search_in_the_same_place(tmp_path: Path, fine: Run, refused: Run) -> None:
    data = put(tmp_path)
    begun = ["tune", *TUNE, "--data", data, "--out", "t"]
    fine(begun)
    refused([*begun, "--set", "space.model.channels=[8,32]"], "channels")
    refused([*begun, "--objective", "loss"], "objective")
    refused([*begun, "--seed", "7"], "seed")
    other = put(tmp_path, name="other.h5ad", seed=9, n=60)
    refused([other if word == data else word for word in begun], "data 1 was")


def test_61_a_database_that_is_none_or_locked(tmp_path: Path, refused: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scgraph.tune.storage.LOCKED_SECONDS", 0.3)
    data = put(tmp_path)
    (tmp_path / "bad.db").write_bytes(b"no database" * 500)
    refused(["tune", *TUNE, "--data", data, "--storage", "bad.db", "--out", "t"], "bad.db")
    connection = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    connection.execute("CREATE TABLE t (a)")
    connection.execute("BEGIN EXCLUSIVE")
    words = ["tune", *TUNE, "--data", data, "--storage", "locked.db", "--out", "t"]
    refused([*words, "--set", "patience_seconds=0"], "locked.db", "locked")
    connection.close()


@pytest.mark.parametrize(
    ("command", "overwrite"),
    [("prepare", False), ("prepare", True), ("embed", False), ("embed", True), ("pretrain", False)],
)
def test_two_at_once_with_one_output_leave_one_whole(
    tmp_path: Path, model: Path, command: str, fine: Run, *, overwrite: bool
) -> None:
    data = put(tmp_path)
    (folder := tmp_path / "out").mkdir()
    words = [*{str(one[0]): one for one in commands(data, model, folder)}[command], *["--overwrite"] * overwrite]
    ends = run_at_once([str(word) for word in words], tmp_path)
    assert sorted(code if code is not None else -1 for code, _ in ends) in ([0, 0], [0, 2]), ends
    for code, text in ends:
        assert text.count("scgraph: ") == (code == 2)
        assert "Traceback" not in text
    out = Path(str(words[words.index("--out") + 1]))
    assert list(folder.iterdir()) == [out], "and nothing unfinished"
    whole = snapshot(folder)
    if command == "embed":
        assert anndata.read_h5ad(out).obsm["X_scgraph"].shape == (40, 16)
    else:
        fine(["pretrain", out, "--out", "m", *TINY] if command == "prepare" else ["probe", out, data])
    assert snapshot(folder) == whole
