"""A store on disk: what its folder holds, and how it is checked."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from scgraph.data.store.column import DiskColumn
from scgraph.data.vocabulary import Vocabulary
from scgraph.errors import DataError, ModelFileError
from scgraph.parsing import parse_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DTYPES", "FORMAT", "MANIFEST", "VOCABULARY", "DiskStore", "is_store", "open_store", "part"]

FORMAT = 1
MANIFEST, VOCABULARY = "manifest.json", "vocabulary.tsv"
DTYPES = {"indptr": "<i8", "genes": "<i4", "values": "<f4", "keys": "<u8"}
"""The four arrays of a shard, raw and little-endian; `indptr` starts at 0 in each."""

_CHUNK = 2**24
_Number = TypeVar("_Number", np.int32, np.float32)


def part(shard: int, array: str) -> str:
    """Return the name of the file of an array of a shard.

    >>> part(3, "genes")
    'shard-00003.genes'
    """
    return f"shard-{shard:05d}.{array}"


def is_store(path: object) -> bool:
    """Tell whether a path is a folder with the manifest of a store in it."""
    return isinstance(path, str | os.PathLike) and (Path(path) / MANIFEST).is_file()


@dataclass(frozen=True)
class DiskStore:
    """What `open_store` found: the arrays of all shards as one, and what the manifest says."""

    indptr: NDArray[np.int64]
    keys: NDArray[np.uint64]
    genes: DiskColumn[np.int32]
    values: DiskColumn[np.float32]
    vocabulary: Vocabulary
    manifest: dict[str, Any]


def open_store(path: str | Path, *, verify: bool = False) -> DiskStore:
    """Open a store: manifest, sizes, vocabulary and row starts are checked, with `verify` all checksums too.

    Raises:
        DataError: A file is missing, damaged, cut or of a newer version; names the file.
    """
    folder = Path(path)
    manifest = _manifest(folder)
    try:
        shards: list[dict[str, Any]] = [dict(shard) for shard in manifest["shards"]]
        counts = np.asarray([[int(shard["cells"]), int(shard["entries"])] for shard in shards], dtype=np.int64)
        counts = counts.reshape(len(shards), 2)
        for number, shard in enumerate(shards):
            for name in DTYPES:
                _check_file(folder / part(number, name), shard["files"][name], verify=verify)
        vocabulary = _vocabulary(folder / VOCABULARY, str(manifest["vocabulary"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / MANIFEST}: is damaged ({error!r}). Prepare the store again.") from error
    for number, (cells, entries) in enumerate(counts.tolist()):
        sizes = {"indptr": cells + 1, "genes": entries, "values": entries, "keys": cells}
        for name, size in sizes.items():
            if (folder / part(number, name)).stat().st_size != size * np.dtype(DTYPES[name]).itemsize:
                raise DataError(f"{folder / MANIFEST}: does not fit {part(number, name)}. Prepare the store again.")
    edges = np.concatenate([[0], np.cumsum(counts[:, 1])]).astype(np.int64)
    starts = [np.zeros(1, dtype=np.int64)]
    keys = [np.zeros(0, dtype=np.uint64)]
    for number, before in enumerate(edges[:-1].tolist()):
        starts.append(_row_starts(folder / part(number, "indptr"), int(counts[number, 1]))[1:] + before)
        keys.append(np.fromfile(folder / part(number, "keys"), dtype=DTYPES["keys"]).astype(np.uint64, copy=False))
    indptr = np.concatenate(starts)

    def column(name: str, kind: type[_Number]) -> DiskColumn[_Number]:
        paths = [folder / part(number, name) for number in range(len(shards))]
        return DiskColumn(paths, edges, np.dtype(kind).newbyteorder("<"), indptr[:-1])

    return DiskStore(
        indptr, np.concatenate(keys), column("genes", np.int32), column("values", np.float32), vocabulary, manifest
    )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder}: is no store of cells ({MANIFEST} is missing). Make one: scgraph prepare.")
    try:
        manifest = parse_json(path.read_text(encoding="utf-8"))
        version = int(manifest["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is damaged ({error!r}). Prepare the store again.") from error
    if version != FORMAT:
        raise DataError(
            f"{path}: is a store of format {version}, and this scgraph reads format {FORMAT} only: another version "
            "wrote it. Use that version, or prepare the store again."
        )
    return dict(manifest)


def _check_file(path: Path, entry: dict[str, Any], *, verify: bool) -> None:
    if not path.is_file():
        raise DataError(f"{path}: is missing. Copy the store again, or prepare it again.")
    size, expected = path.stat().st_size, int(entry["bytes"])
    if size != expected:
        raise DataError(f"{path}: has {size:,} bytes instead of {expected:,}. Copy the store again.")
    if verify:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != entry["sha256"]:
            raise DataError(f"{path}: its checksum is another one than when it was written. Copy the store again.")


def _vocabulary(path: Path, expected: str) -> Vocabulary:
    try:
        text = path.read_bytes()
        vocabulary = Vocabulary.from_tsv(text.decode("utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: is missing. Copy the store again, or prepare it again.") from None
    except (OSError, UnicodeDecodeError, ModelFileError) as error:
        raise DataError(f"{path}: is damaged ({error}). Copy the store again.") from error
    if hashlib.sha256(text).hexdigest() != expected:
        raise DataError(f"{path}: is not the vocabulary that the cells were written with. Copy the store again.")
    return vocabulary


def _row_starts(path: Path, entries: int) -> NDArray[np.int64]:
    """Read the row starts of a shard; the kernels rely on them."""
    indptr = np.fromfile(path, dtype=DTYPES["indptr"]).astype(np.int64, copy=False)
    if indptr[0] != 0 or indptr[-1] != entries or (np.diff(indptr) < 0).any():
        raise DataError(f"{path}: is damaged (its row starts fall, or end elsewhere). Copy the store again.")
    return indptr
