"""Vectors that are being written: a folder beside the file that they become part of, which a killed run leaves."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.errors import OutputError, argument, flag
from scgraph.files import json_text, write_atomic
from scgraph.system.temporary import is_temporary
from scgraph.train.parts import parts_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scgraph.train.parts import Part

__all__ = ["PartialVectors", "opened"]

_VECTORS, _PROGRESS, _LOCK = "vectors.f32", "progress.json", "lock"
_EVERY = 1.0
"""Seconds between two marks of how far the vectors are safe on the disk."""

_STEP = 2**16


class PartialVectors:
    """The vectors of cells that follow each other, float32 `[n, C]` in their order, safe on the disk up to `done`.

    Args:
        out: The file that they become part of.
        shape: Cells of the file and channels C.
        identity: Of the cells, the model and all that makes a difference: a run goes on only with the same.
        part: Which part of the cells; None for all.

    Attributes:
        folder: Where they are.
        rows: Rows of the file that are wanted.
        done: How many of them are there.
        silent: How many of these express no gene of the model.
    """

    def __init__(
        self, out: Path, shape: tuple[int, int], identity: dict[str, Any], *, part: Part | None = None
    ) -> None:
        from filelock import FileLock

        self.out, self.part = out, part
        self.folder = self.place(out, part)
        self.rows = range(shape[0]) if part is None else part.rows(shape[0])
        self.channels, self.identity = shape[1], identity
        self.done = self.silent = self.safe = 0
        self._marked = time.monotonic()
        self._lock = FileLock(self.folder / _LOCK)

    @staticmethod
    def place(out: Path, part: Part | None = None) -> Path:
        """Return the folder for the vectors of a file, or of a part of its cells."""
        return out.with_name(f"{out.name}.partial") if part is None else part.place(out)

    @classmethod
    def check(cls, out: Path, part: Part | None, *, resume: bool, overwrite: bool) -> list[Part | None]:
        """Refuse to begin where another run left its vectors, unless it is said what becomes of them.

        Returns:
            What is to be embedded: the part that is wanted, or None for all cells. Where all are wanted and parts are
            there, these parts: what is embedded of them is taken up, whatever else is said.

        Raises:
            OutputError: As said.
        """
        there, whole = parts_beside(out), cls.place(out)
        if (whole / _PROGRESS).is_file() and (part or there):
            raise OutputError(
                f"{whole}: holds what a run over all cells has embedded, and parts are "
                f"{'asked for' if part else 'there as well'}. Go on without {argument('part')}, or remove the one or "
                "the other."
            )
        if part and there and part not in there:
            raise OutputError(
                f"{out}: stands beside folders of {len(there)} parts, and {part} is none of these. Name as many, or "
                "remove the folders."
            )
        joins = part is None and bool(there)
        wanted: list[Part | None] = [*there] if joins else [part]
        for folder in (cls.place(out, one) for one in wanted):
            begun = (folder / _PROGRESS).is_file()
            if folder.exists() and not begun and not all(_is_ours(entry.name) for entry in folder.iterdir()):
                raise OutputError(f"{folder}: stands there and was not left by embed. Rename it, or name another file.")
            if begun and not (joins or resume or overwrite):
                raise OutputError(
                    f"{folder}: holds what an interrupted run has embedded. Go on with {flag('resume')}, or begin anew "
                    f"with {flag('overwrite')}."
                )
        return wanted

    def state(self) -> dict[str, Any] | None:
        """Return what a run has left: cells, those of them that are silent, identity; None for nothing."""
        progress = self.folder / _PROGRESS
        return dict(json.loads(progress.read_text(encoding="utf-8"))) if progress.is_file() else None

    @contextlib.contextmanager
    def appending(self) -> Iterator[PartialVectors]:
        """Open it for `add`.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            with (self.folder / _VECTORS).open("ab") as self._file:
                self._file.truncate(self.done * self._row)
                self.mark()
                yield self
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written ({error.strerror or error}).") from error

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add the vectors of the next rows of the file, ascending; cells that are left out get zeros."""
        rows = rows - self.rows.start
        self._append(self._filled(rows, vectors, int(rows[-1]) + 1))
        if time.monotonic() - self._marked > _EVERY:
            self.mark()

    def finish(self) -> None:
        """Fill up the end with zeros."""
        none = np.empty((0, self.channels), np.float32)
        while self.done < len(self.rows):
            self._append(self._filled(np.empty(0, np.int64), none, min(self.done + _STEP, len(self.rows))))
        self.mark()

    def mark(self) -> None:
        """Have the disk hold what was added, then note how much that is."""
        self._file.flush()
        os.fsync(self._file.fileno())
        state = {"cells": self.done, "silent": self.silent, "identity": self.identity}
        write_atomic(self.folder / _PROGRESS, json_text(state))
        self.safe, self._marked = self.done, time.monotonic()

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Read the vectors, some at a time, with the row of the first."""
        with (self.folder / _VECTORS).open("rb") as file:
            for first in range(0, len(self.rows), _STEP):
                count = min(_STEP, len(self.rows) - first)
                block = np.frombuffer(file.read(count * self._row), np.float32)
                yield self.rows.start + first, block.reshape(count, self.channels)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing to it.

        Raises:
            OutputError: One does already, or the folder cannot be written.
        """
        from filelock import Timeout

        try:
            self.folder.mkdir(exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(f"{self.folder}: another process writes to it. Wait, or name another file.") from error
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written ({error.strerror or error}).") from error
        try:
            yield
        finally:
            self._lock.release()

    def begin(self, *, resume: bool) -> bool:
        """Go on with what is there, or begin; return which.

        Raises:
            OutputError: It is of other cells or another model, or its disk is too full.
        """
        goes_on = resume and self._go_on()
        if not goes_on:
            (self.folder / _VECTORS).unlink(missing_ok=True)
        self._check_space()
        return goes_on

    def check_identity(self, state: dict[str, Any]) -> None:
        """Refuse what a run has left here of other cells, another model or with other settings.

        Raises:
            OutputError: Names what differs.
        """
        theirs = state["identity"]
        other = sorted(key for key in {*theirs, *self.identity} if theirs.get(key) != self.identity.get(key))
        if other:
            anew = f"begin anew with {flag('overwrite')}" if self.part is None else "remove the folders of all parts"
            raise OutputError(
                f"{self.folder}: was begun with another {', another '.join(other)}. Give what it was begun with, or "
                f"{anew}."
            )

    @property
    def _row(self) -> int:
        return 4 * self.channels

    def _filled(self, rows: NDArray[np.int64], vectors: NDArray[np.float32], stop: int) -> NDArray[np.float32]:
        whole = np.zeros((stop - self.done, self.channels), np.float32)
        whole[rows - self.done] = vectors
        return whole

    def _append(self, whole: NDArray[np.float32]) -> None:
        self._file.write(whole.tobytes())
        self.done += len(whole)

    def _check_space(self) -> None:
        # Once here, and once in the file that they become part of.
        needed = self._row * (2 * len(self.rows) - self.done)
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OutputError(
                f"{self.folder}: its disk has {free / 1e9:,.1f} GB left and {needed / 1e9:,.1f} GB are needed. Free "
                "some space or choose another disk."
            )

    def _go_on(self) -> bool:
        state = self.state()
        if state is None:
            return False
        self.check_identity(state)
        vectors = self.folder / _VECTORS
        if (vectors.stat().st_size if vectors.is_file() else 0) < state["cells"] * self._row:
            anew = "" if self.part is None else f"{argument('part', self.part)} and "
            raise OutputError(f"{self.folder}: is cut. Begin anew with {anew}{flag('overwrite')}.")
        self.done = self.safe = int(state["cells"])
        self.silent = int(state["silent"])
        return True


@contextlib.contextmanager
def opened(partials: Sequence[PartialVectors], *, resume: bool, say: Callable[[str], None]) -> Iterator[None]:
    """Go on with what is there, or begin; what the block raises leaves it for another run.

    Args:
        partials: All cells, one part of them, or all parts.
        resume: Go on with what is there.
        say: Told what is there.

    Raises:
        OutputError: Another process writes to them, they are of other cells, other models or made with other settings,
            or cannot be written.
    """
    cells = sum(len(one.rows) for one in partials)
    with contextlib.ExitStack() as locks:
        for one in partials:
            locks.enter_context(one.locked())
        _check_alike(partials)
        try:
            goes_on = [one.begin(resume=resume) for one in partials]
        except OSError as error:
            raise OutputError(f"{partials[0].folder}: cannot be written ({error.strerror or error}).") from error
        what = flag("resume") if len(partials) == 1 else f"{len(partials)} parts"
        if any(goes_on):
            say(f"{what}: {sum(one.done for one in partials):,} of {cells:,} cells are embedded already")
        elif resume:
            say(f"{what}: {partials[0].folder} holds nothing to go on with; this run begins at its start.")
        try:
            yield
        except OutputError as error:  # of the file that the vectors become part of, or of a mark
            where = partials[0].folder.name if len(partials) == 1 else f"{len(partials)} parts"
            raise OutputError(
                f"{error} {sum(one.safe for one in partials):,} of {cells:,} cells are embedded in {where}: when that "
                f"is mended, the same with {flag('resume')} goes on."
            ) from error


def _check_alike(partials: Sequence[PartialVectors]) -> None:
    """Refuse parts that do not belong together, before one of them is computed."""
    first = partials[0]
    if first.part is None:
        return
    states = [one.state() for one in partials]
    if all(state is not None and state["cells"] == len(one.rows) for state, one in zip(states, partials, strict=True)):
        # Nothing is left to compute here, so what this machine computes with makes no difference.
        assert states[0] is not None
        for one in partials:
            one.identity = one.identity | {"device": states[0]["identity"].get("device")}
    for part in set(parts_beside(first.out)) - {one.part for one in partials}:
        sibling = PartialVectors(first.out, (0, first.channels), first.identity, part=part)
        state = sibling.state()
        if state is not None:
            sibling.check_identity(state)


def _is_ours(name: str) -> bool:
    return name in (_VECTORS, _PROGRESS, _LOCK) or is_temporary(name)
