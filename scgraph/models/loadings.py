"""Principal components of values as a model transforms them, and how reliable each of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from scgraph.data.sampling.thinning import count_values, counts_of, rows_without_counts, share_within, thin_counts
from scgraph.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.data import CellStore
    from scgraph.nn.transforms import ValueTransform

__all__ = ["LEAST_CELLS", "component_loadings", "component_reliability", "transformed_values"]

LEAST_CELLS = 400
"""Cells that reliability is measured from: a quarter of fewer would say too little."""

_HELD_OUT = 4


def transformed_values(transform: ValueTransform, cells: CellStore) -> list[sparse.csr_matrix]:
    """Return the values of cells as a model transforms them, a matrix `[n, V]` a kind."""
    return _transformed(transform, cells.matrix())


def component_loadings(matrix: sparse.csr_matrix, components: int, *, seed: int) -> NDArray[np.float64]:
    """Return the loadings `[V, K]` of at most so many principal components.

    Raises:
        ConfigError: there are fewer than two cells or genes.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    number = min(components, min(matrix.shape) - 1)
    if number < 1:
        raise ConfigError("train.start: pca needs at least two cells and two genes.")
    with threadpool_limits(1):
        loadings: NDArray[np.float64] = PCA(number, svd_solver="arpack", random_state=seed).fit(matrix).components_.T
    return loadings


def component_reliability(
    transform: ValueTransform, cells: CellStore, components: int, *, seed: int
) -> list[NDArray[np.float64]]:
    r"""Return how reliable the principal components of each kind of values are, a number in [0, 1] a component.

    .. math:: R_k = \frac{2 r_k}{1 + r_k}

    where :math:`r_k` is the correlation, over cells, of the k-th component's scores of two halves of the counts of a
    cell: 1 where the depth of a cell does not blur a component, 0 where it is noise. The components are fitted on
    three quarters of the cells and the correlation is taken over the last quarter, since a component that is fitted
    to the noise of cells, or to one odd cell among them, looks reliable in those very cells. Negative ones count as 0.

    Args:
        transform: fitted value transform.
        cells: cells whose counts are known; others among them are left out.
        components: number of components of a kind K.
        seed: of the held out quarter, of the halves and of the decomposition.

    Returns:
        A vector `[K]` a kind, of ones where fewer than 400 cells have known counts or there are fewer components.

    Source: Spearman 1910, doi:10.1111/j.2044-8295.1910.tb00206.x, for the step from half to whole; counts are split as
    in Neufeld et al. 2024, doi:10.1093/biostatistics/kxac047.
    """
    matrix = cells.matrix()
    indptr = matrix.indptr.astype(np.int64)
    counts = counts_of(indptr, matrix.data)
    known = np.setdiff1d(np.arange(len(cells)), rows_without_counts(indptr, counts))
    result = [np.ones(components) for _ in transform.kinds]
    if len(known) < LEAST_CELLS:
        return result
    order = np.random.default_rng(seed).permutation(known)
    held_out, fitted = (np.sort(part) for part in np.split(order, [len(order) // _HELD_OUT]))
    own = sparse.csr_matrix((counts, matrix.indices, matrix.indptr), matrix.shape)[held_out].data
    halves = [_transformed(transform, half) for half in _halves(cells.subset(held_out), own, seed=seed)]
    for kind, values in enumerate(transformed_values(transform, cells.subset(fitted))):
        loadings = component_loadings(values, components, seed=seed)
        first, second = (half[kind] @ loadings for half in halves)
        correlation = np.maximum(_correlation(first, second), 0)
        result[kind][: len(correlation)] = 2 * correlation / (1 + correlation)
    return result


def _transformed(transform: ValueTransform, matrix: sparse.csr_matrix) -> list[sparse.csr_matrix]:
    import torch

    genes = torch.from_numpy(matrix.indices.astype(np.int64)) + 1
    columns = transform(torch.from_numpy(matrix.data), genes)
    result = []
    for column in columns.unbind(dim=1):
        one = matrix.copy()
        one.data = column.numpy().astype(np.float64)
        result.append(one)
    return result


def _halves(cells: CellStore, counts: NDArray[np.int32], *, seed: int) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Split every count of cells `[nnz]` between two, and return the log-normalised values of both."""
    matrix = cells.matrix()
    indptr, genes = matrix.indptr.astype(np.int64), (matrix.indices + 1).astype(np.int32)
    shares = np.full(len(cells), 0.5)
    kept = thin_counts(indptr, genes, counts, cells.keys, shares, seed=seed, epoch=0)
    within = share_within(indptr, matrix.data)

    def values(part: NDArray[np.int32]) -> sparse.csr_matrix:
        return sparse.csr_matrix((count_values(indptr, part, within), matrix.indices, matrix.indptr), matrix.shape)

    return values(kept), values(counts - kept)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate columns; 0 where one does not vary."""
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    product = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    result: NDArray[np.float64] = (first * second).sum(axis=0) / np.where(product > 0, product, 1.0)
    return result
