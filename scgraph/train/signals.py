"""Ctrl-C and SIGTERM as a wish to stop, so that the step under way and the state can be finished."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["StopRequested", "exit_code", "stop_signals"]


class StopRequested(Exception):
    """The run was asked to stop, and its state is saved.

    Args:
        number: the signal that asked.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Turn the first Ctrl-C or SIGTERM into a wish to stop after the step under way.

    A second one ends the run at once. Yields the signals seen so far. Outside the main thread, where Python
    delivers no signals, nothing is changed.
    """
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def exit_code(number: int) -> BaseException:
    """Return what to raise where a signal ended a run: the exit code of a shell, 130 for Ctrl-C."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
