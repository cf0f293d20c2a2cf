"""A run that is stopped and killed ends like one that never was."""

from __future__ import annotations

import json
import shutil
import signal
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from scgraph.data.files.origin import Origin
from scgraph.errors import ConfigError, ModelFileError, OutputError, TrainingError
from scgraph.models import load_model
from scgraph.train import pretrain
from tests.forking import Forked
from tests.train import helpers
from tests.train.child import run_training

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 25  # of an epoch


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    pretrain(helpers.small_model(), helpers.small_training(), *helpers.parts(), out=out)
    return out


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run that got Ctrl-C in its first epoch and SIGKILL in its second, and then went on."""
    out, logs = tmp_path_factory.mktemp("disturbed") / "run", tmp_path_factory.mktemp("logs")
    stops = []
    for number, (epoch, step) in ((signal.SIGINT, (0, 5)), (signal.SIGKILL, (1, 4))):
        process = Forked(partial(run_training, out), logs / number.name)
        _wait_for(out, process, epoch, step)
        process.send_signal(number)
        stops.append((process.wait(), process.said(), _progress(out)))
    result = pretrain(helpers.small_model(), helpers.small_training(), *helpers.parts(), out=out, resume=True)
    return {"out": out, "stops": stops, "result": result}


def _progress(out: Path) -> dict[str, Any]:
    # In one read: the run replaces the file, and safetensors opens it twice.
    data = (out / "state" / "run.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["progress"])


def _wait_for(out: Path, process: Forked, epoch: int, step: int) -> None:
    for _ in range(6000):
        if (out / "state" / "run.safetensors").exists():
            done = _progress(out)
            if (done["epoch"], done["step"]) >= (epoch, step):
                return
        if process.poll() is not None:
            raise AssertionError(process.said())
        time.sleep(0.01)
    raise AssertionError("the run does not come on")


def test_ctrl_c_saves_the_state_and_exits_with_130(disturbed: dict[str, Any]) -> None:
    code, errors, done = disturbed["stops"][0]
    assert (code, errors) == (130, "")
    assert done["epoch"] == 0
    assert 5 <= done["step"] < STEPS


def test_the_kill_came_in_the_middle_of_an_epoch(disturbed: dict[str, Any]) -> None:
    code, _, done = disturbed["stops"][1]
    assert code == -signal.SIGKILL
    assert done["epoch"] == 1
    assert 0 < done["step"] < STEPS
    assert done["sums"]["masked"] > 0


def test_a_killed_run_ends_with_the_same_weights_to_the_last_bit(whole: Path, disturbed: dict[str, Any]) -> None:
    for name in ("model.safetensors", "state/run.safetensors"):
        expected, resumed = load_file(whole / name), load_file(disturbed["out"] / name)
        assert expected.keys() == resumed.keys()
        assert all(torch.equal(expected[key], resumed[key]) for key in expected), name


def test_a_killed_run_ends_with_the_same_history(whole: Path, disturbed: dict[str, Any]) -> None:
    expected, resumed = pd.read_csv(whole / "history.csv"), pd.read_csv(disturbed["out"] / "history.csv")
    assert len(expected) == 3
    clocks = ["seconds", "seconds_waiting"]
    pd.testing.assert_frame_equal(expected.drop(columns=clocks), resumed.drop(columns=clocks), check_exact=True)
    assert expected["validation_mvp_loss"].iloc[-1] < expected["validation_mvp_loss"].iloc[0]
    for history in (expected, resumed):
        assert (history["seconds_waiting"] > 0).all()
        assert (history["seconds"] > history["seconds_waiting"]).all()


def test_nothing_but_the_named_files_is_written(whole: Path, disturbed: dict[str, Any]) -> None:
    files, same = (
        sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
        for out in (whole, disturbed["out"])
    )
    assert files == same
    assert files == [
        "README.md", "config.json", "history.csv", "model.safetensors", "state/run.safetensors", "vocabulary.tsv"
    ]  # fmt: skip


def test_resuming_a_finished_run_returns_it_unchanged(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    again = pretrain(helpers.small_model(), helpers.small_training(), *helpers.parts(), out=whole, resume=True)
    after = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    assert {path: when for path, when in after.items() if path.is_file()}.items() <= before.items()
    assert before.keys() == after.keys()
    assert len(again.history) == 3
    saved = load_model(whole).model.state_dict()
    assert all(torch.equal(saved[key], value) for key, value in again.model.state_dict().items())


@pytest.mark.parametrize(
    ("model", "training", "named"),
    [
        ({}, {"batch_size": 8}, ["training.batch_size was 4 and is 8"]),
        ({}, {"precision": "bf16-mixed"}, ["training.precision was '32-true' and is 'bf16-mixed'"]),
        ({}, {"seed": 1, "genes": 8}, ["training.seed was 0 and is 1", "training.genes was 16 and is 8"]),
        ({"channels": 8}, {}, ["model.channels was 16 and is 8"]),
    ],
)
def test_another_run_is_not_resumed(
    whole: Path, model: dict[str, Any], training: dict[str, Any], named: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        pretrain(
            helpers.small_model(**model),
            helpers.small_training(**training),
            *helpers.parts(),
            out=whole,
            resume=True,
        )
    assert all(part in str(caught.value) for part in named)
    assert str(whole) in str(caught.value)


def test_other_cells_are_not_resumed(whole: Path) -> None:
    train, validation = helpers.parts()
    fewer = train.subset(list(range(99)))
    with pytest.raises(ConfigError, match=r"data\.training cells was '100 cells, .*' and is '99 cells"):
        pretrain(helpers.small_model(), helpers.small_training(), fewer, validation, out=whole, resume=True)
    with pytest.raises(ConfigError, match=r"data\.validation cells"):
        pretrain(helpers.small_model(), helpers.small_training(), train, out=whole, resume=True)


def test_a_folder_with_a_run_is_not_overwritten_unasked(whole: Path) -> None:
    before = (whole / "model.safetensors").read_bytes()
    with pytest.raises(OutputError, match="already holds files"):
        pretrain(helpers.small_model(), helpers.small_training(), *helpers.parts(), out=whole)
    assert (whole / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("length", [0, 20, -100])
def test_a_damaged_state_is_said(whole: Path, tmp_path: Path, length: int) -> None:
    state = shutil.copytree(whole, tmp_path / "run") / "state" / "run.safetensors"
    state.write_bytes(state.read_bytes()[:length])
    with pytest.raises(ModelFileError, match=r"run\.safetensors: is (empty|cut or damaged)"):
        pretrain(helpers.small_model(), helpers.small_training(), *helpers.parts(), out=tmp_path / "run", resume=True)


def test_a_loss_that_is_not_a_number_names_its_cells_and_keeps_the_last_state(tmp_path: Path) -> None:
    train, validation = helpers.parts()
    bad = 17
    train.values.array[train.indptr[bad] : train.indptr[bad + 1]] = 1e30
    names = np.array([f"cell{row}" for row in range(len(train))])
    train = replace(train, origin=Origin.of(["a.h5ad", "b.h5ad"], [10, len(train) - 10], names))
    training = helpers.small_training(checkpoint_every=1, clip=None)
    with pytest.raises(TrainingError) as caught:
        pretrain(helpers.small_model(), training, train, validation, out=tmp_path / "run")
    assert f"Not finite are the predictions of cell 'cell{bad}' of b.h5ad." in str(caught.value)
    state = tmp_path / "run" / "state" / "run.safetensors"
    assert _progress(tmp_path / "run")["total_steps"] > 0
    assert all(torch.isfinite(tensor).all() for tensor in load_file(state).values())


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    training = helpers.small_training(
        learning_rate=1e30, weight_decay=1e10, checkpoint_every=1, warmup_share=0.0, clip=None
    )
    with pytest.raises(TrainingError, match="a weight is NaN or infinite"):
        pretrain(helpers.small_model(), training, *helpers.parts(), out=tmp_path / "run")
    assert not (tmp_path / "run" / "state" / "run.safetensors").exists()
