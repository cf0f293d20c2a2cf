"""Which unexpressed genes of a cell are shown: a pure function of (seed, epoch, cell, gene), as what is expressed.

Every gene of the vocabulary gets a hash, and the `limit` unexpressed genes of smallest hash are taken: a uniform
sample without replacement. The kernel stands beside its plain reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.sampling.genes import in_threads, start_of, threshold
from scgraph.data.sampling.hashing import GOLDEN, kernel, mix, mix_array, stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["sample_zeros", "zeros_reference"]

_ZEROS = 3
_TOP = np.uint64(2**64 - 1)


def sample_zeros(
    indptr: NDArray[np.int64],
    genes: NDArray[np.int32],
    keys: NDArray[np.uint64],
    rows: NDArray[np.int64],
    *,
    vocabulary_size: int,
    limit: int,
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """Sample up to `limit` unexpressed genes of each cell, uniformly, without replacement.

    Args:
        indptr: Row starts `[n + 1]`.
        genes: Vocabulary ids of the expressed genes `[nnz]`, ascending in a row.
        keys: Hash of the content of each of the cells of `rows` `[B]`.
        rows: Cells to take `[B]`, each in `[0, n)`.
        vocabulary_size: Number of genes V.
        limit: Most genes of a cell.
        seed: Seed of the run.
        epoch: Epoch: the same cell is sampled anew in each.

    Returns:
        Ids int64 `[B, Z]`, ascending, 0 on the right where a cell has fewer; Z is what the longest row takes.
    """
    unexpressed = vocabulary_size - (indptr[rows + 1] - indptr[rows])
    width = min(limit, int(unexpressed.max(initial=0)))
    out = np.zeros((len(rows), width), dtype=np.int64)
    if width == 0:
        return out
    start = stream(_ZEROS, seed, epoch)

    def part(first: int, last: int) -> None:
        here = slice(first, last)
        _zeros(indptr, genes, keys[here], rows[here], vocabulary_size, limit, start, out[here])

    in_threads(part, len(rows), len(rows) * vocabulary_size)
    return out


def zeros_reference(
    genes: NDArray[np.int32], key: np.uint64, *, vocabulary_size: int, limit: int, seed: int, epoch: int
) -> NDArray[np.int64]:
    """Sample the unexpressed genes of one cell that expresses `genes` in plain numpy: what `sample_zeros` must give."""
    others = np.setdiff1d(np.arange(1, vocabulary_size + 1), genes)
    priority = mix_array(start_of(key, stream(_ZEROS, seed, epoch)) + others.astype(np.uint64) * GOLDEN)
    return np.sort(others[np.argsort(priority, kind="stable")[:limit]])


@kernel
def _zeros(
    indptr: NDArray[np.int64],
    genes: NDArray[np.int32],
    keys: NDArray[np.uint64],
    rows: NDArray[np.int64],
    vocabulary_size: int,
    limit: int,
    start: np.uint64,
    out: NDArray[np.int64],
) -> None:
    others = np.empty(vocabulary_size, dtype=np.int64)
    priority = np.empty(vocabulary_size, dtype=np.uint64)
    close = np.empty(vocabulary_size, dtype=np.uint64)
    histogram = np.empty(256, dtype=np.int64)
    for at in range(len(rows)):
        row = rows[at]
        state = mix(keys[at] ^ start)
        last = indptr[row + 1]
        unexpressed = vocabulary_size - (last - indptr[row])
        # Hashes are uniform: nearly always the smallest lie below this, and few others have to be kept.
        share = 1.5 * limit / unexpressed + 0.01 if unexpressed > 0 else 1.0
        below = _TOP if share >= 1 else np.uint64(share * 2.0**64)
        n = 0
        while True:
            gene = 1
            for place in range(indptr[row], last + 1):
                # Rows ascend: between two expressed genes there is nothing to look at.
                end = vocabulary_size + 1 if place == last else genes[place]
                while gene < end:
                    hashed = mix(state + np.uint64(gene) * GOLDEN)
                    if hashed <= below:
                        others[n] = gene
                        priority[n] = hashed
                        n += 1
                    gene += 1
                gene = end + 1
            if n >= min(limit, unexpressed) or below == _TOP:
                break
            below = _TOP
            n = 0
        highest = threshold(priority, n, limit, histogram, close) if n > limit else _TOP
        taken = 0
        for j in range(n):
            if taken < out.shape[1] and priority[j] <= highest:
                out[at, taken] = others[j]
                taken += 1
