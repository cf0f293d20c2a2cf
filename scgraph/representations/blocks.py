"""Features of cells that are read in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import CellStore
from scgraph.data.components import fitted_rows
from scgraph.data.sampling.hashing import row_hashes
from scgraph.data.sets.corpus import vocabulary_of
from scgraph.data.store.store import rows_on
from scgraph.errors import DataError
from scgraph.representations.components import ComponentBaselines
from scgraph.system.ahead import ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from scgraph.config import BenchConfig
    from scgraph.data import Cells, Vocabulary
    from scgraph.data.store.spool import SpooledCells
    from scgraph.data.vocabulary import GeneMatch
    from scgraph.representations.base import Representation

__all__ = ["components_of_part", "features_in_blocks"]


def features_in_blocks(
    cells: SpooledCells, vocabulary: Vocabulary, match: GeneMatch, features: Callable[[CellStore], NDArray[np.float32]]
) -> tuple[NDArray[np.float32], int]:
    """Return the features of all cells, float32 `[n, C]`, and how many cells express no gene of the vocabulary.

    Args:
        cells: The cells; one block of them is in memory, and the next is being read.
        vocabulary: Genes of the features.
        match: The genes of the cells among them.
        features: A map of cells to features, of each cell by itself.

    Raises:
        DataError: Features are not finite; names the source and the first cell of the block.
    """
    found: NDArray[np.float32] | None = None
    done = silent = 0
    for first, store in ahead(_stores(cells, vocabulary, match)):
        try:
            block = features(store)
        except DataError as error:
            raise DataError(f"{cells.manifest['source']}: cells from {first!r} on: {error}") from error
        if found is None:
            found = np.empty((len(cells), block.shape[1]), np.float32)
        found[done : done + len(block)] = block
        done += len(block)
        silent += int((np.diff(store.indptr) == 0).sum())
    assert found is not None  # a source without cells is refused
    return found, silent


def components_of_part(
    cells: SpooledCells, part: NDArray[np.int64], row: str, config: BenchConfig, *, seed: int
) -> NDArray[np.float32]:
    """Return principal components of all cells, float32 `[n, C]`, fitted on a part on the genes that it expresses.

    They equal, to the last bit, those of `ComponentBaselines` on the store of the part that
    `scgraph.data.sets.stores.make_stores` makes without a corpus: no more than the 20,000 cells that are drawn to be
    fitted on are in memory at a time.

    Args:
        cells: All cells.
        part: Those to fit on.
        row: Name of the components, see `ComponentBaselines`; not of a pair, which is scaled on other cells.
        config: Number of components, and of highly variable genes.
        seed: Of the draw of cells and of the decomposition.
    """
    learned = cells.subset(part)
    vocabulary = vocabulary_of([learned], config)
    match = vocabulary.match(cells)
    drawn = learned.subset(fitted_rows(len(learned), seed=seed))
    store = CellStore.concat([block for _, block in _stores(drawn, vocabulary, match)])
    fitted: Representation = ComponentBaselines(store, config.components, seed).fit(row)
    return features_in_blocks(cells, vocabulary, match, fitted)[0]


def _stores(cells: SpooledCells, vocabulary: Vocabulary, match: GeneMatch) -> Iterator[tuple[str, CellStore]]:
    """Yield the name of the first cell of each block, and its cells on the vocabulary."""
    for block in cells.blocks():
        yield str(block.obs_names[0]), _store(block, vocabulary, match)


def _store(block: Cells, vocabulary: Vocabulary, match: GeneMatch) -> CellStore:
    indptr, genes, values = rows_on(match, block)
    keys = row_hashes(indptr, genes, values.view(np.uint32))
    return CellStore.from_arrays(indptr, genes, values, keys, vocabulary)
