"""Vectors that are being written: a folder beside the file that they become part of, which a killed run leaves."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.errors import OutputError, flag
from scgraph.files import json_text, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["PartialVectors"]

_VECTORS, _PROGRESS, _LOCK = "vectors.f32", "progress.json", "lock"
_EVERY = 1.0
"""Seconds between two marks of how far the vectors are safe on the disk."""

_STEP = 2**16


class PartialVectors:
    """The vectors of the first cells, float32 `[n, C]` in their order, safe on the disk up to `done`.

    Args:
        out: The file that they become part of.
        shape: Cells n and channels C.
        identity: Of the cells, the model and all that makes a difference: a run goes on only with the same.

    Attributes:
        folder: Where they are.
        done: Cells that are there.
        silent: How many of them express no gene of the model.
    """

    def __init__(self, out: Path, shape: tuple[int, int], identity: dict[str, Any]) -> None:
        self.folder = self.place(out)
        self.shape, self.identity = shape, identity
        self.done = self.silent = self._safe = 0
        self._marked = time.monotonic()

    @staticmethod
    def place(out: Path) -> Path:
        """Return the folder for the vectors of a file."""
        return out.with_name(f"{out.name}.partial")

    @classmethod
    def check(cls, out: Path, *, resume: bool, overwrite: bool) -> None:
        """Refuse to begin where another run left its vectors, unless it is said what becomes of them.

        Raises:
            OutputError: As said.
        """
        folder = cls.place(out)
        if folder.exists() and not (folder / _PROGRESS).is_file() and any(folder.iterdir()):
            raise OutputError(f"{folder}: stands there and was not left by embed. Rename it, or name another file.")
        if (folder / _PROGRESS).is_file() and not (resume or overwrite):
            raise OutputError(
                f"{folder}: holds what an interrupted run has embedded. Go on with {flag('resume')}, or begin anew "
                f"with {flag('overwrite')}."
            )

    @contextlib.contextmanager
    def opened(self, *, resume: bool, say: Callable[[str], None]) -> Iterator[PartialVectors]:
        """Go on with what is there, or begin; what the block raises leaves it for another run.

        Raises:
            OutputError: Another process writes to it, it is of other cells or another model, or cannot be written.
        """
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(exist_ok=True)
            lock = FileLock(self.folder / _LOCK)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(f"{self.folder}: another process writes to it. Wait, or name another file.") from error
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written ({error.strerror or error}).") from error
        try:
            if not (resume and self._go_on(say)):
                (self.folder / _VECTORS).unlink(missing_ok=True)
            self._check_space()
            with (self.folder / _VECTORS).open("ab") as self._file:
                self._file.truncate(self.done * self._row)
                self.mark()
                try:
                    yield self
                except OutputError as error:  # of the file that the vectors become part of, or of a mark
                    raise OutputError(f"{error} {self._left()}") from error
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written ({error.strerror or error}). {self._left()}"
            ) from error
        finally:
            lock.release()

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add the vectors of the next cells, in ascending order; cells that are left out get zeros."""
        self._append(self._filled(rows, vectors, int(rows[-1]) + 1))
        if time.monotonic() - self._marked > _EVERY:
            self.mark()

    def finish(self) -> None:
        """Fill up the end with zeros."""
        none = np.empty((0, self.shape[1]), np.float32)
        while self.done < self.shape[0]:
            self._append(self._filled(np.empty(0, np.int64), none, min(self.done + _STEP, self.shape[0])))
        self.mark()

    def mark(self) -> None:
        """Have the disk hold what was added, then note how much that is."""
        self._file.flush()
        os.fsync(self._file.fileno())
        state = {"cells": self.done, "silent": self.silent, "identity": self.identity}
        write_atomic(self.folder / _PROGRESS, json_text(state))
        self._safe, self._marked = self.done, time.monotonic()

    def parts(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Read the vectors, a part at a time, with the row of the first."""
        with (self.folder / _VECTORS).open("rb") as file:
            for first in range(0, self.shape[0], _STEP):
                count = min(_STEP, self.shape[0] - first)
                yield first, np.frombuffer(file.read(count * self._row), np.float32).reshape(count, -1)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _left(self) -> str:
        return (
            f"{self._safe:,} of {self.shape[0]:,} cells are embedded in {self.folder.name}: when that is mended, "
            f"the same with {flag('resume')} goes on."
        )

    @property
    def _row(self) -> int:
        return 4 * self.shape[1]

    def _filled(self, rows: NDArray[np.int64], vectors: NDArray[np.float32], stop: int) -> NDArray[np.float32]:
        whole = np.zeros((stop - self.done, self.shape[1]), np.float32)
        whole[rows - self.done] = vectors
        return whole

    def _append(self, whole: NDArray[np.float32]) -> None:
        self._file.write(whole.tobytes())
        self.done += len(whole)

    def _check_space(self) -> None:
        # Once here, and once in the file that they become part of.
        needed = self._row * (2 * self.shape[0] - self.done)
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OutputError(
                f"{self.folder}: its disk has {free / 1e9:,.1f} GB left and {needed / 1e9:,.1f} GB are needed. Free "
                "some space or choose another disk."
            )

    def _go_on(self, say: Callable[[str], None]) -> bool:
        progress = self.folder / _PROGRESS
        if not progress.is_file():
            say(f"{flag('resume')}: {self.folder} holds nothing to go on with; this run begins at its start.")
            return False
        state = json.loads(progress.read_text(encoding="utf-8"))
        theirs = state["identity"]
        other = sorted(key for key in {*theirs, *self.identity} if theirs.get(key) != self.identity.get(key))
        if other:
            raise OutputError(
                f"{self.folder}: was begun with another {', another '.join(other)}. Give what it was begun with, or "
                f"begin anew with {flag('overwrite')}."
            )
        there = (self.folder / _VECTORS).stat().st_size if (self.folder / _VECTORS).is_file() else 0
        if there < state["cells"] * self._row:
            raise OutputError(f"{self.folder}: is cut. Begin anew with {flag('overwrite')}.")
        self.done, self.silent = int(state["cells"]), int(state["silent"])
        say(f"{flag('resume')}: {self.done:,} of {self.shape[0]:,} cells are embedded already")
        return True
