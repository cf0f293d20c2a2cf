"""Forked processes in place of fresh ones: real processes, signals and storages without seconds of imports each.

What a fresh process imports and is given is proven by the searches of test_report.py, of tests/system/test_child.py
and of searcher.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from typing import TYPE_CHECKING, Any

from scgraph.tune import worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Forked", "ForkedWorker"]


class Forked:
    """A function in a process of its own, with what the tests and the supervisor ask of a `subprocess.Popen`.

    Args:
        run: the function; the process ends as one whose program it is.
        stdin: number of the file that it reads.
        said: number of the file for all that it writes.
    """

    def __init__(self, run: Callable[[], object], *, stdin: int, said: int) -> None:
        self.returncode: int | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the thread of xdist holds nothing that is used here
            self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                for source, target in ((stdin, 0), (said, 1), (said, 2)):
                    os.dup2(source, target)
                sys.stdin, sys.stdout, sys.stderr = (
                    open(number, mode, closefd=False)  # noqa: SIM115 - until the process ends
                    for number, mode in ((0, "r"), (1, "w"), (2, "w"))
                )
                os.setsid()
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                run()
                code = 0
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 60.0) -> int:
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("forked", timeout)
            time.sleep(0.005)
        return code


class ForkedWorker(Forked):
    """What `scgraph.tune.supervisor` starts, forked: the job comes through a pipe, what is said goes into the log."""

    def __init__(self, _command: list[str], *, stdout: Any, env: Mapping[str, str], **_: object) -> None:
        reader, writer = os.pipe()

        def run() -> None:
            os.close(writer)
            os.environ.update(env)
            worker.main()

        super().__init__(run, stdin=reader, said=stdout.fileno())
        os.close(reader)
        self.stdin = os.fdopen(writer, "wb")
