"""Where the bytes of stored arrays lie, and whether there are as many as they claim: a stranger wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from scgraph.errors import DataError
from scgraph.memory import available_memory

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_claims", "check_fits", "check_inside", "check_room", "claimed_bytes", "datasets_of", "is_array"]

_DEFLATE = 1032
"""Most bytes that deflate makes of one (https://zlib.net/zlib_tech.html)."""

_SMALL = 2**20
_ZSTD = 2**15
"""The same of zstd: a block of 128 KiB of one value takes 4 (RFC 8878); lzf, szip, blosc and lz4 make fewer."""

_OTHERS = {h5py.h5z.FILTER_LZF, h5py.h5z.FILTER_SZIP, 32001, 32004, 32008, 32015}
_LOSSLESS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


def check_inside(file: h5py.File, where: str) -> None:
    """Refuse a file that takes values from other files: it would read, or copy, what its user did not give.

    Raises:
        DataError: It holds an external link, a dataset in external storage, or a virtual one of other files.
    """
    groups, seen = [file["/"]], set()
    while groups:
        group = groups.pop()
        for name in group:
            path = f"{group.name.rstrip('/')}/{name}"
            try:
                link = group.get(name, getlink=True)
            except TypeError:  # of a kind that is not HDF5's own
                raise DataError(_leaves(where, path, "a link of an unknown kind")) from None
            if isinstance(link, h5py.ExternalLink):
                raise DataError(_leaves(where, path, f"a link to {link.filename!r}"))
            if not isinstance(link, h5py.HardLink):
                continue
            try:
                entry = group[name]
                address = h5py.h5o.get_info(entry.id).addr
            except (KeyError, OSError, RuntimeError, ValueError):  # what cannot be opened is never read
                continue
            if address in seen:
                continue
            seen.add(address)
            if isinstance(entry, h5py.Group):
                groups.append(entry)
            elif isinstance(entry, h5py.Dataset):
                _check_dataset(entry, where, path)


def _check_dataset(entry: h5py.Dataset, where: str, path: str) -> None:
    if entry.external:
        raise DataError(_leaves(where, path, f"values in {entry.external[0][0]!r}"))
    sources = entry.virtual_sources() if entry.is_virtual else []
    others = [source.file_name for source in sources if source.file_name != "."]
    if others:
        raise DataError(_leaves(where, path, f"values in {others[0]!r}"))


def _leaves(where: str, path: str, what: str) -> str:
    return (
        f"{where}: {path} is {what}, outside of the file: not followed. Write all values into one file, for example by "
        "reading and writing it with anndata."
    )


def is_array(element: Any) -> bool:
    """Tell an array of HDF5 or zarr from a group."""
    return hasattr(element, "dtype")


def datasets_of(element: Any) -> list[Any]:
    """Return an array, or all arrays of a group and of the groups in it, of HDF5 or zarr."""
    if is_array(element):
        return [element]
    if not isinstance(element, h5py.Group):
        return [entry for _, entry in element.members(max_depth=None) if is_array(entry)]
    entries, datasets, seen = [element], [], set()
    while entries:
        entry = entries.pop()
        address = h5py.h5o.get_info(entry.id).addr
        if address in seen:
            continue
        seen.add(address)
        if isinstance(entry, h5py.Group):
            entries += [entry[name] for name in entry if name in entry]
        elif isinstance(entry, h5py.Dataset):
            datasets.append(entry)
    return datasets


def check_claims(datasets: Iterable[Any], where: str) -> None:
    """Refuse datasets of HDF5 that claim more values than their bytes can hold; nothing of them is read.

    Of zarr, which does not store chunks of zeros, see `scgraph.data.files.claims`.

    Raises:
        DataError: As said.
    """
    for dataset in datasets:
        if not isinstance(dataset, h5py.Dataset):
            continue
        claimed, held = claimed_bytes(dataset), _held(dataset)
        if claimed > max(held, _SMALL):
            raise DataError(
                f"{where}: {dataset.name} claims {dataset.size:,} values, but the file holds no more than "
                f"{held:,} of their {claimed:,} bytes. The file is damaged: write it again from its source."
            )


def check_fits(datasets: Iterable[Any], where: str) -> None:
    """Refuse to read at once what memory cannot hold; what lies in memory already needs none.

    Raises:
        DataError: As said.
    """
    check_room(sum(claimed_bytes(dataset) for dataset in datasets if not isinstance(dataset, np.ndarray)), where)


def check_room(needed: int, where: str) -> None:
    """Refuse to read a matrix that takes more bytes than memory has free.

    Raises:
        DataError: As said.
    """
    free = available_memory()
    if needed > free:
        raise DataError(
            f"{where}: its matrix takes {needed / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB are free. "
            "Write a store that is read from disk: scgraph prepare (one that is stored by gene, CSC, by row first)."
        )


def claimed_bytes(dataset: Any) -> int:
    """Return the bytes of all values that an array claims to have."""
    size = dataset.id.get_type().get_size() if isinstance(dataset, h5py.Dataset) else dataset.dtype.itemsize
    return int(dataset.size or 0) * int(size)


def _held(dataset: h5py.Dataset) -> int:
    """Most bytes of values that can come of what is stored."""
    if dataset.is_virtual:
        sources = {source.dset_name for source in dataset.virtual_sources()}
        inside = [dataset.file[name] for name in sources if name in dataset.file]
        return sum(_held(source) for source in inside if not source.is_virtual)
    stored = int(dataset.id.get_storage_size())
    if dataset.chunks is None:
        return stored
    chunk = int(dataset.id.get_type().get_size())
    for size in dataset.chunks:
        chunk *= int(size)
    written = int(dataset.id.get_num_chunks()) * chunk
    plist = dataset.id.get_create_plist()
    filters = {plist.get_filter(number)[0] for number in range(plist.get_nfilters())}
    if filters <= _LOSSLESS:
        return min(written, stored * (_DEFLATE if h5py.h5z.FILTER_DEFLATE in filters else 1))
    if filters <= _LOSSLESS | _OTHERS and len(filters - _LOSSLESS) == 1 and h5py.h5z.FILTER_DEFLATE not in filters:
        return min(written, stored * _ZSTD)
    return written
