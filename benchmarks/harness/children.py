"""A measurement in a process of its own, under a limit of memory and of time."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import TYPE_CHECKING, Any

from scgraph.errors import ScgraphError
from scgraph.files import write_atomic
from scgraph.memory import available_memory, is_out_of_memory, set_data_limit, status_bytes, tells_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import BaseContext

__all__ = [
    "NOT_INSTALLED",
    "NOT_TRIED",
    "OUT_OF_MEMORY",
    "OVER_TIME",
    "Answer",
    "available_memory_gb",
    "last_words",
    "limit_memory",
    "outcome",
    "peak_mb",
    "reported_child",
    "resident_mb",
    "restart_peak",
    "run_child",
]

OUT_OF_MEMORY = "out of memory"
OVER_TIME = "over time"
NOT_TRIED = "not tried"
NOT_INSTALLED = "not installed"
PRELOADED = ("scgraph.costs.machine", "torch_geometric.nn", "scgraph.cli.options")
"""Imported once and shared by all children: they take longer to load than most measurements last."""


@dataclass(frozen=True)
class Answer:
    """What came of a measurement.

    Attributes:
        status: "ok", "out of memory", "over time" or "failed".
        message: what went wrong, "" where nothing did.
        seconds: of the process.
        found: what the measurement returned.
    """

    status: str
    message: str
    seconds: float
    found: dict[str, Any] = field(default_factory=dict)


def run_child(
    measure: Callable[[dict[str, Any]], dict[str, Any]],
    request: dict[str, Any],
    *,
    memory_gb: float,
    seconds: float,
) -> Answer:
    """Measure in a child process; running out of memory or time is an answer, not an error.

    The children are forked from a server that has imported PyTorch and run nothing: they start at once, each with
    no tensor and no thread of another measurement.

    Args:
        measure: a function of a module that the child can import; takes and returns plain data.
        request: what it is given.
        memory_gb: limit of the data of the process, 10⁹ bytes.
        seconds: after which the child is ended.
    """
    context = _context()
    with tempfile.TemporaryDirectory() as scratch:
        answer, errors = Path(scratch) / "answer.json", Path(scratch) / "errors.txt"
        child = context.Process(  # type: ignore[attr-defined]
            target=_answer, args=(measure, request, memory_gb, str(answer), str(errors))
        )
        start = time.perf_counter()
        child.start()
        child.join(seconds)
        late = child.is_alive()
        if late:
            child.kill()
            child.join()
        passed = time.perf_counter() - start
        if late:
            return Answer(OVER_TIME, f"ended after {seconds:g} s", passed)
        if child.exitcode == 0 and answer.is_file():
            return Answer("ok", "", passed, json.loads(answer.read_text(encoding="utf-8")))
        said = errors.read_text(errors="replace").strip() if errors.is_file() else ""
        return Answer(*outcome(child.exitcode or 0, said), passed)


def reported_child(
    measure: Callable[[dict[str, Any]], dict[str, Any]],
    request: dict[str, Any],
    name: str,
    failures: list[str],
    *,
    memory_gb: float | None,
    seconds: float,
) -> Answer:
    """`run_child` that says how it went; what failed is added to `failures`.

    Args:
        measure: see `run_child`.
        request: see `run_child`.
        name: of what is measured, for people.
        failures: of the run.
        memory_gb: see `run_child`; None: what is available.
        seconds: see `run_child`.
    """
    from scgraph.cli.terminal import say

    answer = run_child(measure, request, memory_gb=memory_gb or available_memory_gb(), seconds=seconds)
    say(f"{name}: {answer.status} after {answer.seconds:.1f} s {answer.message}".rstrip())
    if answer.status == "failed":
        failures.append(f"{name}: {answer.message}")
    return answer


def outcome(returncode: int, said: str) -> tuple[str, str]:
    """Status and message of a process that gave no answer, from its exit code and its standard error."""
    last = said.splitlines()[-1].strip() if said else ""
    if returncode == -SIGKILL:
        return OUT_OF_MEMORY, "killed by the system"
    if tells_of_memory(said):
        return OUT_OF_MEMORY, last
    return "failed", last or f"the process ended with {returncode} and no message"


def available_memory_gb() -> float:
    """Memory that a new process may take, in 10⁹ bytes."""
    return round(available_memory() / 1e9, 1)


def limit_memory(gigabytes: float, device: str = "cpu") -> None:
    """Let allocations beyond the limit fail in this process."""
    import torch

    place = torch.device(device)
    if place.type == "cuda":
        total = torch.cuda.get_device_properties(place).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, gigabytes * 1e9 / total), place)
        return
    set_data_limit(int(gigabytes * 1e9))


def last_words(error: Exception) -> str:
    """The line that tells the parent of a child what went wrong.

    Raises:
        Exception: `error` itself, where it is neither for want of memory nor one that a user can mend.
    """
    lost = is_out_of_memory(error)
    if not lost and not isinstance(error, ScgraphError):
        raise error
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return f"\n{OUT_OF_MEMORY}: {said}\n" if lost else f"\n{said}\n"


def resident_mb() -> float:
    """Memory of this process that is in use now, 10⁶ bytes; NaN where the system does not say."""
    return _status("VmRSS")


def peak_mb() -> float:
    """The most memory this process has had in use since `restart_peak`, 10⁶ bytes; NaN where it is not known."""
    return _status("VmHWM")


def restart_peak() -> bool:
    """Forget the peak up to now; False where the system does not allow it, and `peak_mb` may say too much."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _status(name: str) -> float:
    # Not getrusage: its peak is that of the parent where the parent was larger.
    size = status_bytes(name)
    return float("nan") if size is None else size / 1e6


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver  # is not everywhere

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    # The server is started with `python -c`, which would import from the current folder first.
    with _variable("PYTHONSAFEPATH", "1"):
        forkserver.ensure_running()
    return context


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _answer(
    measure: Callable[[dict[str, Any]], dict[str, Any]],
    request: dict[str, Any],
    memory_gb: float,
    answer: str,
    errors: str,
) -> None:
    """Run in the child: what went wrong stands in the last line of standard error."""
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    try:
        limit_memory(memory_gb)
        found = measure(request)
    except (MemoryError, RuntimeError, OSError, ImportError, ScgraphError) as error:
        sys.stderr.write(last_words(error))
        sys.stderr.flush()
        sys.exit(1)
    write_atomic(Path(answer), json.dumps(found))
