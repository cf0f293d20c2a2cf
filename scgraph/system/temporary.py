"""Names of what is not finished: drawn at random, and with the process in them that alone may still need it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from functools import cache
from typing import TYPE_CHECKING

from scgraph.system.processes import is_gone, this_machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["is_temporary", "remove_leftovers", "temporary_beside", "work_folder"]

_NAME = re.compile(r"\..*\.([0-9a-f]{8})-([0-9]+)-([0-9a-f]{8})\.scgraph-tmp", re.DOTALL)
_LONGEST = 32  # letters of the name that is meant; a name of a file has 255 bytes
_drawn: set[str] = set()


def temporary_beside(path: Path) -> Path:
    """Return a name beside `path` for this process; whoever makes the file has to make it anew."""
    token = secrets.token_hex(4)
    _drawn.add(token)
    return path.with_name(f".{path.name[:_LONGEST]}.{_machine()}-{os.getpid()}-{token}.scgraph-tmp")


def is_temporary(name: str) -> bool:
    """Say whether the name of a file is one that `temporary_beside` gives, here or elsewhere."""
    return _NAME.fullmatch(name) is not None


@contextlib.contextmanager
def work_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` that nobody else may enter, and remove it at the end with all it holds.

    So nobody can lay a link where a file is going to be written.
    """
    folder = temporary_beside(path)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes of this machine that are gone have left in a folder.

    What belongs to a process that lives stays, and so does what another machine made: nobody here can tell.
    """
    for entry in list(os.scandir(folder)):
        match = _NAME.fullmatch(entry.name)
        if match is None or match[1] != _machine():
            continue
        # A number of a process is given again: in a fresh container this one may be that of the one that was killed.
        own = int(match[2]) == os.getpid()
        if match[3] in _drawn if own else not is_gone(int(match[2])):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):  # another process may be removing it too
                os.unlink(entry)  # noqa: PTH108 - an entry of a folder


@cache
def _machine() -> str:
    return hashlib.sha256(this_machine().encode()).hexdigest()[:8]
