"""Loggers: what they are told of a training, read back from what they wrote, and one run however often it goes on."""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

import scgraph
from scgraph.errors import ConfigError, OutputError
from scgraph.train import pretrain
from scgraph.train.distributed import launcher
from scgraph.train.loggers import check_loggers, make_loggers, places
from tests.helpers import QUICK, make_cells
from tests.train import helpers
from tests.train.distributed.helpers import fork_workers

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.train import Pretrained

STEPS = 10  # of an epoch
LOSSES = ["train_loss", "validation_loss", "train_mvp_loss", "validation_mvp_loss"]


@pytest.fixture(autouse=True)
def _by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that call home do not."""
    settings = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false", "DO_NOT_TRACK": "1"}
    for name, value in {**settings, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in ("MLFLOW_TRACKING_URI", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


class Stop(Exception):
    """Ends a run after its first epoch."""


def train(out: Path, log: Any, *, stop: bool = False, **options: Any) -> Pretrained:
    def on_epoch(*_: Any) -> None:
        if stop:
            raise Stop

    config = helpers.small_training(batch_size=10, epochs=2, **options.pop("training", {}))
    return pretrain(helpers.small_model(), config, *helpers.parts(), out=out, log=log, on_epoch=on_epoch, **options)


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return read


def scalars(read: Any, tag: str) -> dict[int, float]:
    found = [(event.step, event.value) for event in read.Scalars(tag)]
    assert len({step for step, _ in found}) == len(found), f"{tag} stands twice"
    return dict(found)


def check_tensorboard(folder: Path, history: pd.DataFrame) -> None:
    read = events(folder)
    for loss in LOSSES:
        found = scalars(read, loss)
        assert list(found) == history["step"].tolist()
        np.testing.assert_allclose([*found.values()], history[loss], rtol=1e-6)
    assert list(scalars(read, "train_loss_step")) == [10, 20]
    assert list(scalars(read, "learning_rate_step")) == [10, 20]


def test_tensorboard_is_told_losses_rates_and_settings_and_nothing_else_changes(tmp_path: Path) -> None:
    said = train(tmp_path / "told", "tensorboard")
    quiet = train(tmp_path / "quiet", ())
    pd.testing.assert_frame_equal(said.history[LOSSES], quiet.history[LOSSES])
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("told", "quiet")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    check_tensorboard(tmp_path / "told-logs" / "tensorboard", said.history)
    read = events(tmp_path / "told-logs" / "tensorboard")
    assert scalars(read, "learning_rate_step")[10] == pytest.approx(1e-2)
    assert scalars(read, "hp_metric")[20] == pytest.approx(said.history["validation_loss"].iloc[-1])
    settings = (tmp_path / "told-logs" / "tensorboard" / "hparams.yaml").read_text()
    assert "channels: 16" in settings
    assert "training_cells: 100" in settings
    assert not (tmp_path / "quiet-logs").exists()
    told, untold = ({path.name for path in (tmp_path / name).iterdir()} for name in ("told", "quiet"))
    assert told == untold


def test_mlflow_has_one_run_of_a_training_that_was_stopped(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    out = tmp_path / "run"
    with pytest.raises(Stop):
        train(out, ["mlflow", "tensorboard"], stop=True)
    client = MlflowClient(f"sqlite:///{tmp_path}/run-logs/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("scgraph")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
    done = train(out, ["mlflow", "tensorboard"], resume=True, training={"checkpoint_every": 7})
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "run"
    assert run.data.params["model/channels"] == "16"
    assert run.data.params["train/learning_rate"] == "0.01"
    for loss in LOSSES:
        found = client.get_metric_history(run.info.run_id, loss)
        assert [one.step for one in found] == [10, 20]
        np.testing.assert_allclose([one.value for one in found], done.history[loss])
    assert [one.step for one in client.get_metric_history(run.info.run_id, "learning_rate_step")] == [10, 20]
    check_tensorboard(tmp_path / "run-logs" / "tensorboard", done.history)


def test_what_tensorboard_got_after_the_last_state_is_taken_back(tmp_path: Path) -> None:
    for steps, begins in (((1, 2, 3), 0), ((2, 3, 4), 1)):
        (logger,) = make_loggers(["tensorboard"], tmp_path / "run", step=begins)
        for step in steps:
            logger.log_metrics({"loss": float(10 * begins + step)}, step)
        logger.finalize("success")
    assert scalars(events(tmp_path / "run-logs" / "tensorboard"), "loss") == {1: 1, 2: 12, 3: 13, 4: 14}


def test_wandb_writes_offline_and_goes_on_under_the_same_name(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(tmp_path / "run", "wandb", stop=True)
    name = json.loads((tmp_path / "run-logs" / "runs.json").read_text())["wandb"]
    train(tmp_path / "run", "wandb", resume=True)
    written = sorted((tmp_path / "run-logs" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert {path.name for path in written} == {f"run-{name}.wandb"}
    first, last = written[0].read_bytes(), written[-1].read_bytes()
    assert b"validation_loss" in first
    assert b"validation_loss" in last
    assert b"cell_loss_genes" in first  # the settings


def test_several_devices_are_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "_start_workers", fork_workers([]))
    config = helpers.small_training(batch_size=10, epochs=2, devices=2)
    done = pretrain(helpers.small_model(dropout=0.0), config, *helpers.parts(), out=tmp_path / "run", log="tensorboard")
    assert len([*(tmp_path / "run-logs" / "tensorboard").glob("events*")]) == 1
    check_tensorboard(tmp_path / "run-logs" / "tensorboard", done.history)


def test_where_the_logs_go_is_said_before_the_work(tmp_path: Path) -> None:
    said: list[str] = []
    scgraph.pretrain([make_cells()], config=QUICK, out=tmp_path / "it", log="tensorboard", say=said.append)
    folder = tmp_path / "it-logs" / "tensorboard"
    assert said[-1] == f"log: tensorboard in {folder} (tensorboard --logdir {folder})"
    assert len([*(tmp_path / "it-logs" / "tensorboard").glob("events*")]) == 1


def test_no_password_of_a_server_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:SECRET@host/track")
    assert "SECRET" not in places(["mlflow"], tmp_path / "it")[0]
    assert "me@host/track" in places(["mlflow"], tmp_path / "it")[0]


def test_a_server_that_is_not_there_ends_the_run_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    with pytest.raises(ConfigError, match="log: mlflow cannot be opened") as caught:
        train(tmp_path / "run", ("tensorboard", "mlflow"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "history.csv").exists()
    train(tmp_path / "run", "tensorboard", resume=True)


def test_a_new_run_does_not_write_into_the_logs_of_another(tmp_path: Path) -> None:
    train(tmp_path / "run", "tensorboard")
    (tmp_path / "run-logs" / "mine.txt").write_text("mine")
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="run-logs: already holds files"):
        train(tmp_path / "run", "tensorboard")
    train(tmp_path / "run", "tensorboard", overwrite=True)
    assert len([*(tmp_path / "run-logs" / "tensorboard").glob("events*")]) == 1
    assert (tmp_path / "run-logs" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("tensorbord", "Did you mean 'tensorboard'"),
        ("wandb,comet", "no logger 'comet'"),
        (["mlflow", "mlflow"], "mlflow is named twice"),
    ],
)
def test_wrong_names(log: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        scgraph.pretrain(["missing.h5ad"], log=log, out=tmp_path / "out")


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_what_is_not_installed_is_told_before_anything_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf'pip install "scgraph-zoo\[{name}\]"'):
        scgraph.pretrain(["missing.h5ad"], log=name, out=tmp_path / "out")
    assert check_loggers((), None) == ()


def test_logs_need_a_folder_beside_which_they_go() -> None:
    with pytest.raises(ConfigError, match="name one as out"):
        scgraph.pretrain(["missing.h5ad"], log="tensorboard")
