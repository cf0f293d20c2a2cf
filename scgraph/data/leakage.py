"""Finding cells that stand in two files, whose gene sets may differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.hashing import row_hashes
from scgraph.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.data.cells import Cells

__all__ = ["LEAST_GENES", "cell_hashes", "find_leaks"]

LEAST_GENES = 10
"""A cell that expresses fewer of the shared genes says too little to be called the same."""


def cell_hashes(cells: Cells, genes: Vocabulary, *, relative: bool = False) -> NDArray[np.uint64]:
    """Hash the count vector of every cell on a set of genes.

    Args:
        cells: What was read.
        genes: Gene set; genes that the file lacks count as not expressed.
        relative: Hash counts divided by the smallest count of the cell, rounded. That can be told from log1p
            values too, whatever total they were normalised to.

    Returns:
        Hashes uint64 `[n]`; 0 for cells that express fewer than `LEAST_GENES` of the genes.
    """
    ids = genes.match(cells).ids
    columns = np.flatnonzero(ids)
    part = cells.matrix[:, columns]
    values = part.data.astype(np.float64)
    if relative:
        values = np.expm1(values) if cells.kind == "log1p" else values
        lengths = np.diff(part.indptr)
        full = lengths > 0
        smallest = np.ones(len(lengths))
        if full.any():
            smallest[full] = np.minimum.reduceat(values, part.indptr[:-1][full])
        # A shift keeps halves, which fractions of small counts often are, away from the border of rounding.
        values = np.rint(values / np.repeat(smallest, lengths) - 0.1)
    bits = values.astype(np.float32).view(np.uint32)
    hashes = row_hashes(part.indptr.astype(np.int64), ids[columns][part.indices], bits)
    hashes[np.diff(part.indptr) < LEAST_GENES] = 0
    return hashes


def find_leaks(probe: Cells, corpus: Cells) -> NDArray[np.bool_]:
    """Tell which cells of the corpus stand in the probe set too.

    Those are cells of the same counts on all genes that both files have. Counts are compared as they are;
    where one of the two holds log1p values, relative to the smallest count.

    Returns:
        Flags `[n_corpus]`.
    """
    # min_cells=0: a gene that one file never sees expressed still tells its cells from others.
    genes = Vocabulary.from_cells([probe], min_cells=0)
    ids = np.unique(genes.match(corpus).ids)
    shared = ids[ids > 0]
    if not len(shared):
        return np.zeros(len(corpus), dtype=np.bool_)
    common = genes.subset(shared)
    relative = "log1p" in (probe.kind, corpus.kind)
    known = cell_hashes(probe, common, relative=relative)
    return np.isin(cell_hashes(corpus, common, relative=relative), known[known > 0])
