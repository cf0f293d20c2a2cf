"""Which genes of a cell are seen and which values are masked: pure functions of (seed, epoch, cell, gene).

Every gene of a cell gets a hash. The `limit` genes of smallest hash are a uniform sample without
replacement, and a gene is masked where its hash, as a fraction of 2⁶⁴, is below the share. So neither the
order of cells, nor the batch they stand in, nor the number of workers or a resumed run can change the
outcome. Each kernel stands beside its plain reference.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.sampling.hashing import GOLDEN, kernel, mix, mix_array, stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["in_threads", "mask_reference", "mask_values", "sample_genes", "sample_reference", "start_of", "threshold"]

_SAMPLE, _MASK = 1, 2
_THREAD_WORTH = 200_000
_11, _56 = np.uint64(11), np.uint64(56)


def sample_genes(
    indptr: NDArray[np.int64],
    genes: NDArray[np.int32],
    values: NDArray[np.float32],
    keys: NDArray[np.uint64],
    rows: NDArray[np.int64],
    *,
    limit: int,
    width: int,
    seed: int,
    epoch: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Sample up to `limit` expressed genes of each cell, uniformly, without replacement.

    Args:
        indptr: Row starts `[n + 1]`.
        genes: Vocabulary ids `[nnz]`, ascending in a row.
        values: Values `[nnz]`.
        keys: Hash of the content of each of the cells of `rows` `[B]`.
        rows: Cells to take `[B]`, each in `[0, n)`.
        limit: Most genes of a cell.
        width: Columns of the result, at least the most genes that any of these cells yields.
        seed: Seed of the run.
        epoch: Epoch: the same cell is sampled anew in each.

    Returns:
        Ids int64 `[B, width]`, ascending, 0 on the right where the cell has fewer, and their values.
    """
    out_genes = np.zeros((len(rows), width), dtype=np.int64)
    out_values = np.zeros((len(rows), width), dtype=np.float32)
    start = stream(_SAMPLE, seed, epoch)

    def part(first: int, last: int) -> None:
        here = slice(first, last)
        _sample(indptr, genes, values, keys[here], rows[here], limit, start, out_genes[here], out_values[here])

    in_threads(part, len(rows), int((indptr[rows + 1] - indptr[rows]).sum()))
    return out_genes, out_values


def mask_values(
    genes: NDArray[np.int64], keys: NDArray[np.uint64], *, share: float, seed: int, epoch: int, at_least: int = 1
) -> NDArray[np.bool_]:
    """Choose the values to hide: gene g of cell c where `hash(seed, epoch, c, g) / 2⁶⁴ < share`.

    Padding is never masked. Where a share above 0 masks nothing in a cell of two genes or more, the
    gene of smallest hash is masked, unless `at_least` is 0.

    Args:
        genes: Vocabulary ids `[B, G]`, 0 = padding.
        keys: Hash of the content of every cell `[B]`.
        share: Expected share of masked genes, in `[0, 1]`.
        seed: Seed of the run.
        epoch: Epoch.
        at_least: Genes of a cell of two or more that are always masked, 0 or 1.

    Returns:
        Mask `[B, G]`.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], not {share}")
    if len(genes) != len(keys):
        raise ValueError(f"{len(genes)} rows of genes but {len(keys)} keys")
    mask = np.zeros(genes.shape, dtype=np.bool_)
    genes, keys = np.ascontiguousarray(genes, dtype=np.int64), np.ascontiguousarray(keys, dtype=np.uint64)
    start, below = stream(_MASK, seed, epoch), np.uint64(share * 2**53)

    def part(first: int, last: int) -> None:
        here = slice(first, last)
        _mask(genes[here], keys[here], below, start, at_least, mask[here])

    in_threads(part, len(genes), genes.size)
    return mask


def sample_reference(
    genes: NDArray[np.int32], key: np.uint64, *, limit: int, seed: int, epoch: int
) -> NDArray[np.int32]:
    """Sample the genes `[n]` of one cell in plain numpy: what `sample_genes` must give."""
    priority = mix_array(start_of(key, stream(_SAMPLE, seed, epoch)) + genes.astype(np.uint64) * GOLDEN)
    return np.sort(genes[np.argsort(priority, kind="stable")[:limit]])


def mask_reference(
    genes: NDArray[np.int64], key: np.uint64, *, share: float, seed: int, epoch: int, at_least: int = 1
) -> NDArray[np.bool_]:
    """Mask the genes `[G]` of one cell in plain numpy: what `mask_values` must give."""
    hashes = mix_array(start_of(key, stream(_MASK, seed, epoch)) + genes.astype(np.uint64) * GOLDEN)
    real = genes > 0
    mask = ((hashes >> _11) < np.uint64(share * 2**53)) & real
    if share > 0 and real.sum() >= 2 and mask.sum() < at_least:
        mask[np.argmin(np.where(real, hashes, np.uint64(2**64 - 1)))] = True
    return mask


def start_of(key: np.uint64, start: np.uint64) -> NDArray[np.uint64]:
    """Return where the hashes of the genes of a cell begin, in plain numpy."""
    return mix_array(np.asarray([key ^ start], dtype=np.uint64))


def in_threads(part: Callable[[int, int], None], rows: int, work: int) -> None:
    """Run `part` over all rows, on several threads where that is worth it.

    Threads around kernels that free the interpreter lock, rather than numba's own: those cannot be used after
    a fork, which is how the workers of a data loader begin.
    """
    threads = min(_cores(), rows, work // _THREAD_WORTH)
    if threads <= 1:
        part(0, rows)
        return
    edges = np.linspace(0, rows, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(part, edges[:-1], edges[1:]):
            pass


def _cores() -> int:
    affinity: Any = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@kernel
def threshold(
    priority: NDArray[np.uint64],
    n: int,
    limit: int,
    histogram: NDArray[np.int64],
    close: NDArray[np.uint64],
) -> np.uint64:
    """Return the `limit`-th smallest of the first n hashes; `histogram` `[256]` and `close` `[n]` are scratch."""
    # Hashes are uniform, so the bucket that holds the threshold is small: only it has to be sorted,
    # and by insertion, which numba compiles in a fraction of the time of its own sort.
    histogram[:] = 0
    for j in range(n):
        histogram[priority[j] >> _56] += 1
    bucket = 0
    wanted = limit
    while histogram[bucket] < wanted:
        wanted -= histogram[bucket]
        bucket += 1
    n_close = 0
    for j in range(n):
        if priority[j] >> _56 == np.uint64(bucket):
            place = n_close
            while place > 0 and close[place - 1] > priority[j]:
                close[place] = close[place - 1]
                place -= 1
            close[place] = priority[j]
            n_close += 1
    highest: np.uint64 = close[wanted - 1]
    return highest


@kernel
def _sample(
    indptr: NDArray[np.int64],
    genes: NDArray[np.int32],
    values: NDArray[np.float32],
    keys: NDArray[np.uint64],
    rows: NDArray[np.int64],
    limit: int,
    start: np.uint64,
    out_genes: NDArray[np.int64],
    out_values: NDArray[np.float32],
) -> None:
    longest = 0
    for row in rows:
        longest = max(longest, indptr[row + 1] - indptr[row])
    priority = np.empty(longest, dtype=np.uint64)
    close = np.empty(longest, dtype=np.uint64)
    histogram = np.empty(256, dtype=np.int64)
    for at in range(len(rows)):
        row = rows[at]
        first = indptr[row]
        n = indptr[row + 1] - first
        if n <= limit:
            for j in range(n):
                out_genes[at, j] = genes[first + j]
                out_values[at, j] = values[first + j]
            continue
        state = mix(keys[at] ^ start)
        for j in range(n):
            priority[j] = mix(state + np.uint64(genes[first + j]) * GOLDEN)
        highest = threshold(priority, n, limit, histogram, close)
        taken = 0
        for j in range(n):
            # Only a damaged row, with a gene twice, has more: it must not be written behind the end.
            if priority[j] <= highest and taken < limit:
                out_genes[at, taken] = genes[first + j]
                out_values[at, taken] = values[first + j]
                taken += 1


@kernel
def _mask(
    genes: NDArray[np.int64],
    keys: NDArray[np.uint64],
    below: np.uint64,
    start: np.uint64,
    at_least: int,
    mask: NDArray[np.bool_],
) -> None:
    for row in range(genes.shape[0]):
        state = mix(keys[row] ^ start)
        smallest = GOLDEN
        lowest = -1
        real = 0
        masked = 0
        for j in range(genes.shape[1]):
            if genes[row, j] == 0:
                continue
            real += 1
            hashed = mix(state + np.uint64(genes[row, j]) * GOLDEN)
            if lowest < 0 or hashed < smallest:
                smallest = hashed
                lowest = j
            if hashed >> _11 < below:
                mask[row, j] = True
                masked += 1
        if below > 0 and real >= 2 and masked < at_least:
            mask[row, lowest] = True
