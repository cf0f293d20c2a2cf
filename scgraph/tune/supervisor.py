"""Worker processes on this machine: started, watched, replaced when they die, ended together.

torch's elastic launcher ends and restarts all of its processes when one fails. Workers do not depend on each other:
where one dies the others finish their trials, so it is started alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scgraph.errors import OutputError, ScgraphError, TrainingError
from scgraph.system.child import child_command, child_environment
from scgraph.train.signals import exit_code, stop_signals
from scgraph.tune.slots import Watch
from scgraph.tune.worker import FATAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scgraph.tune.plan import SearchPlan
    from scgraph.tune.slots import Board

__all__ = ["Supervisor"]

PAUSE = 0.5
GRACE = 60.0
"""Seconds a worker has to give its trial back after Ctrl-C."""


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    log: Path

    def fatal_message(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.is_file() else []
        return next((line.removeprefix(FATAL) for line in reversed(lines) if line.startswith(FATAL)), "")


@dataclass
class Supervisor:
    """Runs the trials of a job with processes of this machine.

    Attributes:
        job: what the workers are to do.
        boards: the slots, by model.
        count: number of processes.
        folder: where the workers' logs go.
        say: told what happens.
        on_finished: told the name of a model and a trial that was finished, by any worker anywhere.
    """

    job: SearchPlan
    boards: dict[str, Board]
    count: int
    folder: Path
    say: Callable[[str], None]
    on_finished: Callable[[str, Any], None] = lambda _model, _trial: None
    workers: list[_Worker] = field(default_factory=list)
    restarts: int = 0

    def run(self) -> None:
        """Return when every slot of every study is finished.

        Raises:
            ScgraphError: a worker said why it cannot go on, or workers died too often.
            KeyboardInterrupt: Ctrl-C; the workers have given their trials back.
        """
        watch = Watch(self.job.tune.lost_after_seconds, self.say)
        reported = {(model, trial.number) for model, board in self.boards.items() for trial in board.finished()}
        if self._finished():
            return
        # A flag and no exception: one that Ctrl-C raises inside a finalizer of the storage is lost.
        with stop_signals() as seen:
            self._supervise(watch, reported, seen)
        self._stop_workers(patience=GRACE)
        for board in self.boards.values():
            board.fill()  # strikes out what two commands put into one slot

    def _supervise(self, watch: Watch, reported: set[tuple[str, int]], seen: Sequence[int]) -> None:
        try:
            for number in range(self.count):
                self.workers.append(self._start_worker(number))
            while not self._finished():
                time.sleep(PAUSE)
                if seen:
                    raise exit_code(seen[0])
                for worker in list(self.workers):
                    self._replace_if_dead(worker)
                for board in self.boards.values():
                    watch.look(board)
                self._report(reported)
            self._report(reported)  # what was finished after the last look
        except ScgraphError:
            self._stop_workers()
            raise
        except BaseException:
            self._stop_workers()
            for board in self.boards.values():  # what a worker that had to be killed left running
                watch.look(board)
            raise

    def _report(self, reported: set[tuple[str, int]]) -> None:
        for model, board in self.boards.items():
            for trial in board.finished():
                if (model, trial.number) not in reported:
                    reported.add((model, trial.number))
                    self.on_finished(model, trial)

    def _finished(self) -> bool:
        return all(len(board.finished()) == board.slots for board in self.boards.values())

    def _replace_if_dead(self, worker: _Worker) -> None:
        code = worker.process.poll()
        if code is None:
            return
        self.workers.remove(worker)
        if code == 2:
            raise OutputError(worker.fatal_message() or f"A worker ended with an error; see {worker.log}.")
        if code == 0:
            if not self._finished() and not self.workers:
                self.workers.append(self._start_worker(worker.number))
            return
        end = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with code {code}"
        self.restarts += 1
        if self.restarts > self.job.tune.restarts:
            raise TrainingError(
                f"Workers died {self.restarts} times (the last one {end}; see {worker.log}). Finished trials are safe; "
                "the same command goes on. Where memory ran out, fewer workers may help."
            )
        self.say(f"worker {worker.number} {end}; another one takes its place.")
        self.workers.append(self._start_worker(worker.number))

    def _start_worker(self, number: int) -> _Worker:
        self.folder.mkdir(exist_ok=True)
        log = self.folder / f"worker-{number}.log"
        environment = child_environment()
        # Each worker for itself would start as many threads as there are cores.
        threads = str(max(1, len(os.sched_getaffinity(0)) // self.count)) if hasattr(os, "sched_getaffinity") else "1"
        environment.setdefault("OMP_NUM_THREADS", threads)
        with log.open("ab") as file:
            # A session of its own: Ctrl-C reaches this process alone, which then asks the workers to stop.
            process = subprocess.Popen(
                child_command("scgraph.tune.worker"),  # the job, which may hold a password, goes through a pipe
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env=environment,
                start_new_session=True,
            )
        if process.stdin is not None:
            try:
                process.stdin.write(json.dumps(self.job.plain()).encode())
                process.stdin.close()
            except BrokenPipeError:
                pass  # it is dead already, which is seen soon
        return _Worker(number, process, log)

    def _stop_workers(self, *, patience: float = 0.0) -> None:
        """Ask the workers that do not end by themselves to give their trials back, and kill those that do not."""
        since = time.monotonic()
        while time.monotonic() - since < patience and any(w.process.poll() is None for w in self.workers):
            time.sleep(0.05)
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGINT)
        since = time.monotonic()
        for worker in self.workers:
            try:
                worker.process.wait(timeout=max(0.1, GRACE - (time.monotonic() - since)))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                worker.process.kill()
                worker.process.wait()
        self.workers.clear()
