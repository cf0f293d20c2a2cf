"""The budget of a study as numbered slots, each held by one trial: none is lost, none is run twice.

A study of N trials has the slots 0 to N - 1. Every slot begins as a waiting trial, which one worker takes: the
storage lets only one change it to running. A trial whose worker is gone becomes failed and *lost*, and its slot gets
a new waiting trial. So N slots end as N finished trials, whatever was killed in between. Where two commands fill the
same slot at the same moment, the trial of the lower number holds it, and the other is never run.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scgraph.system import processes
from scgraph.system.processes import this_machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

__all__ = ["BEAT", "LEASE", "LOST", "REASON", "SLOT", "Board", "Heartbeat", "Watch", "is_gone", "lease_of_this_process"]

# User attributes of a trial.
SLOT = "slot"
LEASE = "worker"
BEAT = "beat"
REASON = "reason"
LOST = "lost"

GAP_SECONDS = 3.0

_tokens: dict[int, str] = {}
GONE, INTERRUPTED, SURPLUS = "its worker is gone", "interrupted", "another trial holds its slot"


def lease_of_this_process() -> dict[str, Any]:
    """Return who runs a trial: the machine as this process sees it, and the process."""
    pid = os.getpid()
    # Numbers of processes are used again; a token drawn once a process is not.
    token = _tokens.setdefault(pid, secrets.token_hex(4))
    return {"machine": this_machine(), "pid": pid, "word": token}


def is_gone(lease: dict[str, Any] | None) -> bool:
    """Say whether the process of a lease is known to be gone: it was one of this machine and is not there."""
    return lease is not None and lease.get("machine") == this_machine() and processes.is_gone(int(lease["pid"]))


@dataclass
class Board:
    """The slots of one study.

    Attributes:
        storage: where the study is.
        name: of the study.
        slots: how many there are, N.
        attempts: times a slot may lose the worker of its trial; the last time it counts as failed.
        first: values of the parameters that slot 0 runs.
    """

    storage: BaseStorage
    name: str
    slots: int
    attempts: int = 3
    first: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.study_id = self.storage.get_study_id_from_name(self.name)

    def trials(self) -> list[FrozenTrial]:
        """Return all trials by number."""
        return self.storage.get_all_trials(self.study_id, deepcopy=False)

    def holders(self) -> dict[int, FrozenTrial]:
        """Return the trial that holds each slot; a slot whose trial was lost, or that has none yet, is left out."""
        held: dict[int, FrozenTrial] = {}
        for trial in self.trials():
            slot = trial.user_attrs.get(SLOT)
            if slot is not None and slot < self.slots and slot not in held and not is_lost(trial):
                held[slot] = trial
        return held

    def finished(self) -> list[FrozenTrial]:
        """Return the finished trials that hold a slot, in the order of the slots."""
        held = self.holders()
        return [held[slot] for slot in sorted(held) if held[slot].state.is_finished()]

    def fill(self) -> None:
        """Give every slot without a trial a waiting one, and strike out waiting ones whose slot another holds."""
        from optuna.trial import TrialState, create_trial

        held = self.holders()
        for slot in range(self.slots):
            if slot not in held:
                waiting = create_trial(
                    state=TrialState.WAITING,
                    user_attrs={SLOT: slot},
                    system_attrs={"fixed_params": self.first if slot == 0 else {}},
                )
                self.storage.create_new_trial(self.study_id, template_trial=waiting)
        held = self.holders()
        for trial in self.trials():
            holder = held.get(trial.user_attrs.get(SLOT, -1))
            if trial.state is TrialState.WAITING and holder is not None and holder.number != trial.number:
                self.give_up(trial, SURPLUS)

    def next_waiting(self) -> FrozenTrial | None:
        """Return the waiting trial of the lowest slot."""
        held = self.holders()
        return next((held[slot] for slot in sorted(held) if held[slot].state.name == "WAITING"), None)

    def take(self, trial: FrozenTrial) -> int | None:
        """Make a waiting trial one of this process; return its id, or None where another was quicker."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        identity = self.identity(trial)
        try:
            if not self.storage.set_trial_state_values(identity, TrialState.RUNNING):
                return None
        except UpdateFinishedTrialError:
            return None
        self.storage.set_trial_user_attr(identity, LEASE, lease_of_this_process())
        holder = self.holders().get(trial.user_attrs[SLOT])
        if holder is not None and holder.number != trial.number:
            self.give_up(trial, SURPLUS)
            return None
        return identity

    def give_up(self, trial: FrozenTrial, why: str) -> bool:
        """Fail a trial that did not end by itself; its slot is free again unless it has lost too many workers.

        Returns False where it was finished already, by itself or by another process.
        """
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        identity, slot = self.identity(trial), trial.user_attrs.get(SLOT)
        others = [t for t in self.trials() if t.user_attrs.get(SLOT) == slot and t.number != trial.number]
        gone = sum(t.user_attrs.get(REASON) == GONE for t in others)
        with suppress(UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(identity, REASON, why)
            if why != GONE or gone + 1 < self.attempts:
                self.storage.set_trial_user_attr(identity, LOST, value=True)
            return self.storage.set_trial_state_values(identity, TrialState.FAIL)
        return False

    def identity(self, trial: FrozenTrial) -> int:
        """Return the id that the storage knows a trial by."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, trial.number)


def is_lost(trial: FrozenTrial) -> bool:
    """Say whether a trial was given up through no fault of its own and does not count."""
    return trial.state.name == "FAIL" and bool(trial.user_attrs.get(LOST))


@dataclass
class Watch:
    """Finds running trials whose worker is gone: a process of this machine at once, any other by its silence.

    Silence is measured by the clock of this process alone: how long the sign of life has not changed.

    Attributes:
        seconds: silence after which a worker counts as gone.
        say: told of every trial that was given up.
    """

    seconds: float
    say: Callable[[str], None] = lambda _: None
    seen: dict[tuple[str, int], tuple[Any, float]] = field(default_factory=dict)
    gaps: dict[str, float] = field(default_factory=dict)

    def look(self, board: Board) -> int:
        """Give up the trials of a study whose worker is gone and fill their slots; return how many there were."""
        lost = 0
        for trial in board.trials():
            if trial.state.name != "RUNNING":
                self.seen.pop((board.name, trial.number), None)
                continue
            lease = trial.user_attrs.get(LEASE)
            if lease == lease_of_this_process():
                continue
            sign = (lease, trial.user_attrs.get(BEAT))
            before, since = self.seen.setdefault((board.name, trial.number), (sign, time.monotonic()))
            if before != sign:
                self.seen[board.name, trial.number] = (sign, time.monotonic())
            elif (is_gone(lease) or time.monotonic() - since > self.seconds) and board.give_up(trial, GONE):
                self.say(f"{board.name}: the worker of trial {trial.number} is gone; the trial is run again.")
                lost += 1
        # Who gave a trial up fills its slot. Only where that process died in between has another one to do it.
        if len(board.holders()) == board.slots:
            self.gaps.pop(board.name, None)
        elif lost or time.monotonic() - self.gaps.setdefault(board.name, time.monotonic()) > GAP_SECONDS:
            board.fill()
        return lost


class Heartbeat:
    """Gives signs of life for a running trial, and calls out when the process that started this one is gone.

    Args:
        storage: where the trial is.
        identity: id of the trial.
        seconds: time between two signs.
        parent: the process that started this one.
        orphaned: called once when the parent process is gone.
    """

    def __init__(
        self, storage: BaseStorage, identity: int, seconds: float, parent: int, orphaned: Callable[[], None]
    ) -> None:
        self.storage = storage
        self.identity = identity
        self.seconds = seconds
        self.parent = parent
        self.orphaned = orphaned
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Heartbeat:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(timeout=5)

    def _run(self) -> None:
        count, last = 0, time.monotonic()
        while not self.over.wait(min(1.0, self.seconds)):
            if os.getppid() != self.parent:
                self.orphaned()
                return
            if time.monotonic() - last < self.seconds:
                continue
            count, last = count + 1, time.monotonic()
            try:
                self.storage.set_trial_user_attr(self.identity, BEAT, count)
            except Exception:  # noqa: BLE001 - the trial is over or the storage gone: its own thread finds out and says so
                return
