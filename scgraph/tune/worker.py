"""A worker of a study: takes a slot, measures its trial, tells the result, until every slot is finished.

Run as a module, it reads a job as JSON from standard input. It exits with 0 where nothing is left to do,
2 with one message on standard error where it cannot go on, 130 after Ctrl-C.
"""

from __future__ import annotations

import _thread
import importlib
import json
import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from scgraph.errors import ScgraphError, TrainingError
from scgraph.reporting.escape import for_terminal
from scgraph.tune.journal import StorageError
from scgraph.tune.objective import Outcome, free_memory, reason_of
from scgraph.tune.plan import SearchPlan
from scgraph.tune.slots import INTERRUPTED, LOST, REASON, SLOT, Board, Heartbeat, Watch
from scgraph.tune.storage import Place, open_storage
from scgraph.tune.study import load_study, open_board, sample_params

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

__all__ = ["FATAL", "main", "work"]

PAUSE = 0.5
FATAL = "scgraph: "
"""Begins the last line of a worker that cannot go on."""


def work(job: SearchPlan, say: Callable[[str], None]) -> None:
    """Run trials until every slot of every study is finished, by this worker or another.

    Raises:
        ScgraphError: the storage is gone, or the study is another one.
        KeyboardInterrupt: the trial under way is given back.
    """
    config, parent = job.tune, os.getppid()
    with open_storage(Place(**job.storage), patience=config.patience_seconds, say=say) as storage:
        boards = {model: open_board(job, model, storage) for model in job.models}
        watch = Watch(config.lost_after_seconds, say)
        measure: Callable[..., Outcome] | None = None
        while True:
            lost = sum(watch.look(board) for board in boards.values())
            if os.getppid() != parent:  # nobody is left who would want the results of this process
                raise KeyboardInterrupt
            chosen = _next(boards)
            if chosen is None:
                if not lost and all(len(board.finished()) == board.slots for board in boards.values()):
                    return
                time.sleep(PAUSE)
                continue
            if measure is None:
                # Before a trial is taken: reading cells may last longer than a silent worker is waited for.
                measure = _load_objective(job.objective)(job)
                continue
            model, waiting = chosen
            identity = boards[model].take(waiting)
            if identity is None:
                continue
            try:
                _run(job, model, storage, waiting, identity, measure, parent, say)
            except (KeyboardInterrupt, SystemExit):
                boards[model].give_up(waiting, INTERRUPTED)
                boards[model].fill()
                raise


def _next(boards: dict[str, Board]) -> tuple[str, FrozenTrial] | None:
    """Return the waiting trial of the lowest slot over all models, so that models go on side by side."""
    waiting = [(model, board.next_waiting()) for model, board in boards.items()]
    candidates = [(model, trial) for model, trial in waiting if trial is not None]
    return min(candidates, key=lambda pair: int(pair[1].user_attrs[SLOT]), default=None)


def _run(
    job: SearchPlan,
    model: str,
    storage: BaseStorage,
    waiting: FrozenTrial,
    identity: int,
    measure: Callable[..., Outcome],
    parent: int,
    say: Callable[[str], None],
) -> None:
    from optuna.exceptions import TrialPruned, UpdateFinishedTrialError
    from optuna.trial import TrialState

    study = load_study(job, model, storage, slot=int(waiting.user_attrs[SLOT]))
    several = len(study.directions) > 1
    # Optuna compares what is reported in the direction of the study, so a loss beside a score is a negative one.
    sign = -1.0 if study.directions[0].name == "MAXIMIZE" else 1.0
    attributes: dict[str, Any] = {}
    values: list[float] | None = None
    try:
        with Heartbeat(storage, identity, job.tune.heartbeat_seconds, parent, _thread.interrupt_main):
            trial, settings = sample_params(study, identity, job.space(model))

            def report(loss: float, epoch: int) -> None:
                if several:  # Optuna prunes by one objective only
                    return
                trial.report(sign * loss, epoch)
                if trial.should_prune():
                    attributes["epochs"] = str(epoch + 1)
                    raise TrialPruned

            try:
                outcome = measure(model, settings, report)
                if not all(math.isfinite(value) for value in outcome.values):
                    raise TrainingError(f"The result is {', '.join(map(str, outcome.values))}.")
                state, values = TrialState.COMPLETE, list(outcome.values)
                attributes.update(outcome.attributes)
            except TrialPruned:
                state = TrialState.PRUNED
            except (StorageError, UpdateFinishedTrialError):
                raise
            except Exception as error:  # noqa: BLE001 - one trial, perhaps of a layer of the user's own, ends by itself
                state = TrialState.FAIL
                attributes[REASON] = reason_of(error)
            for key, value in attributes.items():
                trial.set_user_attr(key, value)
            study.tell(trial, values, state=state)
    except UpdateFinishedTrialError:
        # Also where the storage was gone right after it kept the result, and was asked once more.
        finished = storage.get_trial(identity)
        if finished.user_attrs.get(LOST):
            say(f"{study.study_name}: trial {finished.number} was taken for lost; its result is left out.")
    if attributes.get(REASON):
        free_memory()


def _load_objective(path: str) -> Callable[[SearchPlan], Callable[..., Outcome]]:
    module, _, name = path.partition(":")
    objective: Callable[[SearchPlan], Callable[..., Outcome]] = getattr(importlib.import_module(module), name)
    return objective


def main() -> None:
    """Run the job on standard input."""

    def say(text: str) -> None:
        sys.stderr.write(f"{for_terminal(text)}\n")
        sys.stderr.flush()

    try:
        work(SearchPlan(**json.load(sys.stdin)), say)
    except ScgraphError as error:
        say(f"{FATAL}{error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
