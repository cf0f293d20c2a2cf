"""The values of genes in cells, a block of cells at a time, so that there may be more of them than memory holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.cells import Cells
from scgraph.data.store.store import match_note, rows_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray
    from scipy import sparse

    from scgraph.data import Vocabulary
    from scgraph.data.files.stream import CellStream

__all__ = ["CellValues", "GeneValues"]

_HELD = 2**25
"""Values that are held, 8 bytes each, so that they are not read anew for every network; of more nothing is held."""


class CellValues:
    """Cells on the genes of a model.

    Args:
        source: the cells, in memory or in a file.
        vocabulary: the V genes.

    Attributes:
        cells: how many there are.
        detected: how many of them express each gene, ``[V]``.
        note: says how many genes match.

    Raises:
        DataError: the cells lack the genes of the model.
    """

    def __init__(self, source: Cells | CellStream, vocabulary: Vocabulary) -> None:
        self._source, self._size = source, len(vocabulary)
        self._match = vocabulary.require(source, min_matched=0.3)
        self.cells = len(source)
        self.detected = np.zeros(self._size, dtype=np.int64)
        silent = 0
        for block in self._blocks():
            self.detected += block.getnnz(axis=0)
            silent += int((np.diff(block.indptr) == 0).sum())
        self.note = match_note(self._match, silent)

    def of(self, genes: NDArray[np.int64]) -> GeneValues:
        """Return the values of some genes, by their positions in the vocabulary ``[n]``."""
        shape = (self.cells, len(genes))
        if isinstance(self._source, Cells):
            (matrix,) = self._blocks()
            held = [matrix[:, genes]]
            return GeneValues(lambda: held, *shape)
        return GeneValues(lambda: (block[:, genes] for block in self._blocks()), *shape)

    def _blocks(self) -> Iterator[sparse.csr_matrix]:
        from scipy import sparse

        for cells in self._source.blocks():
            indptr, genes, values = rows_on(self._match, cells)
            yield sparse.csr_matrix((values, genes - 1, indptr), shape=(len(cells), self._size))


class GeneValues:
    """log1p of counts per 10,000 of n genes in cells.

    Args:
        read: gives the rows of all cells, ``[some, n]`` at a time, as often as it is called.
        cells: how many there are.
        genes: n.
    """

    def __init__(self, read: Callable[[], Iterable[sparse.csr_matrix]], cells: int, genes: int) -> None:
        self._read, self.cells, self.genes = read, cells, genes
        self._held: list[sparse.csr_matrix] | None = None

    def of(self, genes: NDArray[np.int64]) -> GeneValues:
        """Return the values of some of the genes, by their places among them."""
        return GeneValues(lambda: (block[:, genes] for block in self._blocks()), self.cells, len(genes))

    def mean(self) -> NDArray[np.float32]:
        """Return the mean over the cells, ``[n]``, added up in float32 as `scipy.sparse` does."""
        total = np.zeros(self.genes, dtype=np.float32)
        for block in self._blocks():
            np.add.at(total, block.indices, block.data * np.float32(1 / self.cells))
        return total

    def moments(self, chosen: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the means of the values and of their squares, over all or some of the cells, ``[n]`` each."""
        every, sums = np.arange(self.genes), [np.zeros(self.genes), np.zeros(self.genes)]
        for block in self._chosen(chosen):
            values = block.data.astype(np.float64)
            # Each sum goes on where it was, so that it has the same bits however the cells are cut into blocks.
            for at, power in enumerate((values, values**2)):
                columns = np.concatenate([every, block.indices])
                added = np.bincount(columns, np.concatenate([sums[at], power]), minlength=self.genes)
                sums[at] = np.asarray(added, dtype=np.float64)
        cells = self.cells if chosen is None else int(chosen.sum())
        return sums[0] / cells, sums[1] / cells

    def rows(self, size: int, chosen: NDArray[np.bool_] | None = None) -> Iterator[sparse.csr_matrix]:
        """Read all cells, or those chosen, so many at a time; the last may be fewer."""
        from scipy import sparse

        rest: sparse.csr_matrix | None = None
        for block in self._chosen(chosen):
            joined = block if rest is None else sparse.vstack([rest, block], format="csr")
            whole = joined.shape[0] // size * size
            for start in range(0, whole, size):
                yield joined[start : start + size]
            rest = joined[whole:]
        if rest is not None and rest.shape[0]:
            yield rest

    def _chosen(self, chosen: NDArray[np.bool_] | None) -> Iterator[sparse.csr_matrix]:
        first = 0
        for block in self._blocks():
            last = first + block.shape[0]
            yield block if chosen is None else block[np.flatnonzero(chosen[first:last])]
            first = last

    def _blocks(self) -> Iterator[sparse.csr_matrix]:
        if self._held is not None:
            yield from self._held
            return
        held: list[sparse.csr_matrix] = []
        size = 0
        for block in self._read():
            size += block.nnz
            if size <= _HELD:
                held.append(block)
            else:
                held.clear()
            yield block
        if size <= _HELD:
            self._held = held
