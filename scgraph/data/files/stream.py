"""The cells of a file in blocks, so that it may be larger than memory, checked as `read_cells` checks them."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scgraph.data.cells import Cells
from scgraph.data.files.checks import (
    Compressed,
    canonical,
    check_compressed,
    check_indices,
    check_parts,
    check_row_starts,
    check_shape,
)
from scgraph.data.files.evidence import obs_totals
from scgraph.data.files.features import read_genes
from scgraph.data.files.forms import changed, file_sha256, open_cells, path_text, short_name
from scgraph.data.files.normalize import ScaleSeen
from scgraph.data.files.objects import open_object
from scgraph.data.files.reading import (
    BY_GENE,
    NOTHING,
    as_text,
    cell_names,
    check_filter,
    check_groups,
    dropped_note,
    is_bare_word,
    read_cells,
    read_groups,
)
from scgraph.data.files.stored import arrays, damage
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.data.cells import Kind
    from scgraph.data.files.stored import Opened, StoredMatrix

__all__ = ["CellStream", "cells_or_stream", "row_runs"]

_ENTRIES = 2**20
"""Values of a block: the checks and the normalisation hold about a hundred bytes for each at a time."""

_NAMED = 4
Block = tuple[int, "sparse.csr_matrix", "NDArray[np.str_]"]


class CellStream:
    """Cells of a source, a block at a time.

    Making one reads the source once: it is checked whole, and genes, kind and notes are known. `blocks` reads it
    again. A matrix that is stored by gene (CSC) or as text is held in memory while it is read.

    Args:
        source: A path, as `scgraph.data.read_cells` takes it, or an AnnData object, backed by a file or lazy.
        layer: Layer to read instead of X; `"raw"` reads `.raw`.
        values: What the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        label: Column of obs with the class of every cell.
        batch_key: Column of obs with the batch or donor of every cell.
        hold: Keep a matrix that is stored as text (.mtx) in memory as long as this lives, so that it is read once.
        tick: Told how many cells of the file have been looked at.
        obs_value_filter: Cells of a TileDB-SOMA experiment; see `scgraph.data.read_cells`.

    Attributes:
        source: What it was made of.
        path: Path of the source, None for an object.
        name: Stem of the file.
        symbols: Gene symbols `[n_genes]`, `""` where unknown.
        ensembl: Ensembl ids `[n_genes]`, `""` where unknown.
        kind: Whether the file holds counts or log1p of normalised counts.
        notes: What a person must be told about this file.
        manifest: As of `Cells`.
        entries: Values in all, zeros not counted.
        counted: Which cells have a count `[n_obs]`.
        labels: Class of every cell that has one; None where no label was asked for.
        batches: Batch of every cell that has one; None where no batch key was given.

    Raises:
        DataError: The file cannot be used as it is, see `scgraph.data.read_cells`.
    """

    def __init__(
        self,
        source: str | Path | AnnData,
        *,
        layer: str | None = None,
        values: str | None = None,
        label: str | None = None,
        batch_key: str | None = None,
        hold: bool = True,
        tick: Callable[[int, int], None] = lambda done, of: None,
        obs_value_filter: str | None = None,
    ) -> None:
        check_filter(source, obs_value_filter)
        self.source: Path | AnnData = Path(source) if isinstance(source, str | Path) else source
        self.path = self.source if isinstance(self.source, Path) else None
        self.layer, self._filter = layer, obs_value_filter
        self.name = "adata" if self.path is None else short_name(self.path)
        where = "adata" if self.path is None else path_text(self.path)
        notes: list[str] = []
        empty: list[str] = []
        cells = dropped = 0
        self.entries = 0
        with self._opened() as opened:
            self._when = self._last_change()
            # A matrix of text is read once, and held for `blocks` and for a copy.
            self._text = opened.matrix if hold and self.path and opened.matrix.in_memory else None
            notes += opened.notes
            with damage(where):
                obs, var = opened.tables()
            check_shape(opened.matrix.shape, len(obs), len(var), where)
            check_groups(obs, label, batch_key, where)
            if not opened.matrix.by_row:
                notes.append(BY_GENE)
            self._obs_names = cell_names(obs, where)
            self.counted = np.zeros(len(obs), dtype=np.bool_)
            genes = read_genes(var, where)
            notes += genes.notes
            self._genes, self.symbols, self.ensembl = genes.columns, genes.symbols, genes.ensembl
            self._var_names = as_text(var.index)
            seen = ScaleSeen(where, layer=layer, values=values, log_base=opened.log_base)
            totals = obs_totals(obs)
            self._expressed = np.zeros(len(self.symbols), dtype=np.int64)
            self._sums = np.zeros(len(self.symbols), dtype=np.float64)
            done = 0
            for _, matrix, names in self._blocks(opened):
                done += len(names)
                kept = np.flatnonzero(np.diff(matrix.indptr))
                cells += len(kept)
                dropped += len(names) - len(kept)
                empty += np.delete(names, kept)[: _NAMED - len(empty)].tolist()
                self.entries += matrix.nnz
                self._expressed += np.bincount(matrix.indices, minlength=len(self.symbols))
                self._sums += np.bincount(matrix.indices, weights=matrix.data, minlength=len(self.symbols))
                rows = done - len(names) + kept
                self.counted[rows] = True
                seen.add(matrix[kept], names[kept], {key: column[rows] for key, column in totals.items()})
                tick(done, len(obs))
        if dropped:
            notes.append(dropped_note(empty, dropped))
        if not cells:
            raise DataError(f"{where}: {NOTHING}")
        kind, scale_note, self._change = seen.decide()
        self.kind: Kind = kind
        notes.append(scale_note)
        grouped = obs if label is None and batch_key is None else obs.iloc[np.flatnonzero(self.counted)]
        self.labels, self.batches = read_groups(grouped, label, batch_key, where, notes)
        self.notes = tuple(notes)
        self.manifest: dict[str, Any] = {
            "source": where,
            "sha256": None if self.path is None else file_sha256(self.path),
            "cells": cells,
            "genes": len(self.symbols),
            "layer": layer,
            "values": values,
            "kind": kind,
            "label": label,
            "batch_key": batch_key,
            "obs_value_filter": obs_value_filter,
        }

    def __len__(self) -> int:
        """Return the number of cells that have a count."""
        return int(self.manifest["cells"])

    @property
    def obs_names(self) -> NDArray[np.str_]:
        """Names of all cells of the file, those without a count too."""
        return self._obs_names

    def check_unchanged(self) -> None:
        """Refuse a file that has changed since it was read first.

        Raises:
            DataError: As said.
        """
        if self._last_change() != self._when:
            raise DataError(f"{self.path}: was changed while it was read. Start again when it is finished.")

    def expressed(self) -> NDArray[np.int64]:
        """Count the cells that express each gene `[n_genes]`."""
        return self._expressed

    def sums(self) -> NDArray[np.float64]:
        """Add up the values of each gene `[n_genes]`, as they are stored."""
        return self._sums

    def without_values(self) -> Cells:
        """Return the cells that have a count with all that is known of them but their values."""
        rows = np.flatnonzero(self.counted)
        none = np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(len(rows) + 1, np.int32)
        return Cells(
            name=self.name,
            matrix=sparse.csr_matrix(none, shape=(len(rows), len(self.symbols))),
            kind=self.kind,
            symbols=self.symbols,
            ensembl=self.ensembl,
            obs_names=self.obs_names[rows],
            rows=rows,
            labels=self.labels,
            batches=self.batches,
            notes=self.notes,
            manifest=self.manifest,
        )

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Cells]:
        """Read the cells that have a count, block by block, in their order.

        Args:
            start: First row of the file that is wanted.
            stop: The row that ends what is wanted, or None for the end of the file.

        Raises:
            DataError: The file has changed since it was read first.
        """
        stop = len(self._obs_names) if stop is None else stop
        with self._opened() as opened:
            self.check_unchanged()
            for first, matrix, names in self._blocks(opened, start):
                if first >= stop:
                    return
                kept = np.flatnonzero(np.diff(matrix.indptr))
                kept = kept[(first + kept >= start) & (first + kept < stop)]
                rows = first + kept
                if len(kept):
                    yield Cells(
                        name=self.name,
                        matrix=matrix[kept] if self._change is None else self._change(matrix[kept]),
                        kind=self.kind,
                        symbols=self.symbols,
                        ensembl=self.ensembl,
                        obs_names=names[kept],
                        rows=rows,
                        labels=None,
                        batches=None,
                        notes=(),
                        manifest=self.manifest,
                    )

    def _last_change(self) -> object:
        return None if self.path is None else changed(self.path)

    def _opened(self) -> AbstractContextManager[Opened]:
        if isinstance(self.source, Path):
            return open_cells(self.source, self.layer, self._filter)
        return nullcontext(open_object(self.source, "adata", self.layer))

    def _blocks(self, opened: Opened, start: int = 0) -> Iterator[Block]:
        """Yield number of the first row, canonical rows of genes, the names of their cells; empty rows included."""
        for first, raw in _raw_blocks(opened.matrix, opened.where, start):
            names = self._obs_names[first : first + raw.shape[0]]
            matrix = canonical(raw, opened.where, names, self._var_names)
            yield first, matrix if self._genes is None else matrix[:, self._genes], names


def cells_or_stream(
    source: str | Path | AnnData,
    *,
    layer: str | None = None,
    values: str | None = None,
    label: str | None = None,
    batch_key: str | None = None,
    obs_value_filter: str | None = None,
) -> Cells | CellStream:
    """Read the cells of an AnnData object that is in memory, or open those of a file to be read in blocks.

    Args:
        source: As for `scgraph.data.read_cells`.
        layer: Layer to read instead of X; `"raw"` reads `.raw`.
        values: What the values are, where they do not show it themselves.
        label: Column of obs with the class of every cell.
        batch_key: Column of obs with the batch or donor of every cell.
        obs_value_filter: Cells of a TileDB-SOMA experiment.

    Raises:
        DataError: The source cannot be used as it is, see `scgraph.data.read_cells`.
    """
    if isinstance(source, str | Path):
        stream = not is_bare_word(source)  # which `read_cells` knows, or refuses best
    else:
        stream = open_object(source, "adata", layer).matrix.on_disk
    read = CellStream if stream else read_cells
    return read(source, layer=layer, values=values, label=label, batch_key=batch_key, obs_value_filter=obs_value_filter)


def _raw_blocks(matrix: StoredMatrix, where: str, start: int) -> Iterator[tuple[int, Compressed | NDArray[Any]]]:
    """Yield the number of the first cell and the arrays of each block, checked so that scipy can be trusted.

    Blocks that end before the row `start` are left out where that saves reading.
    """
    if matrix.dense is not None:
        cells, genes = matrix.shape
        step = max(1, _ENTRIES // genes)
        for first in range(start, cells, step):
            with damage(where):
                rows = np.asarray(matrix.dense[first : first + step])
            yield first, rows
    elif matrix.lazy is not None:
        yield from _lazy_blocks(matrix.lazy, where)
    elif matrix.rows is not None:
        yield from matrix.rows.blocks(start, _ENTRIES)
    elif matrix.by_row:
        yield from _row_blocks(matrix, where, start)
    else:
        with damage(where):
            whole = matrix.read(where)
        if isinstance(whole, Compressed):
            check_compressed(whole, where)
        yield 0, whole


def _lazy_blocks(matrix: Any, where: str) -> Iterator[tuple[int, Compressed | NDArray[Any]]]:
    """Compute the rows of one chunk of dask at a time."""
    first = 0
    for size in matrix.chunks[0]:
        with damage(where):
            rows = arrays(matrix[first : first + size].compute())
        if isinstance(rows, Compressed):
            check_compressed(rows, where)
        yield first, rows
        first += size


def _row_blocks(matrix: StoredMatrix, where: str, start: int) -> Iterator[tuple[int, Compressed]]:
    data, indices = matrix.parts["data"], matrix.parts["indices"]
    with damage(where):
        check_parts(data, indices, matrix.parts["indptr"], where)
        indptr = np.asarray(matrix.parts["indptr"][()]).astype(np.int64)
    cells, genes = matrix.shape
    check_row_starts(indptr, cells, indices.shape[0], where)
    for first, last in row_runs(indptr, start):
        here = slice(int(indptr[first]), int(indptr[last]))
        with damage(where):
            part = np.asarray(data[here]), np.asarray(indices[here])
        starts = indptr[first : last + 1] - indptr[first]
        check_indices(part[1], starts, genes, where, first=first)
        yield first, Compressed(*part, starts, (last - first, genes), by_row=True)


def row_runs(indptr: NDArray[np.int64], first: int = 0) -> Iterator[tuple[int, int]]:
    """Cut rows into blocks of as many as hold `_ENTRIES` values, and one at least: yield where each begins and ends.

    Args:
        indptr: Row starts `[n + 1]`.
        first: Where the first block begins.
    """
    while first < len(indptr) - 1:
        last = max(first + 1, int(np.searchsorted(indptr, indptr[first] + _ENTRIES, side="right")) - 1)
        yield first, last
        first = last
