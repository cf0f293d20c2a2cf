"""A lock between processes of one machine that leaves nothing behind."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FileGuard"]


class FileGuard:
    """The lock of the operating system on a file of its own, which is there only while the lock is held.

    It ends with its process, so a kill leaves at most the empty file, which locks nobody out.

    Args:
        path: the file; its folder must exist.

    Raises:
        OSError: the file cannot be made; also by `acquire`.
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock

        self.path = path
        self._lock = FileLock(path)

    def acquire(self) -> None:
        """Wait for the lock and take it."""
        self._lock.acquire(poll_interval=0.005)

    def release(self) -> None:
        """Give the lock back."""
        # Removed while it is held: who waits for it sees that his file has no name any more and makes a new one.
        with contextlib.suppress(OSError):  # Windows removes no open file
            self.path.unlink()
        self._lock.release()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock."""
        self.acquire()
        try:
            yield
        finally:
            self.release()
