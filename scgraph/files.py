"""Writing files so that a kill at any moment leaves the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.errors import OutputError, ScgraphError, flag
from scgraph.system.temporary import is_temporary, remove_leftovers, temporary_beside, work_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import h5py
    import pandas as pd

__all__ = [
    "check_grows",
    "check_hdf5_grows",
    "check_new_file",
    "check_new_folder",
    "check_writable",
    "file_atomic",
    "file_name",
    "folder_atomic",
    "json_text",
    "output_folder",
    "prepare_output_folder",
    "table_bytes",
    "write_atomic",
]


_MARKS = 2**16
"""Bytes that the names and marks of an .h5ad file take, and more."""


def write_atomic(path: str | Path, data: bytes | str) -> None:
    """Write `data` to `path`: beside it first, synced to the disk, then renamed over it.

    Args:
        path: the file to create or replace; its folder must exist.
        data: the whole content; text is written as UTF-8.

    Raises:
        OutputError: the disk is full, the folder is read-only or missing; the old file is untouched.
    """
    path = Path(path)
    # A name of a file that is no UTF-8 has halves of characters in it; they are written out.
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    beside = temporary_beside(path)
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({_reason(error)}).") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def file_atomic(path: str | Path) -> Iterator[Path]:
    """Give a path to write a file to that gets the name `path` when the block ends, synced to the disk.

    For files that another library writes by their path. Where the block raises, a file of that name is untouched.

    Args:
        path: the file to create or replace; its folder must exist.

    Yields:
        A path of the same name in a folder that nobody else may enter, where nothing is yet.

    Raises:
        OutputError: the file cannot be written; also in place of an `OSError` of the block, which only writes.
    """
    path = Path(path)
    try:
        remove_leftovers(path.parent)
        with work_folder(path) as folder:
            beside = folder / path.name
            yield beside
            _sync(beside)
            beside.replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({_reason(error)}).") from error


@contextlib.contextmanager
def folder_atomic(path: str | Path, *, overwrite: bool, ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Give a folder to write into that gets the name `path` when the block ends, synced to the disk.

    A kill at any moment leaves nothing under that name that was not there before (an overwritten folder may be
    gone); what it leaves beside is removed by the next call in that place. Of two calls for one name at once the
    first to end gets it, and the other one its error.

    Args:
        path: the folder to create; its parents are created where missing.
        overwrite: replace a folder of that name.
        ours: tells whether a folder that stands there may be replaced.

    Yields:
        An empty folder beside `path`.

    Raises:
        OutputError: `path` stands there and may not be replaced, or cannot be written; said before the block runs
            where it can be.
    """
    folder = Path(path).expanduser().absolute()
    check_new_folder(folder, overwrite=overwrite, ours=ours)
    with contextlib.ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder.parent)
            work = stack.enter_context(work_folder(folder))
            new = work / "new"
            new.mkdir()
        except OSError as error:
            raise OutputError(f"{folder}: cannot be used for output ({_reason(error)}).") from error
        yield new
        check_new_folder(folder, overwrite=overwrite, ours=ours)  # by another process, meanwhile
        try:
            for entry in new.iterdir():
                _sync(entry)
            _sync_folder(new)
            if overwrite and folder.exists():
                folder.replace(work / "old")
            new.replace(folder)
            _sync_folder(folder.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another process came first by a moment
                check_new_folder(folder, overwrite=overwrite, ours=ours)
            raise OutputError(f"{folder}: cannot be written ({_reason(error)}).") from error


def check_new_folder(folder: Path, *, overwrite: bool, ours: Callable[[Path], bool]) -> None:
    """Refuse the name of a folder that holds something, unless it may be replaced.

    Args:
        folder: what `folder_atomic` will be given.
        overwrite: replace a folder of that name.
        ours: tells whether a folder that stands there may be replaced.

    Raises:
        OutputError: As said.
    """
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise OutputError(f"{folder}: stands there already. Choose another folder, or say {flag('overwrite')}.")
        if not ours(folder):
            raise OutputError(f"{folder}: holds other files and is not replaced. Choose another folder.")
    elif folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, and a folder is needed. Choose another place for the output.")


def prepare_output_folder(
    path: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    owned: Iterable[str] = (),
    needed_bytes: int = 2**20,
) -> Path:
    """Create the folder for results, or say before any work starts why it cannot be used.

    A real file of a few bytes is written and removed: permission bits do not tell the truth to root
    or on a read-only mount. Left-overs of a killed write are removed.

    Args:
        path: the folder; it and its parents are created where missing.
        overwrite: accept a folder with files in it and remove those named in `owned`; others stay.
        resume: accept a folder with files in it and remove nothing.
        owned: glob patterns, relative to the folder, of what scgraph itself writes there. The order
            is the order of removal.
        needed_bytes: what the work is going to write, compared with the free space.

    Returns:
        The folder as an absolute path.

    Raises:
        OutputError: `path` is a file, is not empty, is read-only, or its disk is too full.
    """
    folder = Path(path).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, and a folder is needed. Choose another place for the output.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink() and not is_temporary(entry.name):
                remove_leftovers(entry)
        occupied = sorted(entry.name for entry in folder.iterdir() if not is_temporary(entry.name))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be used for output ({_reason(error)}).") from error
    if occupied and not (overwrite or resume):
        shown = ", ".join(occupied[:3]) + (", ..." if len(occupied) > 3 else "")
        raise OutputError(
            f"{folder}: already holds files ({shown}). Choose another folder, or say {flag('overwrite')} to "
            "replace what scgraph wrote there."
        )
    check_writable(folder)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OutputError(
            f"{folder}: its disk has {free / 2**20:,.0f} MiB left and {needed_bytes / 2**20:,.0f} MiB are "
            "needed. Free some space or choose another disk."
        )
    if overwrite and not resume:
        _remove_owned(folder, owned)
    return folder


@contextlib.contextmanager
def output_folder(
    path: str | Path | None, *, overwrite: bool = False, owned: Iterable[str] = (), worth_keeping: str | None = None
) -> Iterator[Path | None]:
    """Prepare the folder for results of work that is done in one go; one that it created goes if the work is refused.

    Args:
        path: the folder; None: nothing is written, and None is given.
        overwrite: see `prepare_output_folder`.
        owned: see `prepare_output_folder`.
        worth_keeping: name of a file with which the folder stays nevertheless.

    Raises:
        OutputError: see `prepare_output_folder`.
    """
    if path is None:
        yield None
        return
    is_new = not Path(path).expanduser().exists()
    folder = prepare_output_folder(path, overwrite=overwrite, owned=owned)
    try:
        yield folder
    except ScgraphError:
        if is_new and not (worth_keeping and (folder / worth_keeping).exists()):
            shutil.rmtree(folder)
        raise


def file_name(text: str) -> str:
    """Return a text as part of the name of a file: letters, digits and ``-_.`` stay, all else becomes ``-``."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)


def json_text(value: Any) -> str:
    """Render `value` as indented JSON with a final newline, keys in the order given."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _remove_owned(folder: Path, owned: Iterable[str]) -> None:
    try:
        for pattern in owned:
            for entry in sorted(folder.glob(pattern)):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
    except OSError as error:
        raise OutputError(f"{folder}: old files cannot be removed ({_reason(error)}).") from error


def check_new_file(path: Path, *, overwrite: bool) -> None:
    """Refuse the name of a file that stands there already or has no folder.

    Raises:
        OutputError: As said.
    """
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: stands there already; name another file or add {flag('overwrite')}.")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise OutputError(f"{path}: the folder {folder.name!r} does not exist.")


def check_writable(folder: Path) -> None:
    """Write a few bytes into a folder and remove them.

    Raises:
        OutputError: It cannot be written to.
    """
    trial = temporary_beside(folder / "write-test")
    try:
        with trial.open("xb") as file:
            file.write(b"scgraph")
        trial.unlink()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written to ({_reason(error)}).") from error


def check_grows(path: str | Path, size: int) -> None:
    """Refuse to have HDF5 write a file of so many bytes where the disk has no room for them at this moment.

    HDF5 does not recover from a write that a full disk refuses: the process crashes when it ends. So the bytes are
    set aside once, and given back, before it writes.

    Raises:
        OSError: the disk has no room for them.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    handle = os.open(path, os.O_WRONLY)
    try:
        before = os.fstat(handle).st_size
        try:
            os.posix_fallocate(handle, 0, max(size, before))
        finally:
            os.ftruncate(handle, before)
    finally:
        os.close(handle)


def check_hdf5_grows(file: h5py.File, size: int) -> None:
    """Refuse to add so many bytes to a file that is open where its disk has no room for them; see `check_grows`.

    Raises:
        OSError: the disk has no room for them.
    """
    file.flush()
    check_grows(file.filename, Path(file.filename).stat().st_size + size + _MARKS)


def table_bytes(*tables: pd.DataFrame) -> int:
    """Return about how many bytes tables take in a file, which is what they take in memory."""
    return sum(int(table.memory_usage(deep=True).sum()) for table in tables)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # Windows cannot open a folder; there the rename is as durable as the system makes it.
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
