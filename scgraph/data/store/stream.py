"""The cells of a store in blocks, as `scgraph.data.files.stream.CellStream` gives those of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.forms import file_sha256
from scgraph.data.files.stream import row_runs
from scgraph.data.store.disk import MANIFEST
from scgraph.data.store.store import CellStore
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from scgraph.data.cells import Cells

__all__ = ["StoreStream"]


class StoreStream:
    """Cells of a store that `scgraph prepare` wrote, a block at a time.

    Args:
        path: Folder of the store.

    Attributes:
        path: The folder.
        store: The store.
        layer: None: a store has one matrix.
        obs_names: Number of each cell `[n_obs]`; a store knows no names.
        counted: Which cells have a value `[n_obs]`.
        symbols: Gene symbols, `""` where unknown.
        ensembl: Ensembl ids, `""` where unknown.
        name: Name of the folder.
        notes: Nothing: what there was to say was said when it was written.
        manifest: Where the cells come from.

    Raises:
        DataError: A file of the store is missing, damaged or of a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.store = CellStore.open(self.path)
        self.layer: str | None = None
        self.name = self.path.name
        self.notes: tuple[str, ...] = ()
        self.obs_names = np.arange(len(self.store)).astype(np.str_)
        self.counted = np.diff(self.store.indptr) > 0
        self.symbols = np.asarray(self.store.vocabulary.symbols, dtype=np.str_)
        self.ensembl = np.asarray(self.store.vocabulary.ensembl, dtype=np.str_)
        self._written = self._last_change()
        self.manifest: dict[str, Any] = {
            "source": str(self.path),
            # The manifest holds the checksums of all files.
            "sha256": file_sha256(self.path / MANIFEST),
            "cells": len(self.store),
        }

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.store)

    def check_unchanged(self) -> None:
        """Refuse a store that was written anew since it was opened.

        Raises:
            DataError: As said.
        """
        if self._last_change() != self._written:
            raise DataError(f"{self.path}: was changed while it was read. Start again when it is finished.")

    def expressed(self) -> NDArray[np.int64]:
        """Count the cells that express each gene `[n_genes]`."""
        return self._added(weighted=False).astype(np.int64)

    def sums(self) -> NDArray[np.float64]:
        """Add up the values of each gene `[n_genes]`."""
        return self._added(weighted=True)

    def obs(self) -> pd.DataFrame:
        """Return a table of the cells: their numbers, and the file that each came from where that is known."""
        import pandas as pd

        table = pd.DataFrame(index=pd.Index(self.obs_names.tolist()))
        origin = self.store.origin
        if origin is not None:
            names = [Path(file).name for file in origin.files]
            codes = np.repeat(np.arange(len(names)), np.diff(origin.starts))
            table["source"] = np.asarray(names, dtype=object)[codes]
            table["source"] = table["source"].astype("category")
        return table

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.int64]]:
        """Cut the cells that have a value into blocks, from the row `start` on up to `stop`."""
        end = len(self.store) if stop is None else stop
        for first, last in row_runs(self.store.indptr[: end + 1], start):
            rows = first + np.flatnonzero(self.counted[first:last])
            if len(rows):
                yield rows

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Cells]:
        """Read the cells that have a value, block by block, in their order.

        Args:
            start: First row that is wanted.
            stop: The row that ends what is wanted, or None for the end of the store.
        """
        for rows in self.rows(start, stop):
            cells = self.store.subset(rows).cells()
            yield replace(cells, obs_names=self.obs_names[rows], rows=rows, manifest=self.manifest)

    def _last_change(self) -> int:
        return (self.path / MANIFEST).stat().st_mtime_ns

    def _added(self, *, weighted: bool) -> NDArray[np.float64]:
        total = np.zeros(len(self.symbols) + 1, dtype=np.float64)
        for rows in self.rows():
            _, genes, values = self.store.entries(rows)
            total += np.bincount(genes, weights=values if weighted else None, minlength=len(total))
        return total[1:]
