"""The journal of a study: one line of JSON an operation, appended under a lock, mended where a kill tore it.

Optuna's reader fails for ever on a journal whose last line was torn and then written on, and takes half a minute to get
over a lock whose holder is dead. Here a torn end is put aside before anything is appended, damage is mended when a
study is opened, and a lock left behind is removed.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scgraph.errors import DataError, OutputError, argument
from scgraph.files import write_atomic
from scgraph.parsing import parse_json
from scgraph.system.locks import FileGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from optuna.storages.journal import JournalFileBackend

__all__ = [
    "JournalLock",
    "StorageError",
    "mend_journal",
    "open_journal",
]

LEFT_BEHIND_AFTER = 2.0
"""Seconds an operation is never locked for: it is one line."""


class JournalLock:
    """Optuna's lock file, taken by one process of ours at a time.

    The lock of the operating system on a file beside (``.guard``) ends with its process, so among ours nothing is
    left behind. Optuna's own lock file is then made as Optuna makes it, for its tools. While the guard is held,
    a lock file that stays belongs to nobody: its holder was killed.

    Args:
        path: the journal.
        say: told when a lock left behind was removed.
    """

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self.lock = path.with_name(path.name + ".lock")
        self.guard = FileGuard(path.with_name(path.name + ".guard"))
        self.say = say

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        self.guard.acquire()
        try:
            since = time.monotonic()
            while True:
                try:
                    self.lock.symlink_to(self.path)
                    return True
                except FileExistsError:
                    if time.monotonic() - since > LEFT_BEHIND_AFTER:
                        self.lock.unlink(missing_ok=True)
                        self.say(f"{self.lock}: was left behind by a process that is gone; removed.")
                    time.sleep(0.005)
        except BaseException:
            self.guard.release()
            raise

    def release(self) -> None:
        """Give the lock back."""
        self.lock.unlink(missing_ok=True)
        self.guard.release()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock."""
        self.acquire()
        try:
            yield
        finally:
            self.release()


def open_journal(path: Path, say: Callable[[str], None] = lambda _: None) -> JournalFileBackend:
    """Return Optuna's journal file with a lock that nobody can leave behind, which is never appended to a torn line."""
    from optuna.storages.journal import JournalFileBackend

    lock = JournalLock(path, say)

    class Journal(JournalFileBackend):
        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
            with lock.held():
                _cut_torn_end(path, say)
                try:
                    _append(path, text.encode())
                except OSError as error:
                    _cut_torn_end(path, say)
                    raise StorageError(f"{path}: cannot be written ({error.strerror or error}).") from error

    return Journal(str(path))


def mend_journal(path: Path, say: Callable[[str], None] = lambda _: None) -> None:
    """Put what is no operation of Optuna aside, into a file beside, and keep every line that is one.

    A line may be damaged by a kill in the middle of writing it (torn, or with the next one behind it), by a power cut
    (NULs), or by hand. Its end is kept where that is a whole operation. A journal without damage is left as it is.

    Args:
        path: the journal; it need not exist.
        say: told what was mended.

    Raises:
        DataError: the file is no journal, or what is damaged is needed by what follows it; nothing is changed.
        OutputError: it cannot be read or written.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise OutputError(
            f"{path}: is a folder, and the journal of a study is a file. Name one in {argument('storage')}."
        )
    try:
        with JournalLock(path, say).held():
            content = path.read_bytes()
            whole, bad = _sorted_out(content)
            if not bad:
                return
            if not whole:
                raise DataError(
                    f"{path}: is no journal of a study. Name another file in {argument('storage')}; this one is "
                    "untouched."
                )
            _check_whole(path, whole)
            pieces = [piece for _, piece in bad if piece]
            aside = path.with_name(f"{path.name}.bad-{datetime.now(UTC):%Y%m%d-%H%M%S}")
            if pieces:
                write_atomic(aside, b"\n".join(pieces))
            write_atomic(path, b"".join(whole))
    except OSError as error:
        raise OutputError(f"{path}: cannot be read or mended ({error.strerror or error}).") from error
    if not pieces:
        say(f"{path}: mended. The last line had no end; all {len(whole):,} operations are kept.")
        return
    first = next(number for number, piece in bad if piece)
    say(
        f"{path}: mended. {sum(map(len, pieces)):,} bytes that are no operation (line {first:,}"
        + (f" and {len(pieces) - 1:,} more" if len(pieces) > 1 else "")
        + f") were put aside into {aside.name}; {len(whole):,} operations are kept."
    )


def _sorted_out(content: bytes) -> tuple[list[bytes], list[tuple[int, bytes]]]:
    """Return the whole lines, and the rest with the numbers of their lines, counted from 1."""
    whole: list[bytes] = []
    bad: list[tuple[int, bytes]] = []
    for number, line in enumerate(_lines(content), 1):
        if line.endswith(b"\n") and _is_operation(line):
            whole.append(line)
            continue
        if _is_operation(line):  # whole but for its newline
            whole.append(line + b"\n")
            bad.append((number, b""))
            continue
        start = line.find(b'{"op_code"', 1)
        while start > 0 and not (line.endswith(b"\n") and _is_operation(line[start:])):
            start = line.find(b'{"op_code"', start + 1)
        bad.append((number, line[: start if start > 0 else None]))
        if start > 0:
            whole.append(line[start:])
    return whole, bad


def _lines(content: bytes) -> list[bytes]:
    # bytes.splitlines also ends a line at a carriage return, which may stand in garbage.
    pieces = content.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _is_operation(line: bytes) -> bool:
    try:
        operation = parse_json(line)
    except ValueError:
        return False
    return isinstance(operation, dict) and isinstance(operation.get("op_code"), int) and "worker_id" in operation


def _check_whole(path: Path, whole: list[bytes]) -> None:
    """Refuse where a study or trial that a later operation names is missing: numbers are places in the journal."""
    from optuna.storages.journal._storage import JournalOperation as Operation

    studies = trials = 0
    for line in whole:
        operation = json.loads(line)
        known = operation.get("study_id", -1) < studies and operation.get("trial_id", -1) < trials
        if not known:
            raise DataError(
                f"{path}: is damaged, and an operation that is lost is needed by later ones. Restore a copy of the "
                "file, or start a study in another place; this one is untouched."
            )
        studies += operation["op_code"] == Operation.CREATE_STUDY
        trials += operation["op_code"] == Operation.CREATE_TRIAL


def _cut_torn_end(path: Path, say: Callable[[str], None]) -> None:
    """Put an end without newline aside; its writer is gone, as the caller holds the lock."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        keep = _end_of_last_line(file, size)
        file.seek(keep)
        torn = file.read()
        if _is_operation(torn):
            file.write(b"\n")
            return
        aside = path.with_name(f"{path.name}.bad-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
        write_atomic(aside, torn)
        file.truncate(keep)
    say(f"{path}: a line that was torn by a kill was put aside into {aside.name}.")


def _end_of_last_line(file: Any, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - 65_536)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return int(start + newline + 1)
        end = start
    return 0


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


class StorageError(OutputError):
    """The storage of a study cannot be used; no trial is at fault."""
