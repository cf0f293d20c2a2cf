"""How unlike the cells of every class a cell is: what a softmax, which only compares classes, cannot say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.display import short_repr

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ClassDensities", "NoveltyScale"]

_FLOOR = 1e-6
"""Least variance of a direction within classes, as a share of the mean variance of all cells."""
_LEVELS = 1001


@short_repr
@dataclass(frozen=True, eq=False)
class ClassDensities:
    """A normal distribution a class, with one covariance for all, against one of all cells.

    The log likelihood ratio ``log N(x; m, S + B) - max_k log N(x; m_k, S)`` is large where no class explains a cell
    and the reference as a whole would. It is half the relative Mahalanobis distance with the determinants, so that its
    zero stays where it is when other cells are fitted; and as the two covariances differ by B alone, nothing counts
    but where a cell lies in the directions that tell classes apart.

    Attributes:
        centres: m_k, means of the K classes, `[K, C]`.
        precision: inverse of S, the covariance within classes, `[C, C]`.
        centre: m, mean of all cells, `[C]`.
        precision_all: inverse of S + B, B being the covariance of the class means, weighted by cells, `[C, C]`.
        offset: ``(log det S - log det (S + B)) / 2``.

    Source: Ren et al., "A simple fix to Mahalanobis distance for improving near-OOD detection" (2021),
    arXiv:2106.09022; S is that of Ledoit and Wolf (2004), doi:10.1016/S0047-259X(03)00096-4.
    """

    centres: NDArray[np.float64]
    precision: NDArray[np.float64]
    centre: NDArray[np.float64]
    precision_all: NDArray[np.float64]
    offset: float

    @classmethod
    def fit(cls, x: NDArray[np.floating], codes: NDArray[np.int64]) -> ClassDensities:
        """Fit to features `[n, C]` of cells of known classes `[n]`."""
        from sklearn.covariance import ledoit_wolf
        from threadpoolctl import threadpool_limits

        x = np.asarray(x, np.float64)
        names, place = np.unique(codes, return_inverse=True)
        centres = np.stack([x[place == at].mean(axis=0) for at in range(len(names))])
        centre = x.mean(axis=0)
        floor = max(_FLOOR * float(x.var(axis=0).mean()), float(np.finfo(np.float32).tiny))
        with threadpool_limits(1):
            within, _ = ledoit_wolf(x - centres[place], assume_centered=True)
            between = (centres - centre)[place].T @ (centres - centre)[place] / len(x)
            precision, size = _inverse(within, floor)
            precision_all, size_all = _inverse(within + between, floor)
        return cls(centres, precision, centre, precision_all, (size - size_all) / 2)

    def __call__(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the log likelihood ratio of cells, `[n]`, from features `[n, C]`."""
        x = np.asarray(x, np.float64)
        distance = np.full(len(x), np.inf)
        for centre in self.centres:
            distance = np.minimum(distance, _squared(x - centre, self.precision))
        ratio: NDArray[np.float64] = (distance - _squared(x - self.centre, self.precision_all)) / 2 + self.offset
        return ratio


@short_repr
@dataclass(frozen=True, eq=False)
class NoveltyScale:
    """Densities of the classes, and how unlike them cells of these classes are that had no part in the fit.

    Attributes:
        densities: of the classes.
        quantiles: of the ratio on held-out cells, ascending, at 1,001 shares from 0 to 1.
    """

    densities: ClassDensities
    quantiles: NDArray[np.float64]

    @classmethod
    def fit(cls, x: NDArray[np.floating], codes: NDArray[np.int64], held_out: NDArray[np.floating]) -> NoveltyScale:
        """Fit to features `[n, C]` of cells of known classes `[n]`; the scale is that of ratios of held-out cells."""
        return cls(ClassDensities.fit(x, codes), np.quantile(held_out, np.linspace(0, 1, _LEVELS)))

    def __call__(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the share of held-out cells that are less unlike their classes, `[n]`, 1 for what is beyond them all.

        Args:
            x: features, `[n, C]`.
        """
        found = np.searchsorted(self.quantiles, self.densities(x), side="left")
        share: NDArray[np.float64] = np.minimum(found / (len(self.quantiles) - 1), 1.0)
        return share


def _inverse(covariance: NDArray[np.float64], floor: float) -> tuple[NDArray[np.float64], float]:
    """Return the inverse of a covariance, no eigenvalue below `floor`, and the logarithm of its determinant."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, floor)
    return (vectors / values) @ vectors.T, float(np.log(values).sum())


def _squared(residuals: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = np.einsum("nc,nc->n", residuals @ precision, residuals)
    return squared
