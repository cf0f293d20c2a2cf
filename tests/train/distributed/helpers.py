"""Forked processes in place of fresh ones: real processes and signals without five seconds of imports each."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from scgraph.train.distributed import launcher, worker
from scgraph.train.distributed.world import torchrun_environment

if TYPE_CHECKING:
    from pathlib import Path


class Forked:
    """What `scgraph.train.distributed.launcher` asks of a process, for one that was forked."""

    def __init__(self, folder: Path, rank: int, size: int, port: int, others: list[Forked]) -> None:
        reader, writer = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                for other in others:  # a fresh process does not inherit these
                    os.close(other.stdin.fileno())
                os.close(writer)
                os.dup2(reader, 0)
                os.setsid()
                os.environ.update(torchrun_environment(rank, size, port))
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                code = worker.main(folder)
            finally:
                os._exit(code)
        os.close(reader)
        self.stdin: Any = os.fdopen(writer, "wb")

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def fork_workers(started: list[Any]) -> Any:
    """Return what replaces `launcher._start_workers`; the processes are put into `started`."""

    def start(folder: Path, size: int) -> list[Any]:
        started.clear()
        port = launcher.free_port()
        for rank in range(size):
            started.append(Forked(folder, rank, size, port, list(started)))
        return list(started)

    return start


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and waits for its parent does not."""
    with contextlib.suppress(FileNotFoundError):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
        return bool(state) and not state.startswith("Z")
    return False
