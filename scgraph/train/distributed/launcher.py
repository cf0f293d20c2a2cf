"""Processes of one machine that train together: started, watched, and ended together.

The calling process only watches: it lays cells, weights and settings into a folder, starts one fresh process a device
(`scgraph.train.distributed.worker`), and says why the run ended. A process that dies cannot take it down or keep it
waiting.

Lightning's own launchers run the caller's script once more for each device (which reads the data anew and cannot
start from a notebook), or fork a process whose threads and GPU are in use, or pickle everything. torch's elastic
launcher (`elastic_launch`, and `start_processes` below it) starts a command once a device, watches, and ends all when
one fails. It was tried in this place with torch 2.13 (2.11 has the same code there) and cannot do what follows:

- End the processes where the watching one is killed: both still trained 57 s after it got SIGKILL. They inherit its
  standard input, so they have nothing to see its end by; here that is a pipe.
- Say what failed first. It compares whole seconds, so where one process was killed and the other crashed 20 ms later,
  as on the broken connection, it named the crash in 8 of 10 runs (`elastic_launch`: 3 of 5), and the signal is lost.
- Let the others end soon. It sends them SIGTERM at once, which here means "save and stop", and waits 30 s for one that
  does not end, whatever its `shutdown_timeout` is. Here they have `GRACE`.
- Leave the calling process alone. Its handlers of SIGINT, SIGTERM, SIGHUP and SIGQUIT stay when the run is over
  (`elastic_launch` can be told which), outside the main thread it warns, and it logs to standard error.
- Hand over an error as it was: `record` writes its class and message as one text, and nothing for a wish to stop.

What it could take over is Popen, poll and kill; all else here would stay and work around it.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

from scgraph import errors
from scgraph.models.tensors import write_tensors
from scgraph.nn.conv.registry import conv_class
from scgraph.system.child import child_command, child_environment
from scgraph.train.distributed.handover import BEGUN, JOB, WEIGHTS, outcome_file, write_store
from scgraph.train.distributed.world import torchrun_environment
from scgraph.train.signals import exit_code, stop_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scgraph.data import CellStore
    from scgraph.nn import CellModel

__all__ = ["free_port", "importable_conv", "launch"]

GRACE = 5.0
"""Seconds that the other processes have to end by themselves once one has failed."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes:
        code: its exit code; negative: the signal that killed it.
        error: name of the `ScgraphError`, ``"stopped"`` after a signal, ``"crash"`` otherwise; empty for none.
        message: of the error, or the traceback.
        when: seconds since the epoch.
    """

    code: int
    error: str = ""
    message: str = ""
    when: float = float("inf")


def launch(
    model: CellModel,
    train: CellStore,
    validation: CellStore | None,
    job: dict[str, Any],
    *,
    size: int,
    out: Path | None,
) -> None:
    """Train on so many processes of this machine and wait for them.

    Args:
        model: the weights to begin with.
        train: cells to learn from.
        validation: cells to measure the loss on.
        job: JSON values for `scgraph.train.distributed.worker`; its ``out`` is where the run is written to.
        size: number of processes.
        out: what to name as the place of the state in a message; None where nothing is kept.

    Raises:
        ScgraphError: the one that a process ended with; `TrainingError` where one was killed.
        KeyboardInterrupt: Ctrl-C; the state is saved before.
        RuntimeError: a process crashed; holds its traceback.
    """
    with tempfile.TemporaryDirectory(prefix="scgraph-") as name, stop_signals() as seen:
        folder = Path(name)
        write_tensors(folder / WEIGHTS, model.state_dict(), {})
        for part, store in (("train", train), ("validation", validation)):
            if store is not None:
                write_store(folder / part, store)
        (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
        processes = _start_workers(folder, size)
        try:
            ended_here = _wait(processes, seen, folder / BEGUN)
            outcomes = [_read_outcome(folder, rank, process) for rank, process in enumerate(processes)]
            _raise_first_failure(outcomes, ended_here, folder, out, [process.pid for process in processes])
        finally:
            for process in processes:
                process.kill()
                process.wait()
                if process.stdin is not None:
                    process.stdin.close()


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def importable_conv(name: str) -> str:
    """Return the module that registers a convolution, for another process to import.

    Raises:
        ConfigError: it was defined in the script or notebook that is running.
    """
    module = conv_class(name).__module__
    if module == "__main__":
        raise errors.ConfigError(
            f"Model {name!r} is defined in the script that runs, where other processes cannot find it. Put it in a "
            "module of its own, import that, and train on several devices then."
        )
    return module


def _start_workers(folder: Path, size: int) -> list[subprocess.Popen[bytes]]:
    port = free_port()
    processes = []
    for rank in range(size):
        with contextlib.ExitStack() as stack:
            output: Any = None
            if rank:
                output = stack.enter_context(_log(folder, rank).open("wb"))
            processes.append(
                subprocess.Popen(
                    child_command("scgraph.train.distributed.worker", str(folder)),
                    env=child_environment() | torchrun_environment(rank, size, port),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    # Ctrl-C in a terminal reaches every process of its group, and a second one means "at once".
                    start_new_session=True,
                )
            )
    return processes


def _wait(processes: Sequence[subprocess.Popen[bytes]], seen: Sequence[int], begun: Path) -> set[int]:
    """Wait until all have ended; return the ranks that had to be killed because another one had failed."""
    forwarded, deadline = False, float("inf")
    killed: set[int] = set()
    while True:
        codes = [process.poll() for process in processes]
        if None not in codes:
            return killed
        if seen and not forwarded:
            if not begun.exists():
                raise exit_code(seen[0])  # nothing is done yet that could be lost
            forwarded = True
            stdin = processes[0].stdin
            with contextlib.suppress(BrokenPipeError):
                assert stdin is not None
                stdin.write(bytes([seen[0]]))
                stdin.flush()
        if deadline == float("inf") and any(codes):
            deadline = time.monotonic() + GRACE
        if time.monotonic() > deadline:
            for rank in (rank for rank, code in enumerate(codes) if code is None):
                killed.add(rank)
                processes[rank].kill()
            deadline = float("inf")
        time.sleep(0.02)


def _raise_first_failure(
    outcomes: Sequence[Outcome], ended_here: set[int], folder: Path, out: Path | None, pids: Sequence[int]
) -> None:
    """Raise what ended the run first; what followed from it, as a connection that broke, is left out."""
    for rank, outcome in enumerate(outcomes):
        if outcome.code < 0 and rank not in ended_here:
            advice = "Nothing was kept, as there is no output folder."
            if out is not None:
                go_on = errors.flag("resume")
                advice = f"The last state is kept in {out}: {go_on} goes on with it, on any number of devices."
            raise errors.TrainingError(
                f"Training stopped: process {rank} of {len(outcomes)} (pid {pids[rank]}) was killed by "
                f"{Signals(-outcome.code).name}, as the system does where memory runs out. {advice}"
                + _log_tail(folder, rank)
            )
    for kind, build in (("reported", _reported_error), ("stopped", _stop_error), ("crash", _crash_error)):
        for rank, outcome in sorted(enumerate(outcomes), key=lambda item: item[1].when if kind == "crash" else item[0]):
            if outcome.code and rank not in ended_here and (error := build(rank, outcome)) is not None:
                raise error


def _reported_error(rank: int, outcome: Outcome) -> BaseException | None:
    cls = getattr(errors, outcome.error, None)
    return None if cls is None else cls(outcome.message)


def _stop_error(rank: int, outcome: Outcome) -> BaseException | None:
    return exit_code(outcome.code - 128) if outcome.error == "stopped" else None


def _crash_error(rank: int, outcome: Outcome) -> BaseException | None:
    return RuntimeError(f"process {rank} ended with exit code {outcome.code}:\n{outcome.message}")


def _read_outcome(folder: Path, rank: int, process: subprocess.Popen[bytes]) -> Outcome:
    try:
        return Outcome(process.returncode, **json.loads(outcome_file(folder, rank).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return Outcome(process.returncode, message=_log_tail(folder, rank))


def _log_tail(folder: Path, rank: int) -> str:
    with contextlib.suppress(OSError):
        text = _log(folder, rank).read_text(encoding="utf-8", errors="replace").strip()
        return f"\n{text[-2000:]}" if text else ""
    return ""


def _log(folder: Path, rank: int) -> Path:
    return folder / f"log-{rank}.txt"
