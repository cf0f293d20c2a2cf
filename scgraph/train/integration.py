"""Batches brought together, in the vectors that cells are drawn to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEAST_CELLS", "correct_batches", "extend_correction"]

_NEAREST = 15
LEAST_CELLS = 2 * _NEAREST
"""Fewer cells make no clusters, and are not corrected."""
_BLOCK = 1024


def correct_batches(vectors: NDArray[np.float32], batches: NDArray[np.integer], *, seed: int) -> NDArray[np.float32]:
    r"""Return vectors without what tells batches apart, by Harmony.

    Korsunsky et al. 2019, doi:10.1038/s41592-019-0619-0. Cells are softly clustered so that each cluster holds cells
    of many batches; in every cluster the shift of each batch from the common centre is estimated by ridge regression
    and taken away, in turns until nothing changes: :math:`h_c = z_c - \sum_k R_{kc} W_{k, b(c)}` with the clusters'
    weights R and shifts W.

    Args:
        vectors: :math:`z`, `[n, C]`.
        batches: batch code of every cell `[n]`.
        seed: of the clusters it begins with.

    Returns:
        :math:`h`, float32 `[n, C]`; the vectors themselves where there is one batch, or fewer cells than make clusters.
    """
    import pandas as pd
    import torch
    from threadpoolctl import threadpool_limits

    if len(np.unique(batches)) < 2 or len(vectors) < LEAST_CELLS:
        return vectors
    from harmony import harmonize

    # It seeds the generators of NumPy and of torch, and sets the number of threads: none of which is its to keep.
    threads, random = torch.get_num_threads(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]), threadpool_limits(1):
            corrected = harmonize(
                np.ascontiguousarray(vectors),
                pd.DataFrame({"batch": pd.Categorical(np.asarray(batches).astype(str))}),
                "batch",
                random_state=seed % 2**32,
                n_jobs=1,
                verbose=False,
            )
    finally:
        torch.set_num_threads(threads)
        np.random.set_state(random)  # noqa: NPY002
    return np.ascontiguousarray(corrected, dtype=np.float32)


def extend_correction(
    vectors: NDArray[np.float32],
    batches: NDArray[np.integer],
    *,
    among: NDArray[np.float32],
    among_batches: NDArray[np.integer],
    corrected: NDArray[np.float32],
) -> NDArray[np.float32]:
    r"""Correct the vectors of further cells as those of the cells most like them were.

    .. math:: h_c = z_c + \frac{1}{15} \sum_{d \in N(c)} (h_d - z_d)

    with the 15 nearest cells N(c) of the same batch among those that were corrected; a cell of a batch that has none
    stays where it is.

    Args:
        vectors: z of the further cells `[m, C]`.
        batches: their batch codes `[m]`.
        among: z of the corrected cells `[n, C]`.
        among_batches: their batch codes `[n]`.
        corrected: h of these `[n, C]`.
    """
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    result = np.array(vectors)
    shifts = corrected - among
    for batch in np.unique(batches):
        there = np.flatnonzero(among_batches == batch)
        if not len(there):
            continue
        index = NearestNeighbors(n_neighbors=min(_NEAREST, len(there)), algorithm="brute").fit(among[there])
        rows = np.flatnonzero(batches == batch)
        with threadpool_limits(1):
            for first in range(0, len(rows), _BLOCK):
                part = rows[first : first + _BLOCK]
                nearest = index.kneighbors(vectors[part], return_distance=False)
                result[part] += shifts[there[nearest]].mean(axis=1)
    return result
