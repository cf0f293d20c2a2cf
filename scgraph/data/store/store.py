"""Cells as a model reads them: compressed rows of (gene, value) on one vocabulary, in memory or on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scgraph.data.cells import Cells
from scgraph.data.files.names import examples
from scgraph.data.files.origin import Origin
from scgraph.data.sampling.genes import sample_genes
from scgraph.data.sampling.hashing import row_hashes
from scgraph.data.sampling.zeros import sample_zeros
from scgraph.data.store.column import ArrayColumn
from scgraph.data.store.disk import open_store
from scgraph.data.store.entries import EntryWriter
from scgraph.display import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scgraph.data.cells import AnyCells
    from scgraph.data.store.column import Column
    from scgraph.data.vocabulary import GeneMatch, Vocabulary

__all__ = ["CellStore", "match_note", "rows_on"]


@short_repr
@dataclass(frozen=True, eq=False)
class CellStore:
    """Compressed rows and their vocabulary; the genes and values may lie in memory or stay on disk.

    Attributes:
        indptr: Row starts, int64 `[n + 1]`.
        genes: Vocabulary ids, int32 `[nnz]`, ascending in a row.
        values: log1p of counts per 10,000, float32 `[nnz]`; in memory or on disk, as `genes`.
        keys: Hash of the genes and values of every cell, uint64 `[n]`: the same cell has the same key in any
            store of the same vocabulary.
        vocabulary: Genes 1 to `len(vocabulary)`.
        match_note: How many genes of the vocabulary the source had.
        sources: Of a store on disk, where its cells come from, in their order: one manifest a file, with `cells`.
        origin: Which cell of which file every cell is; None where that is not known.
        batches: Hash of source and batch of every cell, int64 `[n]`; None where no batch column was named.
    """

    indptr: NDArray[np.int64]
    genes: Column[np.int32]
    values: Column[np.float32]
    keys: NDArray[np.uint64]
    vocabulary: Vocabulary
    match_note: str = ""
    sources: tuple[dict[str, Any], ...] = ()
    origin: Origin | None = None
    batches: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.indptr) - 1

    @classmethod
    def from_arrays(
        cls,
        indptr: NDArray[np.int64],
        genes: NDArray[np.int32],
        values: NDArray[np.float32],
        keys: NDArray[np.uint64],
        vocabulary: Vocabulary,
        match_note: str = "",
        *,
        origin: Origin | None = None,
        batches: NDArray[np.int64] | None = None,
    ) -> CellStore:
        """Return the store of arrays in memory; see the attributes of the class."""
        columns = ArrayColumn(genes, indptr), ArrayColumn(values, indptr)
        return cls(indptr, *columns, keys, vocabulary, match_note, origin=origin, batches=batches)

    @classmethod
    def from_cells(
        cls,
        cells: AnyCells[Any],
        vocabulary: Vocabulary,
        *,
        min_matched: float = 0.3,
        change: Callable[[Cells], Cells] = lambda block: block,
    ) -> CellStore:
        """Keep of each cell the genes of `vocabulary`; values are normalised over all its genes before.

        What is made of cells in memory stays there; of others it does where it is little, see `EntryWriter`.

        Args:
            cells: What was read.
            vocabulary: Genes of the model.
            min_matched: Least share of the vocabulary, or else of the file's genes and values, that must match.
            change: What is done to the cells of a block before, to each by itself; none is left out.

        Raises:
            DataError: Fewer genes match; the message gives matched/total, examples and a hint.
            OutputError: The disk of temporary files cannot hold the values; names its folder.
        """
        return cls.from_parts([cells], vocabulary, min_matched=min_matched, change=change)

    @classmethod
    def from_parts(
        cls,
        parts: Sequence[AnyCells[Any]],
        vocabulary: Vocabulary,
        *,
        min_matched: float = 0.3,
        change: Callable[[Cells], Cells] = lambda block: block,
    ) -> CellStore:
        """Put the cells of several sources one after another, each as `from_cells` takes it.

        Where some have batches, one without is a batch of its own.

        Raises:
            DataError: As `from_cells`.
            OutputError: As `from_cells`.
        """
        matches = [vocabulary.require(cells, min_matched=min_matched) for cells in parts]
        sources = [str(cells.manifest.get("source", cells.name)) for cells in parts]
        keys, notes = [np.zeros(0, np.uint64)], []
        most, in_memory = sum(cells.entries for cells in parts), all(isinstance(cells, Cells) for cells in parts)
        with EntryWriter(most, examples(sources, 3), in_memory=in_memory) as entries:
            for cells, match in zip(parts, matches, strict=True):
                empty = 0
                for block in cells.blocks():
                    starts, ids, logged = rows_on(match, change(block))
                    keys.append(row_hashes(starts, ids, logged.view(np.uint32)))
                    entries.add(np.diff(starts), ids, logged)
                    empty += int((np.diff(starts) == 0).sum())
                notes.append(match_note(match, empty))
            indptr, genes, values = entries.columns()
        names = np.concatenate([cells.obs_names for cells in parts])
        return cls(
            indptr,
            genes,
            values,
            np.concatenate(keys),
            vocabulary,
            "; ".join(dict.fromkeys(notes)),
            origin=Origin.of(sources, [len(cells) for cells in parts], names),
            batches=_concat_batches([_batch_hashes(cells) for cells in parts], [len(cells) for cells in parts]),
        )

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = False) -> CellStore:
        """Open the store that `scgraph prepare` wrote. Genes and values stay on disk; 16 bytes a cell are read.

        Args:
            path: Folder of the store.
            verify: Compare the checksums of all files too, which reads them whole.

        Raises:
            DataError: A file is missing, damaged, cut or of a newer version; names the file.
        """
        opened = open_store(path, verify=verify)
        sources = tuple(dict(source) for source in opened.manifest["sources"])
        note = "; ".join(dict.fromkeys(str(source.get("match", "")) for source in sources))
        sizes = [int(source.get("cells", 0)) for source in sources]
        origin = None
        if sum(sizes) == len(opened.keys):
            origin = Origin.of([str(source.get("source", path)) for source in sources], sizes)
        return cls(opened.indptr, opened.genes, opened.values, opened.keys, opened.vocabulary, note, sources, origin)

    @classmethod
    def concat(cls, stores: Sequence[CellStore]) -> CellStore:
        """Put stores of one vocabulary one after another, in memory.

        Where some have batches, one without is a batch of its own.

        Raises:
            ValueError: There is none, or their vocabularies differ.
        """
        if not stores or any(store.vocabulary.sha256 != stores[0].vocabulary.sha256 for store in stores):
            raise ValueError("concat needs one store or more, all on the same vocabulary")
        lengths = np.concatenate([np.diff(store.indptr) for store in stores])
        parts = [store.entries(np.arange(len(store))) for store in stores]
        return cls.from_arrays(
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.concatenate([genes for _, genes, _ in parts]),
            np.concatenate([values for _, _, values in parts]),
            np.concatenate([store.keys for store in stores]),
            stores[0].vocabulary,
            "; ".join(dict.fromkeys(store.match_note for store in stores if store.match_note)),
            origin=Origin.concat([store.origin for store in stores]),
            batches=_concat_batches([store.batches for store in stores], [len(store) for store in stores]),
        )

    def subset(self, rows: NDArray[np.integer[Any]]) -> CellStore:
        """Copy the cells `rows`, in that order; what is on disk stays there."""
        rows = self._checked(rows)
        origin = None if self.origin is None else self.origin.subset(rows)
        starts = self._starts(rows)
        genes, values = self.genes.subset(rows, starts), self.values.subset(rows, starts)
        batches = None if self.batches is None else self.batches[rows]
        return CellStore(
            starts, genes, values, self.keys[rows], self.vocabulary, self.match_note, origin=origin, batches=batches
        )

    def describe(self, rows: Sequence[int]) -> str:
        """Name the cells of some rows for a message: by their names and files where these are known."""
        if self.origin is not None:
            return self.origin.describe(rows)
        listed = ", ".join(map(str, rows[:20])) + (f", ... ({len(rows)} in all)" if len(rows) > 20 else "")
        return f"the cells of rows {listed} of the training cells"

    def entries(
        self, rows: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """Return row starts `[B + 1]`, genes and values of the cells `rows`, in memory.

        Raises:
            IndexError: A row is not in the store.
            DataError: A file of the store cannot be read.
        """
        rows = self._checked(rows)
        starts = self._starts(rows)
        return starts, self.genes.read(rows, starts), self.values.read(rows, starts)

    def prefetch(self, rows: NDArray[np.integer[Any]]) -> None:
        """Ask the system to load cells that will be read soon; nothing happens where they lie in memory."""
        ordered = np.sort(self._checked(rows))
        starts = self._starts(ordered)
        self.genes.prefetch(ordered, starts)
        self.values.prefetch(ordered, starts)

    def matrix(self) -> sparse.csr_matrix:
        """Return the values as a matrix `[n, V]`, in memory; gene `g` is column `g - 1`."""
        rows = np.arange(len(self))
        starts = self._starts(rows)
        genes, indptr, _ = self.genes.load(rows, starts)
        values, _, _ = self.values.load(rows, starts)
        return sparse.csr_matrix((values, genes - 1, indptr), shape=(len(self), len(self.vocabulary)))

    def cells(self) -> Cells:
        """Return the cells as a source of log-normalised values on the genes of the store, in memory."""
        names = np.asarray(self.vocabulary.symbols, dtype=np.str_), np.asarray(self.vocabulary.ensembl, dtype=np.str_)
        return Cells(
            name="store",
            matrix=self.matrix(),
            kind="log1p",
            symbols=names[0],
            ensembl=names[1],
            obs_names=np.arange(len(self)).astype(np.str_),
            rows=np.arange(len(self)),
            labels=None,
            batches=None,
            notes=(),
            manifest={},
        )

    def batch(
        self,
        rows: NDArray[np.integer[Any]],
        *,
        genes: int,
        seed: int,
        epoch: int,
        pad_to: int | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Sample up to `genes` expressed genes of each cell, uniformly, without replacement.

        Which ones is a pure function of (seed, epoch, content of the cell): neither the order of `rows` nor
        the batch matters.

        Args:
            rows: Cells `[B]`.
            genes: Most genes of a cell; a cell with fewer gives all it has.
            seed: Seed of the run.
            epoch: Epoch.
            pad_to: Columns of the result; the longest cell of the batch decides where it is None.

        Returns:
            Ids int64 `[B, G']`, ascending, 0 on the right as padding, and values float32 `[B, G']`.

        Raises:
            ValueError: `genes` is below 1 or `pad_to` too small.
            IndexError: A row is not in the store.
        """
        rows = self._checked(rows)
        if genes < 1:
            raise ValueError(f"genes must be 1 or more, not {genes}")
        longest = int((self.indptr[rows + 1] - self.indptr[rows]).max(initial=1))
        width = min(genes, longest) if pad_to is None else pad_to
        if width < min(genes, longest):
            raise ValueError(f"pad_to={pad_to} is less than the {min(genes, longest)} genes of a cell")
        starts = self._starts(rows)
        stored, indptr, at = self.genes.load(rows, starts)
        values, _, _ = self.values.load(rows, starts)
        return sample_genes(
            indptr, stored, values, self.keys[rows], at, limit=genes, width=width, seed=seed, epoch=epoch
        )

    def zeros(self, rows: NDArray[np.integer[Any]], *, genes: int, seed: int, epoch: int) -> NDArray[np.int64]:
        """Sample up to `genes` unexpressed genes of each cell, uniformly, without replacement.

        As with `batch`, which ones is a pure function of (seed, epoch, content of the cell).

        Args:
            rows: Cells `[B]`.
            genes: Most genes of a cell; 0 for none.
            seed: Seed of the run.
            epoch: Epoch.

        Returns:
            Ids int64 `[B, Z]`, ascending, 0 on the right as padding.

        Raises:
            IndexError: A row is not in the store.
        """
        rows = self._checked(rows)
        stored, indptr, at = self.genes.load(rows, self._starts(rows))
        return sample_zeros(
            indptr,
            stored,
            self.keys[rows],
            at,
            vocabulary_size=len(self.vocabulary),
            limit=genes,
            seed=seed,
            epoch=epoch,
        )

    def _starts(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where each of the rows begins when they stand one after another, and where the last ends."""
        lengths = self.indptr[rows + 1] - self.indptr[rows]
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def _checked(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return rows in `[0, n)`: the kernels do not look whether an index is in range."""
        given = np.asarray(rows)
        if given.size and given.dtype.kind not in "iu":
            raise IndexError(f"rows must be whole numbers, not {given.dtype}")
        inside = np.ascontiguousarray(given, dtype=np.int64)
        if len(inside) and (inside.min() < 0 or inside.max() >= len(self)):
            raise IndexError(f"rows must lie in [0, {len(self)})")
        return inside


def _batch_hashes(cells: AnyCells[Any]) -> NDArray[np.int64] | None:
    """Return one number a batch, the same wherever cells of that source and batch are read; missing ones are one."""
    if cells.batches is None:
        return None
    source = str(cells.manifest.get("source", cells.name))
    names = [*map(str, cells.batches.categories), ""]
    hashes = np.asarray([_hash_text(f"{source}\0{name}") for name in names], dtype=np.int64)
    batches: NDArray[np.int64] = hashes[np.asarray(cells.batches.codes, dtype=np.int64)]
    return batches


def _concat_batches(batches: Sequence[NDArray[np.int64] | None], cells: Sequence[int]) -> NDArray[np.int64] | None:
    if all(own is None for own in batches):
        return None
    return np.concatenate(
        [
            np.full(number, _hash_text(str(place))) if own is None else own
            for place, (own, number) in enumerate(zip(batches, cells, strict=True))
        ]
    )


def _hash_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def rows_on(match: GeneMatch, cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Return row starts, genes and values of cells on the vocabulary that `match` was made with.

    Values are normalised over all genes of a cell before any is left out.
    """
    matrix = cells.normalized()
    columns = np.flatnonzero(match.ids)
    ordered = columns[np.argsort(match.ids[columns])]
    # Columns in order of their ids: rows then come out ascending, and nothing needs sorting.
    picked = matrix[:, ordered]
    picked.sort_indices()
    values = np.ascontiguousarray(picked.data, dtype=np.float32)
    return picked.indptr.astype(np.int64), match.ids[ordered][picked.indices], values


def match_note(match: GeneMatch, empty: int) -> str:
    """Say how many genes matched, and how many cells express none of them."""
    return str(match) + (f"; {empty:,} cells express none of them" if empty else "")
