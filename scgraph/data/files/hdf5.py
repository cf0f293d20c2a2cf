"""HDF5 files opened for reading, and the ways in which they cannot be."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py

from scgraph.data.files.storage import check_inside
from scgraph.data.files.stored import damage
from scgraph.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["check_there", "open_file"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FORMS = ".h5ad, .h5mu, 10x .h5, .mtx with its tables beside it, or .zarr"


def check_there(path: Path) -> bytes:
    """Return the first bytes of a file.

    Raises:
        DataError: There is no such file, it cannot be read, is empty, or stands for a file elsewhere.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        folder = path.parent
        near = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        guess = did_you_mean(path.name, near) if near else ""
        raise DataError(f"{where}: there is no such file.{guess if 'mean' in guess else ''}") from None
    except OSError as error:
        raise DataError(f"{where}: it cannot be read ({error.strerror}).") from error
    if not head:
        raise DataError(f"{where}: the file is empty. Copy it again.")
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{where}: this is a git-LFS pointer, not the data. Run git lfs pull.")
    return head


@contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises:
        DataError: There is no such file, or it is empty, of another format, cut, damaged or locked, or it takes
            values from other files.
    """
    where = str(path)
    head = check_there(path)
    if not head.startswith(_SIGNATURE) and not h5py.is_hdf5(path):
        packed = " It is packed with gzip: unpack it first." if head.startswith(b"\x1f\x8b") else ""
        raise DataError(f"{where}: this is not an HDF5 file, whatever its name says.{packed} Give {_FORMS}.")
    try:
        opened = h5py.File(path, "r")
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES) or re.search("lock file|for write", str(error)):
            raise DataError(
                f"{where}: another program writes to the file. Wait until it is done, or give a copy."
            ) from error
        cut = "is cut off" if "truncated" in str(error) else "is damaged"
        raise DataError(f"{where}: the file {cut} ({error}). Copy it again.") from error
    with opened:
        with damage(where):
            check_inside(opened, where)
        yield opened
