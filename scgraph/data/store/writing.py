"""Writing a store: shards one after another, the manifest last."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph import __version__
from scgraph.data.store.disk import DTYPES, FORMAT, MANIFEST, VOCABULARY, is_store, part
from scgraph.errors import OutputError
from scgraph.files import folder_atomic, json_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from scgraph.data.vocabulary import Vocabulary

__all__ = ["SHARD_CELLS", "StoreWriter", "new_store_folder"]

SHARD_CELLS = 2**18
"""Cells of a shard: 5 GB at 2,500 expressed genes a cell, and few enough files for 10⁸ cells."""

NORMALISATION = "log1p of counts per 10,000 over all genes of a cell"


def new_store_folder(out: str | Path, *, overwrite: bool) -> AbstractContextManager[Path]:
    """Give a folder to write a store into; it gets the name `out` when the block ends.

    Raises:
        OutputError: `out` stands there and is no store to be overwritten, or cannot be written.
    """
    return folder_atomic(out, overwrite=overwrite, ours=is_store)


class StoreWriter:
    """Writes the shards of a store into a folder, in the order in which the cells come.

    Args:
        folder: An empty folder, from `new_store_folder`.
        vocabulary: Genes of the store.
        shard_cells: Cells of a shard; the last may have fewer.
        out: The name that the folder will get, for messages.
    """

    def __init__(
        self,
        folder: Path,
        vocabulary: Vocabulary,
        *,
        shard_cells: int = SHARD_CELLS,
        out: str | Path | None = None,
    ) -> None:
        if shard_cells < 1:
            raise ValueError(f"shard_cells must be 1 or more, not {shard_cells}")
        self.folder = folder
        self.out = folder if out is None else out
        self.vocabulary = vocabulary
        self.shard_cells = shard_cells
        self.shards: list[dict[str, Any]] = []
        self._files: dict[str, _File] = {}
        self._cells = self._entries = 0
        self._sources: dict[int, None] = {}

    @property
    def cells(self) -> int:
        """Cells written so far."""
        return self._cells + sum(int(shard["cells"]) for shard in self.shards)

    def add(
        self,
        indptr: NDArray[np.int64],
        genes: NDArray[np.int32],
        values: NDArray[np.float32],
        keys: NDArray[np.uint64],
        *,
        source: int,
    ) -> None:
        """Write cells.

        Args:
            indptr: Row starts `[n + 1]`.
            genes: Vocabulary ids `[nnz]`, ascending in a row.
            values: Values `[nnz]`.
            keys: Hash of every cell `[n]`.
            source: Number of the file that they come from.

        Raises:
            OutputError: The disk is full or cannot be written.
        """
        try:
            start = 0
            while start < len(keys):
                stop = min(len(keys), start + self.shard_cells - self._cells)
                here = slice(int(indptr[start]), int(indptr[stop]))
                row_ends = indptr[start + 1 : stop + 1] - indptr[start] + self._entries
                self._write(row_ends, genes[here], values[here], keys[start:stop])
                self._sources[source] = None
                if self._cells == self.shard_cells:
                    self._close()
                start = stop
        except OSError as error:
            raise self._full(error) from error

    def finish(self, sources: Sequence[dict[str, Any]], notes: Sequence[str] = ()) -> dict[str, Any]:
        """Close the last shard, write vocabulary and manifest, and return the manifest.

        Args:
            sources: Where the cells come from, one entry a file, in the order of the cells.
            notes: What must be said aloud.

        Raises:
            OutputError: The disk is full or cannot be written.
        """
        try:
            if self._files:
                self._close()
            manifest = {
                "format": FORMAT,
                "scgraph": __version__,
                "cells": sum(shard["cells"] for shard in self.shards),
                "entries": sum(shard["entries"] for shard in self.shards),
                "genes": len(self.vocabulary),
                "vocabulary": self.vocabulary.sha256,
                "normalisation": NORMALISATION,
                "sources": list(sources),
                "notes": list(notes),
                "shards": self.shards,
            }
            (self.folder / VOCABULARY).write_bytes(self.vocabulary.to_tsv().encode())
            (self.folder / MANIFEST).write_bytes(json_text(manifest).encode())
        except OSError as error:
            raise self._full(error) from error
        return manifest

    def abandon(self) -> None:
        """Close what is open after an error."""
        for file in self._files.values():
            with contextlib.suppress(OSError):  # of a full disk, which takes the rest of the buffer no more either
                file.handle.close()

    def _full(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.out}: the store cannot be written ({error.strerror or error}). Free some space or choose another "
            "disk, then begin anew; nothing is left of it."
        )

    def _write(
        self,
        row_ends: NDArray[np.int64],
        genes: NDArray[np.int32],
        values: NDArray[np.float32],
        keys: NDArray[np.uint64],
    ) -> None:
        if not self._files:
            self._files = {name: _File(self.folder / part(len(self.shards), name)) for name in DTYPES}
            self._files["indptr"].write(np.zeros(1, dtype=np.int64), DTYPES["indptr"])
        for name, array in (("indptr", row_ends), ("genes", genes), ("values", values), ("keys", keys)):
            self._files[name].write(array, DTYPES[name])
        self._cells += len(keys)
        self._entries += len(genes)

    def _close(self) -> None:
        files = {name: file.close() for name, file in self._files.items()}
        self.shards.append(
            {"cells": self._cells, "entries": self._entries, "sources": list(self._sources), "files": files}
        )
        self._files, self._sources = {}, {}
        self._cells = self._entries = 0


class _File:
    """A file that knows the checksum of what was written."""

    def __init__(self, path: Path) -> None:
        self.handle: BinaryIO = path.open("xb")
        self.digest = hashlib.sha256()
        self.bytes = 0

    def write(self, array: NDArray[Any], dtype: str) -> None:
        content = np.ascontiguousarray(array, dtype=dtype).data.cast("B") if len(array) else b""
        self.handle.write(content)
        self.digest.update(content)
        self.bytes += len(content)

    def close(self) -> dict[str, Any]:
        self.handle.close()
        return {"bytes": self.bytes, "sha256": self.digest.hexdigest()}
