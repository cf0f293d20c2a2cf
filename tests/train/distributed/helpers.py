"""Forked workers of a run on several devices; fresh ones train in the runs `both` of test_launcher.py."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from scgraph.train.distributed import launcher, worker
from scgraph.train.distributed.world import torchrun_environment
from tests.forking import Forked

if TYPE_CHECKING:
    from pathlib import Path


class ForkedWorker(Forked):
    """What `scgraph.train.distributed.launcher` starts, forked."""

    def __init__(self, folder: Path, rank: int, size: int, port: int, others: list[ForkedWorker]) -> None:
        reader, writer = os.pipe()

        def run() -> None:
            for other in others:  # a fresh process does not inherit these
                os.close(other.stdin.fileno())
            os.close(writer)
            os.environ.update(torchrun_environment(rank, size, port))
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            sys.exit(worker.main(folder))

        super().__init__(run, stdin=reader)
        os.close(reader)
        self.stdin = os.fdopen(writer, "wb")


def fork_workers(started: list[Any]) -> Any:
    """Return what replaces `launcher._start_workers`; the processes are put into `started`."""

    def start(folder: Path, size: int) -> list[Any]:
        started.clear()
        port = launcher.free_port()
        for rank in range(size):
            started.append(ForkedWorker(folder, rank, size, port, list(started)))
        return list(started)

    return start


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and waits for its parent does not."""
    with contextlib.suppress(FileNotFoundError):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
        return bool(state) and not state.startswith("Z")
    return False
