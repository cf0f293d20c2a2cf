"""Forked processes in place of fresh ones: real processes and signals without seconds of imports each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Forked"]


class Forked:
    """A function in a process of its own, with what the tests and the supervisor ask of a `subprocess.Popen`.

    Args:
        run: the function; the process ends as one whose program it is.
        log: file that all is added to that it writes; by default it writes where this process does.
        stdin: number of the file that it reads; by default there is nothing to read.
    """

    def __init__(self, run: Callable[[], object], log: Path | None = None, *, stdin: int | None = None) -> None:
        self.log = log
        self.returncode: int | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the thread of xdist holds nothing that is used here
            self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.dup2(os.open(os.devnull, os.O_RDONLY) if stdin is None else stdin, 0)
                if log is not None:
                    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                    os.dup2(said, 1)
                    os.dup2(said, 2)
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

    def wait(self, timeout: float = 90.0) -> int:
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("forked", timeout)
            time.sleep(0.005)
        return code

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log is not None and self.log.exists() else ""
