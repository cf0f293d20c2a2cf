"""Small sets to try a command with: cells that scanpy carries, and batches drawn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.sets.labelled import DEFAULT_LABEL

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["BATCH_KEY", "labelled_example", "two_batches"]

BATCH_KEY = "batch"
"""Column of obs with the batches of `two_batches`."""


def labelled_example() -> AnnData:
    """Return the blood cells that scanpy carries: log-normalised values of all their genes, and ``cell_type``.

    scanpy ships no counts of them; the values in X are those of ``raw``, which `scgraph bench` reads.
    """
    import anndata
    import scanpy

    shipped = scanpy.datasets.pbmc68k_reduced()
    obs = shipped.obs[["bulk_labels", "n_counts"]].rename(columns={"bulk_labels": DEFAULT_LABEL})
    return anndata.AnnData(shipped.raw.X.copy(), obs=obs, var=shipped.raw.var[[]].copy())


def two_batches(
    *, cells: int = 400, classes: int = 6, depth: float = 1500.0, shift: float = 0.4, seed: int = 0
) -> AnnData:
    """Draw counts of two batches from the mean profiles of the largest classes of `labelled_example`.

    Counts are Poisson, ``x_g ~ Poisson(d · p_g exp(s_g + ε_g) / Σ_h p_h exp(s_h + ε_h))`` with the profile p of the
    class, a shift ``s ~ N(0, shift²)`` of every gene that a batch has for itself, variation ``ε ~ N(0, 0.3²)`` of the
    cell, and a depth d that is log-normal and half as large in the second batch.

    Args:
        cells: of each batch.
        classes: largest classes that are drawn, in equal parts.
        depth: median count of a cell of the first batch.
        shift: standard deviation of the shift of a gene.
        seed: of everything.

    Returns:
        ``2 · cells`` cells with ``cell_type`` and ``batch``.
    """
    import anndata
    import pandas as pd
    from scipy import sparse

    rng = np.random.default_rng(seed)
    shipped = labelled_example()
    labels = shipped.obs[DEFAULT_LABEL].astype(str).to_numpy()
    names = shipped.obs[DEFAULT_LABEL].value_counts().index[:classes].astype(str).to_numpy()
    linear = np.expm1(shipped.X.toarray().astype(np.float64))
    profiles = np.stack([linear[labels == name].mean(axis=0) for name in names])
    counts: list[NDArray[np.int64]] = []
    drawn = np.arange(cells) % len(names)
    for number in range(2):
        shifts = rng.normal(scale=shift, size=shipped.n_vars)
        rates = profiles[drawn] * np.exp(shifts + rng.normal(scale=0.3, size=(cells, shipped.n_vars)))
        depths = depth * 0.5**number * rng.lognormal(sigma=0.25, size=(cells, 1))
        counts.append(rng.poisson(depths * rates / rates.sum(axis=1, keepdims=True)))
    obs = pd.DataFrame(
        {
            DEFAULT_LABEL: pd.Categorical(np.tile(names[drawn], 2)),
            BATCH_KEY: pd.Categorical(np.repeat(["first", "second"], cells)),
        },
        index=[f"cell{number}" for number in range(2 * cells)],
    )
    matrix = sparse.csr_matrix(np.concatenate(counts).astype(np.float32))
    return anndata.AnnData(matrix, obs=obs, var=pd.DataFrame(index=shipped.var_names))
