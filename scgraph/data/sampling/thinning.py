"""Counts from values made of them, and their binomial thinning: a pure function of (seed, epoch, cell, gene).

Every count of a gene in a cell is a molecule that was seen. Thinning keeps each with the share of the cell, as a
shallower run of the sequencer would have; what is kept and what is left are then independent given the expression of
the cell where the counts are Poisson: one can be shown to a model and the other predicted from it. Each molecule gets a
hash, so neither the order of cells, nor the batch, nor a resumed run can change the outcome. Each kernel stands beside
its plain reference.

Source: count splitting, Neufeld et al. 2024, doi:10.1093/biostatistics/kxac047; Batson, Royer and Webber 2019,
"Molecular cross-validation for single-cell RNA-seq", doi:10.1101/786269.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scgraph.data.cells import SCALE
from scgraph.data.sampling.genes import in_threads, start_of
from scgraph.data.sampling.hashing import GOLDEN, kernel, mix, mix_array, row_hashes, stream
from scgraph.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.data.cells import AnyCells, Cells

__all__ = [
    "check_thinnable",
    "count_values",
    "counts_of",
    "counts_reference",
    "kept_shares",
    "row_sums",
    "rows_without_counts",
    "share_within",
    "thin_cells",
    "thin_counts",
    "thin_reference",
]

_SHARE, _THIN = 4, 5
_11 = np.uint64(11)
_EXACT = (16, 1e-3, 1e-4, 1000.0)
_ROUNDED = (4, 0.01, 0.002, 50.0)
"""How many counts the smallest value may be worth, how far a multiple may be from a whole one, at 0 and for each count
more, and above which count it is not told from its neighbours: of logarithms in float32, and of logarithms that were
rounded to three decimals, as files often hold."""


def counts_of(indptr: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the counts that log1p of counts per 10,000 were made of: ``c = (eᵛ - 1) / u``.

    The unit ``u``, what one count is worth, is a cell's own: its smallest value is one count, or 2 to 16 where one
    does not fit, and all others are whole multiples; 1 to 4 of logarithms that were rounded to three decimals, where
    counts above 50 may be off by a hundredth. Counts of genes that are left out are not needed.

    Args:
        indptr: Row starts `[n + 1]`.
        values: log1p of counts per 10,000 `[nnz]`.

    Returns:
        Counts `[nnz]`, all 0 in a row whose values are no whole multiples of one unit.
    """
    counts = np.zeros(len(values), dtype=np.int32)

    def part(first: int, last: int) -> None:
        for units, loose, growing, highest in (_EXACT, _ROUNDED):
            _counts(indptr[first : last + 1], values, counts, units, loose, growing, highest)

    in_threads(part, len(indptr) - 1, len(values))
    return counts


def counts_reference(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the counts of one cell in plain numpy: what `counts_of` must give."""
    x = np.expm1(values.astype(np.float64))
    for units, loose, growing, highest in (_EXACT, _ROUNDED):
        for smallest in range(1, units + 1):
            ratio = x / x.min() * smallest
            whole = np.abs(ratio - np.rint(ratio)) < loose + growing * ratio
            if (whole | (ratio >= highest)).all():
                counts: NDArray[np.int32] = np.rint(ratio).astype(np.int32)
                return counts
    return np.zeros(len(values), dtype=np.int32)


def row_sums(indptr: NDArray[np.int64], numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Add up the numbers `[nnz]` of every row, float64 `[n]`."""
    lengths = np.diff(indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    return np.bincount(rows, weights=numbers, minlength=len(lengths)).astype(np.float64)


def rows_without_counts(indptr: NDArray[np.int64], counts: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the rows that have values but no counts, as `counts_of` leaves those whose counts are not known."""
    return np.flatnonzero((np.diff(indptr) > 0) & (row_sums(indptr, counts) == 0))


def kept_shares(keys: NDArray[np.uint64], shares: tuple[float, float], *, seed: int, epoch: int) -> NDArray[np.float64]:
    """Draw a share for every cell, log-uniform between two, `[n]`: a pure function of (seed, epoch, cell)."""
    low, high = shares
    hashes = mix_array(keys ^ stream(_SHARE, seed, epoch))
    return low * (high / low) ** ((hashes >> _11).astype(np.float64) * 2.0**-53)


def thin_counts(
    indptr: NDArray[np.int64],
    genes: NDArray[np.int32],
    counts: NDArray[np.int32],
    keys: NDArray[np.uint64],
    shares: NDArray[np.float64],
    *,
    seed: int,
    epoch: int,
) -> NDArray[np.int32]:
    """Keep each count of a cell with the share of the cell: ``kept ~ Binomial(count, share)``, `[nnz]`.

    Args:
        indptr: Row starts `[n + 1]`.
        genes: Ids of the genes `[nnz]`; which number a gene has decides, with the cell, what is drawn.
        counts: Counts `[nnz]`.
        keys: Hash of the content of every cell `[n]`.
        shares: Share of every cell, in `[0, 1]` `[n]`.
        seed: Seed of the run.
        epoch: Epoch.
    """
    kept = np.zeros(len(counts), dtype=np.int32)
    start = stream(_THIN, seed, epoch)
    below = (shares * 2.0**53).astype(np.uint64)

    def part(first: int, last: int) -> None:
        _thin(indptr[first : last + 1], genes, counts, keys[first:last], below[first:last], start, kept)

    in_threads(part, len(keys), int(counts.sum(dtype=np.int64)))
    return kept


def thin_reference(
    genes: NDArray[np.int32], counts: NDArray[np.int32], key: np.uint64, share: float, *, seed: int, epoch: int
) -> NDArray[np.int32]:
    """Thin the counts of one cell in plain numpy: what `thin_counts` must give."""
    of_gene = mix_array(start_of(key, stream(_THIN, seed, epoch)) + genes.astype(np.uint64) * GOLDEN)
    of_count = np.concatenate([np.arange(n, dtype=np.uint64) for n in counts])
    hashes = mix_array(np.asarray(np.repeat(of_gene, counts) + of_count * GOLDEN, dtype=np.uint64))
    keep = (hashes >> _11) < np.uint64(share * 2.0**53)
    return np.bincount(np.repeat(np.arange(len(counts)), counts)[keep], minlength=len(counts)).astype(np.int32)


def share_within(indptr: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what share of its counts a cell has in the genes that are given, ``Σ (eᵛ - 1) / 10,000``, `[n]`.

    Args:
        indptr: Row starts `[n + 1]`.
        values: log1p of counts per 10,000 `[nnz]`.
    """
    return row_sums(indptr, np.expm1(values.astype(np.float64))) / SCALE


def count_values(
    indptr: NDArray[np.int64], counts: NDArray[np.int32], within: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return log1p of counts per 10,000 of thinned counts, 0 where none is left `[nnz]`.

    Args:
        indptr: Row starts `[n + 1]`.
        counts: Counts `[nnz]`.
        within: `share_within` of what was thinned `[n]`; thinning is taken to leave it as it is.
    """
    factor = SCALE * within / np.maximum(row_sums(indptr, counts), 1)
    values: NDArray[np.float32] = np.log1p(counts * np.repeat(factor, np.diff(indptr))).astype(np.float32)
    return values


def thin_cells(cells: Cells, share: float, *, seed: int) -> Cells:
    """Return cells as a run of the sequencer of so much less depth would have given them.

    Each count is kept with the chance `share`. A cell that is left without any keeps its place, with no gene.

    Args:
        cells: What was read.
        share: Share of the counts to keep, in `(0, 1]`.
        seed: Of the draw: the same cell is thinned the same in any set of cells with the same genes.

    Raises:
        DataError: Some cells hold values that are no counts, and none that counts can be had from.
    """
    counts, lost = _counts_of_cells(cells)
    if len(lost):
        raise DataError(_uncounted(cells, len(lost), str(cells.obs_names[lost[0]])))
    matrix = cells.matrix
    indptr, genes = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
    keys = row_hashes(indptr, genes, np.ascontiguousarray(matrix.data, dtype=np.float32).view(np.uint32))
    kept = thin_counts(indptr, genes, counts, keys, np.full(len(cells), share), seed=seed, epoch=0)
    thinned = sparse.csr_matrix((kept.astype(np.float32), matrix.indices.copy(), matrix.indptr.copy()), matrix.shape)
    thinned.eliminate_zeros()
    return replace(cells, matrix=thinned, kind="counts")


def check_thinnable(cells: AnyCells[Any]) -> None:
    """Refuse cells that `thin_cells` refuses, all of them at once.

    Raises:
        DataError: As there.
    """
    if cells.kind == "counts":
        return
    lost = [name for block in cells.blocks() for name in block.obs_names[_counts_of_cells(block)[1]]]
    if lost:
        raise DataError(_uncounted(cells, len(lost), lost[0]))


def _counts_of_cells(cells: Cells) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the counts `[nnz]`, and the cells whose counts are not known."""
    if cells.kind == "counts":
        return np.rint(cells.matrix.data).astype(np.int32), np.zeros(0, np.int64)
    indptr = cells.matrix.indptr.astype(np.int64)
    counts = counts_of(indptr, np.ascontiguousarray(cells.matrix.data, dtype=np.float32))
    return counts, rows_without_counts(indptr, counts)


def _uncounted(cells: AnyCells[Any], lost: int, example: str) -> str:
    return (
        f"{cells.name}: {lost:,} of {len(cells):,} cells (such as {example}) have values that are no whole multiples "
        "of one unit, so their counts are not known and cannot be thinned."
    )


@kernel
def _counts(
    indptr: NDArray[np.int64],
    values: NDArray[np.float32],
    counts: NDArray[np.int32],
    units: int,
    loose: float,
    growing: float,
    highest: float,
) -> None:
    for row in range(len(indptr) - 1):
        first, last = indptr[row], indptr[row + 1]
        if first == last or counts[first] > 0:
            continue
        least = np.inf
        for at in range(first, last):
            least = min(least, np.expm1(np.float64(values[at])))
        for smallest in range(1, units + 1):
            whole = True
            for at in range(first, last):
                ratio = np.expm1(np.float64(values[at])) / least * smallest
                if ratio < highest and abs(ratio - np.rint(ratio)) >= loose + growing * ratio:
                    whole = False
                    break
            if whole:
                for at in range(first, last):
                    counts[at] = np.int32(np.rint(np.expm1(np.float64(values[at])) / least * smallest))
                break


@kernel
def _thin(
    indptr: NDArray[np.int64],
    genes: NDArray[np.int32],
    counts: NDArray[np.int32],
    keys: NDArray[np.uint64],
    below: NDArray[np.uint64],
    start: np.uint64,
    kept: NDArray[np.int32],
) -> None:
    for row in range(len(keys)):
        state = mix(keys[row] ^ start)
        for at in range(indptr[row], indptr[row + 1]):
            of_gene = mix(state + np.uint64(genes[at]) * GOLDEN)
            for number in range(counts[at]):
                if mix(of_gene + np.uint64(number) * GOLDEN) >> _11 < below[row]:
                    kept[at] += 1
