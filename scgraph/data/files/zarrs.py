"""zarr stores, a folder or a zip, opened for reading; nothing that a stranger wrote into them is run."""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from scgraph.data.files.hdf5 import check_there
from scgraph.data.files.storage import datasets_of
from scgraph.data.files.stored import damage
from scgraph.errors import DataError
from scgraph.memory import available_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["is_zarr", "open_zarr"]

_MARKS = (".zgroup", "zarr.json")


def is_zarr(path: Path) -> bool:
    """Tell a store by the marks of a folder, or by its name where it is a zip."""
    return path.name.endswith(".zip") or any((path / mark).is_file() for mark in _MARKS)


@contextmanager
def open_zarr(path: Path) -> Iterator[Any]:
    """Open the group of a store for reading; in a zip the group may lie in a folder.

    Raises:
        DataError: There is none, it is damaged, or it holds arrays that only running a stranger's code would read.
    """
    import zarr

    where, store, inside = str(path), None, ""
    try:
        with damage(where):
            if not path.is_dir():
                inside = _root_in_zip(path)
                store = zarr.storage.ZipStore(path, mode="r")
            group = zarr.open_group(path if store is None else store, mode="r", path=inside)
            _check_arrays(group, where)
        yield group
    finally:
        if store is not None:
            store.close()


def _root_in_zip(path: Path) -> str:
    check_there(path)
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: this is no zip file, or it is cut off. Copy it again.")
    with zipfile.ZipFile(path) as file:
        entries = file.infolist()
    largest = max((entry.file_size for entry in entries), default=0)
    if largest > available_memory():
        raise DataError(f"{path}: an entry of it takes {largest / 1e9:,.1f} GB, more than memory has free.")
    roots = [PurePosixPath(entry.filename).parent for entry in entries if entry.filename.endswith(_MARKS)]
    if not roots:
        raise DataError(f"{path}: there is no zarr in this zip file. Give the .zarr that anndata wrote, zipped or not.")
    root = str(min(roots, key=lambda one: len(one.parts)))
    return "" if root == "." else root


def _check_arrays(group: Any, where: str) -> None:
    """Refuse pickled values, which run code when they are read, and chunks that no memory holds."""
    for array in datasets_of(group):
        codecs = [*(getattr(array.metadata, "filters", None) or ()), getattr(array.metadata, "compressor", None)]
        if any(getattr(codec, "codec_id", "") == "pickle" for codec in codecs):
            raise DataError(f"{where}: {array.name} holds pickled values, which are not read. Write it with anndata.")
        chunk = array.dtype.itemsize
        for size in array.chunks:
            chunk *= int(size)
        if chunk > available_memory():
            raise DataError(f"{where}: a chunk of {array.name} takes {chunk / 1e9:,.1f} GB, more than memory has free.")
