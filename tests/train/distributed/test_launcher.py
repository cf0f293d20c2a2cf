"""Several devices: as one with the same batch, and a clear end whatever happens to a process."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import run

from scgraph.cli import main
from scgraph.data.files.origin import Origin
from scgraph.errors import ConfigError, TrainingError
from scgraph.train import pretrain
from scgraph.train.checkpoint import checkpoint_file, read_progress
from scgraph.train.distributed import launcher
from tests.forking import Forked
from tests.helpers import strangers_run, write_strangers
from tests.train import helpers
from tests.train.distributed.helpers import fork_workers, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CELLS, TRAINED, BATCH = 61, 55, 9  # a tenth is held out; the last batch of an epoch has one cell, for two processes
CLOCKS = ["seconds", "seconds_waiting"]
RECORDER = """
import os
import torch
from torch import distributed
from scgraph.nn.conv import GNNConv

class Recorder(GNNConv):
    def complete(self, x, graph, view):
        cells = [[gene for gene in row if gene] for row in graph.genes.tolist()]
        # The genes of a batch ascend; those of the trial of the layer before the training do not.
        if torch.is_grad_enabled() and "RECORD" in os.environ and all(cell == sorted(cell) for cell in cells):
            rank = distributed.get_rank() if distributed.is_initialized() else 0
            with open(f"{os.environ['RECORD']}-{rank}.txt", "a") as file:
                file.writelines(" ".join(map(str, cell)) + "\\n" for cell in cells)
        return super().complete(x, graph, view)
"""
SETTINGS = [
    "--model", "recorder:Recorder", "--device", "cpu", "--epochs", "2", "--channels", "8", "--layers", "1",
    "--genes", "64", "--set", "model.rank=4", "--set", "model.cell_head=true", "--set", "train.cell_loss=0.5",
    "--set", f"train.batch_size={BATCH}", "--set", "train.learning_rate=0.01", "--set", "validation_share=0.1",
]  # fmt: skip


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a file of cells that can be told apart by their genes."""
    import anndata

    folder = tmp_path_factory.mktemp("devices")
    rng = np.random.default_rng(0)
    counts = rng.poisson(2.0, (CELLS, 40)).astype(np.float32)
    counts[rng.random(counts.shape) < np.linspace(0.1, 0.8, CELLS)[:, None]] = 0
    counts[:, :6] = (np.arange(CELLS)[:, None] >> np.arange(6)) & 1
    names = [f"GENE{at}" for at in range(40)]
    obs = pd.DataFrame(index=[f"cell{at}" for at in range(CELLS)])
    anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=names)).write_h5ad(folder / "cells.h5ad")
    return folder


@pytest.fixture(scope="module")
def both(cells: Path) -> dict[int, dict[str, Any]]:
    """The same command on one device and on two, where a layer of one's own and files with the names of modules lie."""
    runs, lab = {}, cells / "lab"
    lab.mkdir()
    (lab / "recorder.py").write_text(RECORDER)
    write_strangers(lab)
    for devices in (1, 2):
        out, errors = cells / f"on-{devices}", cells / f"errors-{devices}.txt"
        arguments = ["pretrain", str(cells / "cells.h5ad"), "--out", str(out), *SETTINGS]
        if devices > 1:
            arguments += ["--devices", str(devices), "--strategy", "ddp"]
        # A process of its own only where it must be: this one has what takes seconds to import.
        with pytest.MonkeyPatch.context() as patch, errors.open("w") as file:
            patch.setenv("RECORD", str(cells / f"rows-{devices}"))
            patch.chdir(lab)
            # As the installed command has it: the current folder is not among the paths, and `main` adds it last.
            patch.setattr(sys, "path", [path for path in sys.path if path])
            stderr = os.dup(2)
            os.dup2(file.fileno(), 2)
            try:
                with pytest.raises(SystemExit) as stop:
                    main(arguments)
            finally:
                os.dup2(stderr, 2)
                os.close(stderr)
        rows = [(cells / f"rows-{devices}-{rank}.txt").read_text().splitlines() for rank in range(devices)]
        runs[devices] = {"out": out, "code": stop.value.code, "stderr": errors.read_text(), "rows": rows}
    return runs


def test_two_devices_end_as_one_with_the_same_batch(both: dict[int, dict[str, Any]]) -> None:
    assert [run["code"] for run in both.values()] == [0, 0]
    one, two = (pd.read_csv(run["out"] / "history.csv").drop(columns=CLOCKS) for run in both.values())
    assert one["step"].tolist() == two["step"].tolist() == [7, 14]
    np.testing.assert_allclose(two.to_numpy(), one.to_numpy(), atol=1e-5)
    assert one["train_loss"].iloc[-1] < one["train_loss"].iloc[0]
    weights = [load_file(run["out"] / "model.safetensors") for run in both.values()]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, atol=1e-5, rtol=1e-4)


def test_every_cell_is_seen_once_an_epoch_by_one_process(both: dict[int, dict[str, Any]]) -> None:
    (alone,), shares = both[1]["rows"], both[2]["rows"]
    for epoch in range(2):
        part = slice(epoch * TRAINED, (epoch + 1) * TRAINED)
        expected = Counter(alone[part])
        assert set(expected.values()) == {1}
        # In the last step the second process has no cell: it computes on a stand-in, which counts for nothing.
        stand_in = Counter(alone[part][-1:])
        first, second = shares[0][epoch * 31 : (epoch + 1) * 31], shares[1][epoch * 25 : (epoch + 1) * 25]
        assert Counter(first) + Counter(second) == expected + stand_in
    assert [len(rows) for rows in shares] == [62, 50]


def test_only_one_process_speaks_and_writes(both: dict[int, dict[str, Any]]) -> None:
    files, same = (sorted(path.relative_to(run["out"]) for path in run["out"].rglob("*")) for run in both.values())
    assert files == same
    assert both[1]["stderr"] == both[2]["stderr"]


def test_a_process_imports_a_layer_of_the_current_folder_and_no_stranger(
    cells: Path, both: dict[int, dict[str, Any]]
) -> None:
    assert both[2]["code"] == 0
    assert strangers_run(cells / "lab") == ""


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that were started last; they are forked from this one."""
    importlib.import_module("scgraph.train.module")
    started: list[Any] = []
    monkeypatch.setattr(launcher, "_start_workers", fork_workers(started))
    return started


def _when(out: Path, total_steps: int, act: Callable[[], None]) -> threading.Thread:
    """Do something as soon as the state of the run has come so far."""

    def wait() -> None:
        for _ in range(6000):
            if checkpoint_file(out).exists() and read_progress(checkpoint_file(out))[0].total_steps >= total_steps:
                return act()
            time.sleep(0.005)
        return None

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_killed_process_ends_the_run_and_any_number_of_devices_goes_on(workers: list[Any], tmp_path: Path) -> None:
    train, validation = helpers.parts()
    model, out = helpers.small_model(dropout=0.0), tmp_path / "run"
    whole = pretrain(model, helpers.small_training(), train, validation)

    def go_on(devices: int) -> Any:
        return pretrain(model, helpers.small_training(devices=devices), train, validation, out=out, resume=True)

    for victim, step in ((1, 3), (0, 12)):
        watch = _when(out, step, lambda victim=victim: os.kill(workers[victim].pid, signal.SIGKILL))
        began = time.monotonic()
        with pytest.raises(TrainingError, match=rf"process {victim} of 2 .* killed by SIGKILL.*{out}: resume=True"):
            go_on(2)
        watch.join()
        assert time.monotonic() - began < 30
        assert [process.poll() is None for process in workers] == [False, False]
        assert step <= read_progress(checkpoint_file(out))[0].total_steps < 60

    # Ctrl-C reaches the process that watches, which tells the first one, which tells the other one.
    watch = _when(out, 20, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        go_on(2)
    watch.join()
    assert [process.returncode for process in workers] == [130, 130]
    assert 20 <= read_progress(checkpoint_file(out))[0].total_steps < 75
    workers.clear()
    result = go_on(1)
    assert workers == []
    history, expected = (frame.drop(columns=CLOCKS).to_numpy() for frame in (result.history, whole.history))
    np.testing.assert_allclose(history, expected, atol=1e-5)
    for name, weight in whole.model.state_dict().items():
        torch.testing.assert_close(result.model.state_dict()[name], weight, atol=1e-4, rtol=1e-3)


def test_a_signal_that_one_process_got_stops_all_of_them(workers: list[Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    watch = _when(out, 6, lambda: os.kill(workers[1].pid, signal.SIGTERM))
    with pytest.raises(SystemExit) as stop:
        pretrain(helpers.small_model(), helpers.small_training(devices=2), *helpers.parts(), out=out)
    watch.join()
    assert stop.value.code == 143
    assert [process.returncode for process in workers] == [143, 143]
    assert 6 <= read_progress(checkpoint_file(out))[0].total_steps < 75


def test_where_the_watching_process_is_killed_nothing_is_left(workers: list[Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    pids = tmp_path / "pids"
    watching = os.fork()
    if watching == 0:

        def write() -> None:
            pids.write_text(" ".join(str(process.pid) for process in workers) + "\n")

        _when(out, 3, write)
        try:
            pretrain(helpers.small_model(), helpers.small_training(devices=2, epochs=500), *helpers.parts(), out=out)
        finally:
            os._exit(0)
    for _ in range(6000):
        if pids.exists() and pids.read_text().endswith("\n"):
            break
        time.sleep(0.005)
    left = [int(pid) for pid in pids.read_text().split()]
    assert all(is_alive(pid) for pid in left)
    os.kill(watching, signal.SIGKILL)
    os.waitpid(watching, 0)
    try:
        for _ in range(500):
            if not any(is_alive(pid) for pid in left):
                break
            time.sleep(0.01)
        assert not any(is_alive(pid) for pid in left)
    finally:
        for pid in filter(is_alive, left):
            os.kill(pid, signal.SIGKILL)


def test_a_loss_that_is_not_a_number_on_one_device_ends_all_with_one_message(
    workers: list[Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train, validation = helpers.parts()
    bad = 17
    train.values.array[train.indptr[bad] : train.indptr[bad + 1]] = 1e30
    names = np.array([f"cell{row}" for row in range(len(train))])
    train = replace(train, origin=Origin.of(["a.h5ad", "b.h5ad"], [10, len(train) - 10], names))
    training = helpers.small_training(checkpoint_every=1, clip=None, devices=2)
    with pytest.raises(TrainingError) as caught:
        pretrain(helpers.small_model(), training, train, validation, out=tmp_path / "run")
    batch, alone = str(caught.value).split("The batch holds ")[1].split(" Not finite are the predictions of ")
    assert alone.startswith(f"cell 'cell{bad}' of b.h5ad.")
    assert batch.count("'cell") == training.batch_size
    # One that waits for the other in vain, which is gone already, is ended by the watching process.
    codes = {process.returncode for process in workers}
    assert codes in ({2}, {2, -signal.SIGKILL})
    assert capfd.readouterr() == ("", "")
    assert all(torch.isfinite(tensor).all() for tensor in load_file(checkpoint_file(tmp_path / "run")).values())


def test_early_stopping_and_dropout_on_two_devices_without_a_folder(
    workers: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    training = helpers.small_training(learning_rate=0.003, epochs=12, patience=2, warmup_share=0.0, devices=2)
    training = training.model_copy(update={"batch_size": 20, "checkpoint_every": 1000})
    result = pretrain(helpers.small_model(), training, *helpers.parts_at_odds())
    losses = result.history["validation_loss"].to_numpy()
    assert len(losses) < 12
    assert len(losses) - 1 - losses.argmin() == 2
    assert [process.returncode for process in workers] == [0, 0]
    assert list(tmp_path.iterdir()) == []


def test_counts_and_neighbors_on_two_devices_end_as_on_one(workers: list[Any]) -> None:
    store = helpers.counted_store()
    parts = store.subset(np.arange(99)), store.subset(np.arange(99, 120))  # the last batch is of unequal shares
    all_parts = {"mvp_loss": 1.0, "count_loss": 0.1, "neighbor_loss": 1.0, "start": "pca", "freeze_values": True}
    training = helpers.counts_training(epochs=2, schedule="cosine", **all_parts)
    config = helpers.pooled_model(cell_layers=1)
    one, two = (pretrain(config, training.model_copy(update={"devices": devices}), *parts) for devices in (1, 2))
    columns = one.history.columns.difference(CLOCKS)
    np.testing.assert_allclose(two.history[columns], one.history[columns], rtol=1e-3, atol=1e-4)
    for name, weight in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], weight, atol=1e-3, rtol=1e-3)


def test_two_devices_read_a_store_where_it_lies(
    workers: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid: list[list[str]] = []
    lay = launcher.write_store

    def record(folder: Path, store: Any) -> None:
        lay(folder, store)
        laid.append(sorted(path.name for path in folder.iterdir()))

    monkeypatch.setattr(launcher, "write_store", record)
    training = helpers.small_training(devices=2, epochs=1, shuffle="blocks")
    memory = helpers.parts()
    disk = [helpers.on_disk(part, tmp_path / f"store-{at}") for at, part in enumerate(memory)]
    disk[0] = disk[0].subset(np.arange(len(disk[0])))
    histories = [pretrain(helpers.small_model(), training, *parts).history for parts in (memory, disk)]
    pd.testing.assert_frame_equal(*(history.drop(columns=CLOCKS) for history in histories))
    assert laid[0] == ["genes.npy", "indptr.npy", "keys.npy", "values.npy"]
    assert laid[2] == ["first.npy", "genes.json", "indptr.npy", "keys.npy", "origin", "values.json"]
    assert (histories[1]["seconds_waiting"] > 0).all()


def test_torchrun_starts_the_processes_itself(cells: Path, both: dict[int, dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "run"
    (tmp_path / "recorder.py").write_text(RECORDER)
    arguments = ["-m", "scgraph.cli", "pretrain", str(cells / "cells.h5ad"), "--out", str(out), *SETTINGS]

    def torchrun() -> None:
        os.chdir(tmp_path)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        run.main(["--standalone", "--nproc-per-node", "2", *arguments])

    started = Forked(torchrun, tmp_path / "log")
    assert started.wait(110) == 0, started.said()
    assert started.said().count("2 epochs, validation loss") == 1
    one, two = (pd.read_csv(folder / "history.csv").drop(columns=CLOCKS) for folder in (both[1]["out"], out))
    np.testing.assert_allclose(two.to_numpy(), one.to_numpy(), atol=1e-5)


def test_a_conv_of_the_running_script_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from scgraph.nn.conv import NoneConv

    monkeypatch.setattr(
        "scgraph.nn.conv.registry._convs", {"here": type("Here", (NoneConv,), {"__module__": "__main__"})}
    )
    with pytest.raises(ConfigError, match="'here' is defined in the script that runs"):
        launcher.importable_conv("here")
