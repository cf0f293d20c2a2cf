"""Whole searches with real processes and storages: what is killed, continued, refused and stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scgraph.cli import app as cli
from scgraph.cli.terminal import say
from scgraph.errors import ConfigError, ScgraphError, TrainingError
from scgraph.tune import run_tune
from scgraph.tune.slots import Watch, is_gone
from scgraph.tune.storage import Place, open_storage, place_of, quiet_optuna
from scgraph.tune.study import load_study, open_board
from tests.forking import Forked
from tests.helpers import make_cells
from tests.tune import searcher
from tests.tune.helpers import FAKE, TINY, Server, make_job

ROOT = Path(__file__).resolve().parents[2]
STORAGES = ("journal", "sqlite", "postgresql")


def search(data: Path, out: Path, *, models: tuple[str, ...] = ("none",), **more: Any) -> Any:
    config = {**TINY, **more.pop("config", {})}
    more = {"final": False, "report": False, "objective": FAKE, **more}
    return run_tune(models, [data], out=out, config=config, **more)


def test_a_setting_of_a_newer_version_is_no_difference(tmp_path: Path) -> None:
    place = place_of(None, tmp_path)
    job = make_job(place)
    older = deepcopy(job.by_model)
    del older["none"]["train"]["clip"]
    with open_storage(place) as storage:
        open_board(replace(job, by_model=older), "none", storage)
        open_board(job, "none", storage)
        changed = {"bench": {**TINY["bench"], "train": {**TINY["bench"]["train"], "clip": 2.0}}}
        with pytest.raises(ConfigError, match=r"clip was not there and is 2\.0"):
            open_board(make_job(place, **changed), "none", storage)


def test_every_slot_and_model_draws_other_settings() -> None:
    import optuna

    job = make_job(Place("journal", "x", "x"), models=("none", "gnn"))
    distribution = optuna.distributions.FloatDistribution(0, 1)
    drawn = []
    with quiet_optuna():
        storage = optuna.storages.InMemoryStorage()
        for model in job.models:
            open_board(job, model, storage)
            for slot in (0, 1, 0):
                study = load_study(job, model, storage, slot=slot)
                drawn.append(study.sampler.sample_independent(study, study.trials[0], "x", distribution))
    assert drawn[0] == drawn[2]
    assert drawn[3] == drawn[5]
    assert len(set(drawn)) == 4


def kill_orders(folder: Path, count: int) -> dict[str, Any]:
    folder.mkdir()
    for number in range(count):
        (folder / str(number)).touch()
    return {"kills": str(folder), "seconds": 0.05}


def check_none_lost(trials: Any, *, slots: int) -> None:
    for _, own in trials.groupby("model"):
        counted = own[~own["lost"]]
        assert counted["state"].isin(["complete", "pruned"]).all()
        assert sorted(counted["slot"]) == list(range(slots))
        assert counted["trial"].is_unique
        assert not own["state"].isin(["running", "waiting"]).any()


@pytest.mark.usefixtures("forked_workers")
def test_a_worker_that_reads_for_long_loses_no_trial(tiny_file: Path, tmp_path: Path) -> None:
    patient = {"trials": 2, "heartbeat_seconds": 0.2, "lost_after_seconds": 1.0}
    trials = search(tiny_file, tmp_path / "out", config=patient, options={"reading": 3.0}).trials
    assert trials["state"].tolist() == ["complete", "complete"]


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("storage_address", STORAGES, indirect=True)
def test_killed_workers_lose_no_trial(tiny_file: Path, tmp_path: Path, storage_address: str | None) -> None:
    said: list[str] = []
    result = search(
        tiny_file,
        tmp_path / "out",
        workers=2,
        storage=storage_address,
        config={"trials": 6},
        options=kill_orders(tmp_path / "kills", 1),
        say=said.append,
    )
    check_none_lost(result.trials, slots=6)
    assert (result.trials["reason"] == "its worker is gone").sum() == 1
    assert sum("was killed (SIGKILL); another one takes its place" in line for line in said) == 1
    assert len([line for line in said if line.startswith("[")]) == 6
    assert not list((tmp_path / "kills").iterdir())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("storage_address", STORAGES, indirect=True)
def test_four_workers_hundred_trials_two_killed(tiny_file: Path, tmp_path: Path, storage_address: str | None) -> None:
    result = search(
        tiny_file,
        tmp_path / "out",
        workers=4,
        storage=storage_address,
        config={"trials": 100, "pruner": {"kind": "none"}},
        options=kill_orders(tmp_path / "kills", 2),
    )
    check_none_lost(result.trials, slots=100)
    counted = result.trials[~result.trials["lost"]]
    assert len(counted) == 100
    assert (result.trials["reason"] == "its worker is gone").sum() == 2
    assert counted["train.learning_rate"].nunique() == 100


@pytest.mark.usefixtures("forked_workers")
def test_one_worker_searches_the_same_whether_killed_or_not(tiny_file: Path, tmp_path: Path) -> None:
    config = {"trials": 5, "startup_trials": 2, "pruner": {"kind": "none"}}
    plain = search(tiny_file, tmp_path / "plain", config=config).trials
    killed = search(tiny_file, tmp_path / "killed", config=config, options=kill_orders(tmp_path / "kills", 1)).trials
    # Not all that are lost: where two fill the slot at the same moment, the trial that is over is struck out.
    assert (killed["reason"] == "its worker is gone").sum() == 1
    columns = ["slot", "state", "validation macro-F1", "train.learning_rate", "train.mask_share"]
    counted = killed[~killed["lost"]].sort_values("slot")[columns].reset_index(drop=True)
    assert counted.equals(plain.sort_values("slot")[columns].reset_index(drop=True))
    assert plain["train.learning_rate"].nunique() == 5


@pytest.mark.usefixtures("forked_workers")
def test_the_same_call_goes_on_and_another_is_refused(tiny_file: Path, tmp_path: Path) -> None:
    out, said = tmp_path / "out", []
    first = search(tiny_file, out, config={"trials": 2})
    more = search(tiny_file, out, config={"trials": 4}, say=said.append)
    assert any("2 of 4 trials are finished already" in line for line in said)
    assert more.trials["trial"].tolist() == [0, 1, 2, 3]
    assert first.trials["train.learning_rate"].tolist() == more.trials["train.learning_rate"].tolist()[:2]
    journal = (out / "journal.log").read_bytes()
    other = tmp_path / "cells.h5ad"
    make_cells(60, seed=1).write_h5ad(other)
    narrow = {"model": {"channels": [8, 16], "layers": None}, "train": {"learning_rate": [0.01]}}
    for change, told in (
        ({"config": {"space": narrow}}, r"space.train.learning_rate was 0.001 to 0.03, log and is 0.01"),
        ({"config": {"objective": "loss"}}, "directions was maximize and is minimize"),
        (
            {"config": {"bench": {**TINY["bench"], "probe": {"kind": "adam", "epochs": 4}}}},
            "bench.probe.epochs was 3 and is 4",
        ),
        ({"config": {"seed": 1}}, "seed was 0 and is 1"),
    ):
        with pytest.raises(ConfigError, match=told):
            search(tiny_file, out, **change)
    with pytest.raises(ConfigError, match="data 1 was cells, 60 cells"):
        search(other, out)
    assert (out / "journal.log").read_bytes() == journal


@pytest.mark.usefixtures("forked_workers")
def test_a_damaged_journal_goes_on_with_every_finished_trial(tiny_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = search(tiny_file, out, config={"trials": 3})
    with (out / "journal.log").open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x","stu\x00\x00\x00')
    more = search(tiny_file, out, config={"trials": 4})
    assert len(list(out.glob("journal.log.bad-*"))) == 1
    columns = ["slot", "state", "train.learning_rate"]
    assert more.trials[columns].head(3).equals(first.trials[columns])
    assert more.trials["state"].tolist() == ["complete"] * 4


@pytest.mark.usefixtures("forked_workers")
def test_every_trial_failing_is_one_message(tiny_file: Path, tmp_path: Path) -> None:
    models = ("none", "mean", "gcn")
    fail = {"none": "nan", "mean": "memory", "gcn": "error"}
    with pytest.raises(TrainingError) as error:
        search(tiny_file, tmp_path / "out", models=models, config={"trials": 2}, options={"fail": fail})
    reasons = ("The result is nan.", "out of memory", "IndexError: the layer is at fault")
    for model, reason in zip(models, reasons, strict=True):
        assert f"None of the 2 trials of {model} was completed: {reason} (2 times)." in str(error.value)
        assert (tmp_path / "out" / "trials.csv").read_text().count(reason) == 2


@pytest.mark.usefixtures("forked_workers")
def test_workers_that_keep_dying_end_the_search(tiny_file: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="Workers died 2 times"):
        search(tiny_file, tmp_path / "out", config={"restarts": 1}, options=kill_orders(tmp_path / "kills", 9))


def begin_together(gate: Path, out: Path, data: Path, storage: Path) -> None:
    """The command in a process of its own, that begins when the other one is there."""
    (gate / str(os.getpid())).touch()
    until = time.monotonic() + 60
    while len(list(gate.iterdir())) < 2:
        assert time.monotonic() < until, "the other does not come"
        time.sleep(0.005)
    final = storage.parent == out and storage.suffix == ".db"

    def command(*_: object, **__: object) -> None:
        search(data, out, storage=storage, config={"trials": 4}, final=final, say=say)

    cli.app = command  # type: ignore[assignment]
    cli.main([])


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(("storage", "folders"), [("s.db", "ab"), ("a/s.db", "aa"), ("a/s.log", "aa")])
def test_two_searches_that_begin_one_study_share_it(
    tiny_file: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, storage: str, folders: str
) -> None:
    gate, logs = tmp_path_factory.mktemp("gate"), tmp_path_factory.mktemp("logs")
    searches = [
        Forked(partial(begin_together, gate, tmp_path / folder, tiny_file, tmp_path / storage), logs / str(number))
        for number, folder in enumerate(folders)
    ]
    codes, texts = [search.wait() for search in searches], [search.said() for search in searches]
    assert codes == [0, 0], texts
    assert sum("were compared already" in text for text in texts) == (storage == "a/s.db")
    for folder in folders:
        trials = pd.read_csv(tmp_path / folder / "trials.csv")
        assert sorted(trials.loc[trials["state"] == "complete", "slot"]) == [0, 1, 2, 3]
    assert {path.name for path in tmp_path.iterdir()} == {*folders, storage.split("/")[0]}
    assert not list(tmp_path.rglob("*.guard"))


def started(folder: Path, place: Place, workers: int) -> subprocess.Popen[str]:
    """A search in a process of its own."""
    job = replace(make_job(place, trials=200), options={"seconds": 0.2})
    words = [sys.executable, "-m", "tests.tune.searcher", str(folder / "logs"), str(workers)]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps(job.plain()))
    process.stdin.close()
    return process


def forked_search(folder: Path, place: Place, workers: int, **config: Any) -> Forked:
    """A search whose first trial has ended, forked with its workers."""
    job = replace(make_job(place, trials=200, **config), options={"seconds": 0.2})
    process = Forked(partial(searcher.run, job, folder / "logs", workers), folder / "said")
    since = time.monotonic()
    while "[trial" not in process.said():
        assert process.poll() is None, process.said()
        assert time.monotonic() - since < 60
        time.sleep(0.05)
    return process


def lines_until(process: subprocess.Popen[str], start: str) -> list[str]:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(start):
            break
    return lines


def rest(process: subprocess.Popen[str]) -> str:
    """What a process says until its end."""
    with process:
        assert process.stderr is not None
        return process.stderr.read()


def operations(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()]


@pytest.mark.usefixtures("forked_workers")
def test_ctrl_c_gives_trials_back_and_the_search_goes_on(tmp_path: Path) -> None:
    place = place_of(None, tmp_path)
    process = forked_search(tmp_path, place, 2)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130, process.said()
    said = process.said()
    assert "Traceback" not in said
    with open_storage(place) as storage:
        board = open_board(make_job(place, trials=200), "none", storage)
        states = [trial.state.name for trial in board.trials()]
        assert "RUNNING" not in states
        assert sum(trial.user_attrs.get("reason") == "interrupted" for trial in board.trials()) >= 1
        assert len(board.holders()) == 200


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    process = started(tmp_path, place_of(None, tmp_path), 1)
    lines_until(process, "[trial")
    process.kill()
    rest(process)
    kept = operations(tmp_path / "journal.log")
    leases = [line["user_attr"]["worker"] for line in kept if "worker" in line.get("user_attr", {})]
    assert leases
    since = time.monotonic()
    while not all(is_gone(lease) for lease in leases):
        assert time.monotonic() - since < 20
        time.sleep(0.1)


@pytest.mark.usefixtures("forked_workers")
def test_a_database_that_stays_away_is_one_message_and_the_search_goes_on(tmp_path: Path, server: Server) -> None:
    place = place_of(server.database(), tmp_path)
    process = forked_search(tmp_path, place, 1, patience_seconds=1)
    server.stop()
    try:
        assert process.wait() == 2
        said = process.said()
    finally:
        server.start()
    last = [line for line in said.splitlines() if line.startswith("scgraph:")]
    assert len(last) == 1
    assert f"127.0.0.1:{server.port}" in last[0]
    assert "Finished trials are safe there; the same command goes on." in last[0]
    assert "Traceback" not in said
    with open_storage(place) as storage:
        board = open_board(make_job(place, trials=3, patience_seconds=1), "none", storage)
        assert board.finished()
        Watch(0.0).look(board)
        Watch(0.0).look(board)
        assert not any(trial.state.name == "RUNNING" and trial.user_attrs["slot"] < 3 for trial in board.trials())


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("storage_address", ["journal", "postgresql"], indirect=True)
def test_no_file_holds_the_password(
    tiny_file: Path, tmp_path: Path, storage_address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_password(address: str) -> str:
        return address.replace("@", ":SE%40CRET@")

    address = None if storage_address is None else with_password(storage_address)  # trusted, whatever it is
    shown = with_password(storage_address or "postgresql://me@host/study")
    monkeypatch.setattr(sys, "argv", ["scgraph", "tune", "--storage", shown, f"--study={shown}"])
    said: list[str] = []
    out = tmp_path / "out"
    search(tiny_file, out, storage=address, config={"trials": 1}, final=True, report=True, say=said.append)
    written = [path for path in out.rglob("*") if path.is_file()]
    assert {"study.html", "report.html", "summary.md", "environment.json"} <= {path.name for path in written}
    for path in written:
        assert not re.search(rb"SE(%40|@)CRET", path.read_bytes()), path
    assert "CRET" not in " ".join(said)
    assert (out / "bench" / "summary.md").read_text().count("scgraph tune --storage postgresql://") == 1


def test_a_database_that_comes_back_is_waited_for(tmp_path: Path, server: Server) -> None:
    place, said = place_of(server.database(), tmp_path), []
    with open_storage(place, patience=20, say=said.append) as storage:
        board = open_board(make_job(place, trials=2), "none", storage)
        server.stop()
        back = threading.Timer(1.0, server.start)
        back.start()
        assert board.take(board.trials()[0]) is not None
        back.join()
        assert board.trials()[0].state.name == "RUNNING"
    assert said == [f"{place.shown}: cannot be reached; trying again for 20 s."]


def test_bad_requests_leave_nothing_behind(tiny_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "garbage.db").write_bytes(b"no database" * 1000)
    for change, told in (
        ({"config": {"space": {"train": {"learning_rat": [1]}}}}, "Did you mean 'learning_rate'"),
        ({"config": {"trails": 5}}, "Did you mean 'trials'"),
        ({"models": ("nune",)}, "Did you mean 'none'"),
        ({"workers": 0}, "at least 1"),
        ({"storage": "mysql://host/db"}, "postgresql://USER@HOST/DATABASE"),
        ({"storage": "sqlite:///x.db", "overwrite": True}, "never a database"),
        ({"label": "kind"}, "cell_type"),
        ({"storage": f"sqlite:///{tmp_path / 'garbage.db'}"}, "garbage.db"),
        ({"storage": f"sqlite:///{tmp_path / 'gone' / 'search.db'}"}, "there is no folder"),
    ):
        with pytest.raises(ScgraphError, match=told):
            search(tiny_file, out, **change)
        assert not out.exists()
