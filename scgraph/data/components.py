"""Principal components of expression on several scales, fitted on one store and read off others of its genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
from scipy import sparse

from scgraph.data.sampling.thinning import counts_of, rows_without_counts
from scgraph.data.sets.hvg import normalized_dispersion
from scgraph.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.data.store.store import CellStore

    Matrix = sparse.csr_matrix | NDArray[np.float64]

__all__ = [
    "THETA",
    "ComponentValues",
    "Components",
    "counts_known",
    "fit_components",
    "fitted_rows",
    "known_counts",
    "sqrt_values",
]

ComponentValues = Literal["log1p", "sqrt", "scaled", "pearson"]

MOST_CELLS = 20_000
"""Cells that components are fitted on, drawn where there are more."""

THETA = 100.0
"""Inverse overdispersion of the null model of Pearson residuals."""

_BLOCK = 1024
_LARGEST_SCALED = 10.0
_EXACT = 1000


class _Values(Protocol):
    """What is made of the values of a store before components are taken: `[n, V']`, sparse where zeros stay zero."""

    @property
    def genes(self) -> NDArray[np.int64]: ...

    def __call__(self, store: CellStore) -> Matrix: ...


@dataclass(frozen=True, eq=False)
class Components:
    """A linear map of transformed values: ``z = (t(x) - m) P``, fitted without labels.

    Attributes:
        transform: t.
        loadings: P, float64 `[V', K]`.
        centre: m, means of the transformed values `[V']`.
    """

    transform: _Values
    loadings: NDArray[np.float64]
    centre: NDArray[np.float64]

    def __call__(self, store: CellStore) -> NDArray[np.float32]:
        """Return the components of all cells of a store of the same vocabulary, float32 `[n, K]`.

        Raises:
            DataError: Residuals are asked of cells whose counts are not known.
        """
        result = np.empty((len(store), self.loadings.shape[1]), dtype=np.float32)
        offset = self.centre @ self.loadings
        for first in range(0, len(store), _BLOCK):
            rows = np.arange(first, min(first + _BLOCK, len(store)))
            result[rows] = self.transform(store.subset(rows)) @ self.loadings - offset
        return result


def fit_components(
    store: CellStore, values: ComponentValues, components: int, *, seed: int, n_top: int | None = None
) -> Components:
    """Fit principal components of the cells of a store (of 20,000 of them at most), centred.

    The values are, of counts c of a gene g in a cell of T counts:

    - ``log1p``: log(1 + 10,000 c / T);
    - ``sqrt``: √(1000 c / T);
    - ``scaled``: log1p minus its mean, divided by its standard deviation, at most 10, as `scanpy.pp.scale`;
    - ``pearson``: (c - μ) / √(μ + μ² / θ) with μ = T p_g and θ = 100, clipped to ±√n, where p_g is the share of
      the gene of all counts.

    Args:
        store: Cells to fit on.
        values: Which values.
        components: Number K, fewer where cells or genes are fewer.
        seed: Of the draw of cells and of the decomposition.
        n_top: Fit on so many variable genes: of highest residual variance for ``pearson``, of highest normalised
            dispersion otherwise; None for all.

    Raises:
        ConfigError: There are no such values, or fewer than two cells or genes.
        DataError: Residuals are asked of cells whose counts are not known.

    Source: Lause, Berens and Kobak 2021, doi:10.1186/s13059-021-02451-7, for the residuals.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    if values not in get_args(ComponentValues):
        raise ConfigError(f"There are no values {values!r}.{did_you_mean(values, get_args(ComponentValues))}")
    if len(store) > MOST_CELLS:
        store = store.subset(fitted_rows(len(store), seed=seed))
    transform: LogValues | ScaledValues | Residuals
    if values == "pearson":
        transform = Residuals.fit(store, n_top)
    elif values == "scaled":
        transform = ScaledValues.fit(store, n_top)
    else:
        transform = LogValues(_variable(store.matrix(), n_top), roots=values == "sqrt")
    matrix = transform(store) if isinstance(transform, LogValues) else _dense_values(store, transform)
    number = min(components, min(matrix.shape) - 1)
    if number < 1:
        raise ConfigError("Principal components need at least two cells and two genes.")
    solver = "arpack" if sparse.issparse(matrix) or min(matrix.shape) < _EXACT else "randomized"
    # These products are small: threads of the linear algebra library cost more than they give.
    with threadpool_limits(1):
        # The values are not needed any more: dense ones of 20,000 cells and 17,000 genes are 1.3 GB.
        pca = PCA(number, svd_solver=solver, random_state=seed, copy=False).fit(matrix)
    return Components(transform, pca.components_.T.astype(np.float64), pca.mean_.astype(np.float64))


def fitted_rows(cells: int, *, seed: int, most: int | None = None) -> NDArray[np.int64]:
    """Return which of so many cells components are fitted on, ascending: all, or those that the seed draws.

    Args:
        cells: How many there are.
        seed: Of the draw.
        most: How many are drawn where there are more; 20,000 if None.
    """
    most = MOST_CELLS if most is None else most
    if cells <= most:
        return np.arange(cells)
    return np.sort(np.random.default_rng(seed).choice(cells, most, replace=False))


def _dense_values(store: CellStore, transform: ScaledValues | Residuals) -> NDArray[np.float32]:
    """Transform all cells of a store block by block, with half the digits: dense values need the memory."""
    values = np.empty((len(store), len(transform.genes)), dtype=np.float32)
    for first in range(0, len(store), _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, len(store)))
        values[rows] = transform(store.subset(rows))
    return values


@dataclass(frozen=True, eq=False)
class LogValues:
    """log1p of counts per 10,000 as they are, or the roots ``√(1000 c / T)``, of the genes with these ids."""

    genes: NDArray[np.int64]
    roots: bool

    def __call__(self, store: CellStore) -> Matrix:
        """Transform the values of a store."""
        matrix = store.matrix()
        if len(self.genes) < matrix.shape[1]:
            matrix = matrix[:, self.genes - 1]
        matrix = matrix.astype(np.float64)
        if self.roots:
            matrix.data = sqrt_values(matrix.data)
        return matrix


@dataclass(frozen=True, eq=False)
class ScaledValues:
    """``min((x - m) / s, 10)`` of the genes with these ids, their means m and standard deviations s."""

    genes: NDArray[np.int64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]

    @classmethod
    def fit(cls, store: CellStore, n_top: int | None) -> ScaledValues:
        """Take means and standard deviations from a store; a gene that does not vary is only centred."""
        genes = _variable(store.matrix(), n_top)
        matrix = store.matrix()[:, genes - 1].astype(np.float64)
        means = np.asarray(matrix.mean(axis=0)).ravel()
        matrix.data **= 2
        squares = np.asarray(matrix.mean(axis=0)).ravel()
        deviations = np.sqrt(np.maximum(squares - means**2, 0) * len(store) / max(len(store) - 1, 1))
        return cls(genes, means, np.where(deviations > 0, deviations, 1.0))

    def __call__(self, store: CellStore) -> NDArray[np.float64]:
        """Transform the values of a store."""
        scaled: NDArray[np.float64] = (store.matrix()[:, self.genes - 1].toarray() - self.means) / self.deviations
        return np.minimum(scaled, _LARGEST_SCALED, out=scaled)


@dataclass(frozen=True, eq=False)
class Residuals:
    """Pearson residuals of the genes with these ids, their shares p of all counts, clipped to ± `largest`."""

    genes: NDArray[np.int64]
    shares: NDArray[np.float64]
    largest: float

    @classmethod
    def fit(cls, store: CellStore, n_top: int | None) -> Residuals:
        """Take the shares of the genes from a store, and the genes of highest residual variance."""
        sums = np.asarray(known_counts(store).sum(axis=0)).ravel()
        genes = np.flatnonzero(sums) + 1
        fitted = cls(genes, sums[genes - 1] / sums.sum(), float(np.sqrt(len(store))))
        if n_top is None or n_top >= len(genes):
            return fitted
        residuals = _dense_values(store, fitted)
        columns = [residuals[:, first : first + _BLOCK] for first in range(0, residuals.shape[1], _BLOCK)]
        variance = np.concatenate([block.var(axis=0, dtype=np.float64) for block in columns])
        top = np.sort(np.argsort(-variance, kind="stable")[:n_top])
        return cls(genes[top], fitted.shares[top], fitted.largest)

    def __call__(self, store: CellStore) -> NDArray[np.float64]:
        """Transform the values of a store."""
        counts = known_counts(store)
        expected = np.maximum(counts.sum(axis=1).A1, 1)[:, None] * self.shares
        residuals: NDArray[np.float64] = counts[:, self.genes - 1].toarray() - expected
        residuals /= np.sqrt(expected + expected**2 / THETA)
        return np.clip(residuals, -self.largest, self.largest, out=residuals)


def sqrt_values(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return ``√(1000 c / T)`` of log1p of counts per 10,000."""
    roots: NDArray[np.float64] = np.sqrt(np.expm1(values.astype(np.float64)) / 10)
    return roots


def known_counts(store: CellStore) -> sparse.csr_matrix:
    """Return the counts of all cells of a store, float64 `[n, V]`.

    Raises:
        DataError: Those of some cells are not known; names the first.
    """
    matrix = store.matrix()
    indptr = matrix.indptr.astype(np.int64)
    counts = counts_of(indptr, matrix.data)
    lost = rows_without_counts(indptr, counts)
    if len(lost):
        raise DataError(
            f"The counts of {len(lost):,} of {len(store):,} cells are not known: their values are no whole multiples "
            f"of one unit. {store.describe(lost[:3].tolist())}"
        )
    return sparse.csr_matrix((counts.astype(np.float64), matrix.indices, matrix.indptr), shape=matrix.shape)


def counts_known(store: CellStore) -> bool:
    """Tell whether the counts of all cells of a store are known."""
    for first in range(0, len(store), _BLOCK):
        starts, _, values = store.entries(np.arange(first, min(first + _BLOCK, len(store))))
        if len(rows_without_counts(starts, counts_of(starts, values))):
            return False
    return True


def _variable(matrix: sparse.csr_matrix, n_top: int | None) -> NDArray[np.int64]:
    genes = np.arange(1, matrix.shape[1] + 1)
    if n_top is None or n_top >= len(genes):
        return genes
    return np.sort(np.argsort(-normalized_dispersion(matrix), kind="stable")[:n_top]) + 1
