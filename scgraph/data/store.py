"""Cells as a model reads them: compressed rows of (gene, value) on one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scgraph.data.hashing import row_hashes
from scgraph.data.sampling import sample_genes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scgraph.data.cells import Cells
    from scgraph.data.vocabulary import Vocabulary

__all__ = ["CellStore"]


@dataclass(frozen=True, eq=False)
class CellStore:
    """Compressed rows and their vocabulary; the arrays may lie in memory or be memory-mapped.

    Attributes:
        indptr: Row starts, int64 `[n + 1]`.
        genes: Vocabulary ids, int32 `[nnz]`, ascending in a row.
        values: log1p of counts per 10,000, float32 `[nnz]`.
        keys: Hash of the genes and values of every cell, uint64 `[n]`: the same cell has the same key in any
            store of the same vocabulary.
        vocabulary: Genes 1 to `len(vocabulary)`.
        match_note: How many genes of the vocabulary the source had.
    """

    indptr: NDArray[np.int64]
    genes: NDArray[np.int32]
    values: NDArray[np.float32]
    keys: NDArray[np.uint64]
    vocabulary: Vocabulary
    match_note: str = ""

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.indptr) - 1

    @classmethod
    def from_cells(cls, cells: Cells, vocabulary: Vocabulary, *, min_matched: float = 0.3) -> CellStore:
        """Keep of each cell the genes of `vocabulary`; values are normalised over all its genes before.

        Args:
            cells: What was read.
            vocabulary: Genes of the model.
            min_matched: Least share of the vocabulary that the file must have.

        Raises:
            DataError: Fewer genes match; the message gives matched/total, examples and a hint.
        """
        match = vocabulary.require(cells, min_matched=min_matched)
        matrix = cells.normalized()
        columns = np.flatnonzero(match.ids)
        ordered = columns[np.argsort(match.ids[columns])]
        # Columns in order of their ids: rows then come out ascending, and nothing needs sorting.
        picked = matrix[:, ordered]
        picked.sort_indices()
        indptr = picked.indptr.astype(np.int64)
        genes = match.ids[ordered][picked.indices]
        values = np.ascontiguousarray(picked.data, dtype=np.float32)
        empty = int((np.diff(indptr) == 0).sum())
        note = str(match) + (f"; {empty:,} cells express none of them" if empty else "")
        return cls(indptr, genes, values, row_hashes(indptr, genes, values.view(np.uint32)), vocabulary, note)

    @classmethod
    def concat(cls, stores: Sequence[CellStore]) -> CellStore:
        """Put stores of one vocabulary one after another.

        Raises:
            ValueError: There is none, or their vocabularies differ.
        """
        if not stores or any(store.vocabulary.sha256 != stores[0].vocabulary.sha256 for store in stores):
            raise ValueError("concat needs one store or more, all on the same vocabulary")
        lengths = np.concatenate([np.diff(store.indptr) for store in stores])
        return cls(
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.concatenate([store.genes for store in stores]),
            np.concatenate([store.values for store in stores]),
            np.concatenate([store.keys for store in stores]),
            stores[0].vocabulary,
            "; ".join(dict.fromkeys(store.match_note for store in stores if store.match_note)),
        )

    def subset(self, rows: NDArray[np.integer[Any]]) -> CellStore:
        """Copy the cells `rows`, in that order."""
        rows = self._checked(rows)
        lengths = np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.repeat(self.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return CellStore(indptr, self.genes[at], self.values[at], self.keys[rows], self.vocabulary, self.match_note)

    def matrix(self) -> sparse.csr_matrix:
        """Return the values as a matrix `[n, V]`; gene `g` is column `g - 1`."""
        shape = (len(self), len(self.vocabulary))
        return sparse.csr_matrix((self.values, self.genes - 1, self.indptr), shape=shape)

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
        return sample_genes(
            self.indptr,
            self.genes,
            self.values,
            self.keys,
            rows,
            limit=genes,
            width=width,
            seed=seed,
            epoch=epoch,
        )

    def _checked(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return rows in `[0, n)`: the kernels do not look whether an index is in range."""
        given = np.asarray(rows)
        if given.size and given.dtype.kind not in "iu":
            raise IndexError(f"rows must be whole numbers, not {given.dtype}")
        inside = np.ascontiguousarray(given, dtype=np.int64)
        if len(inside) and (inside.min() < 0 or inside.max() >= len(self)):
            raise IndexError(f"rows must lie in [0, {len(self)})")
        return inside
