"""How many values of an array of zarr lie in its files; nothing of them is read."""

from __future__ import annotations

import os
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

__all__ = ["entries_held", "is_zarr_array", "values_missing"]

_RATIO = 2**15
"""Most bytes that zstd makes of one: a block of 128 KiB of one value takes 4 (RFC 8878, 3.1.1.2). blosc, gzip and lz4
make fewer."""

_KNOWN = ("zstd", "blosc", "gzip", "zlib", "lz4")
_METADATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")


def is_zarr_array(array: Any) -> bool:
    """Tell an array of zarr from one of HDF5 or numpy."""
    return not isinstance(array, h5py.Dataset | np.ndarray)


def values_missing(array: Any) -> int:
    """Return the fewest values of an array that lie in chunks of which there is no file."""
    files = len(_files(array))
    # The last chunk along an axis may reach beyond the array; which ones are missing is not asked.
    return max(0, int(array.size) - files * prod(map(int, array.shards or array.chunks)))


def entries_held(array: Any) -> int:
    """Return the most values that the bytes of its files can give, the size it claims where that is not known."""
    size = int(array.size)
    filters = [type(one).__name__.lower() for one in getattr(array, "filters", ())]
    codecs = [type(one).__name__.lower() for one in getattr(array, "compressors", ())]
    text = array.dtype.kind in "OTU" and array.dtype.itemsize > 1
    known = all(any(name in codec for name in _KNOWN) for codec in codecs) and len(codecs) <= 1
    if not known or any("vlen" not in name for name in filters):
        return size
    stored = sum(_files(array))
    # A text takes four bytes, its length, and its letters.
    width = 4 if text else int(array.dtype.itemsize)
    return min(size, stored * (_RATIO if codecs else 1) // width)


def _files(array: Any) -> list[int]:
    """Return the bytes of each file with values of an array, in a folder or a zip; of other stores nothing is known."""
    store, inside = array.store_path.store, str(array.path).strip("/")
    if isinstance(root := getattr(store, "root", None), str | os.PathLike):
        found = (Path(root) / inside).rglob("*")
        return [entry.stat().st_size for entry in found if entry.name not in _METADATA and entry.is_file()]
    with zipfile.ZipFile(store.path) as file:
        return [
            entry.file_size
            for entry in file.infolist()
            if entry.filename.startswith(f"{inside}/") and entry.filename.rpartition("/")[2] not in _METADATA
        ]
