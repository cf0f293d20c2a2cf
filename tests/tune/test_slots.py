"""Slots: each is held by one trial, whoever takes, loses or fills it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from optuna.trial import TrialState

from scgraph.tune.slots import BEAT, LEASE, SLOT, Board, Watch, is_gone, lease_of_this_process
from scgraph.tune.storage import open_storage, place_of, quiet_optuna

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GONE = {**lease_of_this_process(), "pid": 2**22 + 1}
FAR = {"machine": "elsewhere", "pid": 1, "word": "x"}


@pytest.fixture
def board() -> Iterator[Board]:
    with quiet_optuna():
        storage = optuna.storages.InMemoryStorage()
        optuna.create_study(study_name="s", storage=storage)
        made = Board(storage, "s", 3, attempts=2, first={"x": 0.5})
        made.fill()
        yield made


def run_by(board: Board, lease: dict[str, Any]) -> int:
    trial = board.next_waiting()
    assert trial is not None
    identity = board.take(trial)
    assert identity is not None
    board.storage.set_trial_user_attr(identity, LEASE, lease)
    return trial.number


def test_every_slot_waits_once(board: Board) -> None:
    board.fill()
    assert [(t.user_attrs[SLOT], t.state.name) for t in board.trials()] == [
        (0, "WAITING"),
        (1, "WAITING"),
        (2, "WAITING"),
    ]
    assert board.trials()[0].system_attrs["fixed_params"] == {"x": 0.5}
    Board(board.storage, "s", 5).fill()
    assert len(board.trials()) == 5
    assert len(board.holders()) == 3  # this one was asked for three


def test_a_trial_is_taken_once(board: Board) -> None:
    trial = board.next_waiting()
    assert trial is not None
    assert board.take(trial) is not None
    assert board.take(trial) is None


def test_of_two_trials_for_one_slot_the_second_is_not_run(board: Board) -> None:
    late = optuna.trial.create_trial(state=TrialState.WAITING, user_attrs={SLOT: 0})
    for _ in range(2):
        board.storage.create_new_trial(board.study_id, template_trial=late)
    assert board.take(board.trials()[3]) is None
    board.fill()
    assert [trial.state.name for trial in board.trials()[3:]] == ["FAIL", "FAIL"]
    assert board.holders()[0].number == 0
    assert len(board.trials()) == 5


def test_a_gap_left_by_a_dead_watcher_is_filled(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scgraph.tune.slots.GAP_SECONDS", 0.2)
    number = run_by(board, GONE)
    assert board.give_up(board.trials()[number], "its worker is gone")
    assert not board.give_up(board.trials()[number], "its worker is gone")
    watch = Watch(60)
    watch.look(board)
    assert 0 not in board.holders()
    time.sleep(0.3)
    watch.look(board)
    assert board.holders()[0].state.name == "WAITING"


def test_a_dead_worker_of_this_machine_is_seen_at_once(board: Board) -> None:
    said: list[str] = []
    number = run_by(board, GONE)
    watch = Watch(60, said.append)
    watch.look(board)
    assert watch.look(board) == 0 or said
    trials = board.trials()
    assert trials[number].state.name == "FAIL"
    assert trials[3].user_attrs[SLOT] == 0
    assert trials[3].state.name == "WAITING"
    assert said == ["s: the worker of trial 0 is gone; the trial is run again."]


def test_a_worker_elsewhere_is_gone_when_it_is_silent(board: Board) -> None:
    number = run_by(board, FAR)
    watch = Watch(0.3)
    for beat in range(3):
        time.sleep(0.15)
        board.storage.set_trial_user_attr(board.identity(board.trials()[number]), BEAT, beat)
        assert watch.look(board) == 0
    time.sleep(0.4)
    assert watch.look(board) == 1


def test_a_slot_that_keeps_losing_its_worker_fails(board: Board) -> None:
    watch = Watch(0)
    for _ in range(2):
        run_by(board, GONE)
        watch.look(board)
        watch.look(board)
    held = board.holders()[0]
    assert held.state.name == "FAIL"
    assert held.user_attrs["reason"] == "its worker is gone"
    assert [trial.user_attrs[SLOT] for trial in board.finished()] == [0]


def test_a_finished_trial_is_never_given_up(board: Board) -> None:
    number = run_by(board, GONE)
    trial = board.trials()[number]
    board.storage.set_trial_state_values(board.identity(trial), TrialState.COMPLETE, [1.0])
    board.give_up(trial, "its worker is gone")
    assert board.holders()[0].state.name == "COMPLETE"


def test_processes_of_other_machines_are_not_looked_for() -> None:
    assert is_gone(GONE)
    assert not is_gone(FAR)
    assert not is_gone(None)
    assert not is_gone(lease_of_this_process())


@pytest.mark.parametrize("kind", ["journal", "sqlite", "postgresql"])
def test_many_takers_of_few_slots(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    address = {
        "journal": None,
        "sqlite": f"sqlite:///{tmp_path / 'x.db'}",
    }.get(kind) or (None if kind == "journal" else request.getfixturevalue("server").database())
    place = place_of(address, tmp_path)
    with open_storage(place) as storage:
        optuna.create_study(study_name="s", storage=storage)
        Board(storage, "s", 6).fill()
    taken: list[int] = []

    def take() -> None:
        with open_storage(place) as storage:
            board = Board(storage, "s", 6)
            while (trial := board.next_waiting()) is not None:
                if board.take(trial) is not None:
                    taken.append(trial.number)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(6))
