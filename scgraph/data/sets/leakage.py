"""Finding cells that stand in two files, whose gene sets may differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.evidence import whole_multiples
from scgraph.data.sampling.hashing import row_hashes
from scgraph.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from scipy import sparse

    from scgraph.data.cells import AnyCells, Cells

__all__ = ["LEAST_GENES", "Comparison", "cell_hashes", "compare", "compare_parts", "counts_of", "find_leaks"]

LEAST_GENES = 10
"""A cell that expresses fewer of the shared genes says too little to be called the same."""

_BLOCK = 2**12
_LOOSE = 0.01
_PRECISION = 3e-6
"""Relative error of x, which float32 holds the logarithm of."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison of a corpus with a probe set says.

    Attributes:
        leaks: corpus cells that stand in the probe set too `[n_corpus]`.
        unlike: corpus cells that no cell of the probe set can be compared with `[n_corpus]`: one of the two has no
            counts, or they share too few genes.
    """

    leaks: NDArray[np.bool_]
    unlike: NDArray[np.bool_]


def counts_of(cells: Cells) -> tuple[sparse.csr_matrix, NDArray[np.bool_]]:
    """Return the counts of cells, and which cells have them.

    Counts come back from log1p of normalised counts too, but for a factor that all counts of a cell share. A row
    without counts holds its values, without the logarithm.

    Returns:
        Counts `[n, genes]`, float64; flags `[n]`, False for cells of no value too.
    """
    matrix = cells.matrix.astype(np.float64)
    known = np.diff(matrix.indptr) > 0
    if cells.kind == "counts":
        return matrix, known
    filled = np.flatnonzero(known)
    for first in range(0, len(filled), _BLOCK):
        rows = filled[first : first + _BLOCK]
        # Rows that are empty hold no entries: those of the others stand one after another.
        here = slice(matrix.indptr[rows[0]], matrix.indptr[rows[-1] + 1])
        starts = np.append(matrix.indptr[rows], here.stop).astype(np.int64) - here.start
        x, lengths = np.expm1(matrix.data[here]), np.diff(starts)
        counts = x / np.repeat(whole_multiples(x, starts)[0], lengths)
        close = np.abs(counts - np.rint(counts)) < _LOOSE + _PRECISION * counts
        known[rows] = np.logical_and.reduceat(close, starts[:-1])
        matrix.data[here] = np.where(np.repeat(known[rows], lengths), np.rint(counts), x)
    return matrix, known


def cell_hashes(cells: Cells, genes: Vocabulary) -> NDArray[np.uint64]:
    """Hash what every cell holds on a set of genes: its counts without a common factor, where it has counts.

    Values of a cell without counts are divided by the smallest and rounded: that depends on no total.

    Args:
        cells: What was read.
        genes: Gene set; genes that the file lacks count as not expressed.

    Returns:
        Hashes uint64 `[n]`; 0 for cells that express fewer than `LEAST_GENES` of the genes.
    """
    return _hashes(cells, genes)[0]


def compare(probe: AnyCells[Any], corpus: AnyCells[Any]) -> Comparison:
    """Compare the cells of two sources, on all genes that both have.

    Cells are the same where their counts are, as far as the files show counts; cells of which neither has counts,
    where their rounded values are.
    """
    return compare_parts(probe, [corpus])[0]


def compare_parts(probe: AnyCells[Any], parts: Iterable[AnyCells[Any]]) -> list[Comparison]:
    """Compare the cells of a probe set with those of every part of a corpus, as `compare` does.

    Parts of the same genes, such as those of a store, share what is computed of the probe set.
    """
    # min_cells=0: a gene that one file never sees expressed still tells its cells from others.
    genes = Vocabulary.from_cells([probe], min_cells=0)
    hashed: dict[str, tuple[NDArray[np.uint64], NDArray[np.bool_]]] = {}
    found = []
    for corpus in parts:
        ids = np.unique(genes.match(corpus).ids)
        shared = ids[ids > 0]
        if not len(shared):
            found.append(Comparison(np.zeros(len(corpus), dtype=np.bool_), np.ones(len(corpus), dtype=np.bool_)))
            continue
        common = genes.subset(shared)
        if common.sha256 not in hashed:
            hashed[common.sha256] = _hashes(probe, common)
        ours, ours_counted = hashed[common.sha256]
        theirs, theirs_counted = _hashes(corpus, common)
        leaks, unlike = np.zeros(len(corpus), dtype=np.bool_), theirs == 0
        for counted in (True, False):
            known = ours[(ours > 0) & (ours_counted == counted)]
            here = theirs_counted == counted
            leaks |= here & np.isin(theirs, known)
            unlike |= here & (not len(known))
        found.append(Comparison(leaks, unlike))
    return found


def find_leaks(probe: AnyCells[Any], corpus: AnyCells[Any]) -> NDArray[np.bool_]:
    """Tell which cells of the corpus stand in the probe set too, as far as `compare` can tell.

    Returns:
        Flags `[n_corpus]`.
    """
    return compare(probe, corpus).leaks


def _hashes(cells: AnyCells[Any], genes: Vocabulary) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return the hashes of cells, and which are of counts."""
    ids = genes.match(cells).ids
    parts = [(np.zeros(0, np.uint64), np.zeros(0, np.bool_)), *(_block_hashes(block, ids) for block in cells.blocks())]
    hashes, counted = zip(*parts, strict=True)
    return np.concatenate(hashes), np.concatenate(counted)


def _block_hashes(cells: Cells, ids: NDArray[np.int32]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    columns = np.flatnonzero(ids)
    matrix, counted = counts_of(cells)
    part = matrix[:, columns]
    lengths = np.diff(part.indptr)
    full = lengths > 0
    divisor = np.ones(len(lengths))
    if full.any():
        starts = part.indptr[:-1][full]
        shared = np.gcd.reduceat(np.where(np.repeat(counted, lengths), np.rint(part.data), 0).astype(np.int64), starts)
        divisor[full] = np.where(counted[full], shared, np.minimum.reduceat(part.data, starts))
    # A shift keeps halves, which fractions of small counts often are, away from the border of rounding.
    values = np.rint(part.data / np.repeat(divisor, lengths) - np.repeat(np.where(counted, 0.0, 0.1), lengths))
    bits = values.astype(np.float32).view(np.uint32)
    hashes = row_hashes(part.indptr.astype(np.int64), ids[columns][part.indices], bits)
    hashes[lengths < LEAST_GENES] = 0
    return hashes, counted
