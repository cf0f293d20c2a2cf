"""What predicts scores without a network: means, additive effects, ridge regression and boosted trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.drugs.screen import DrugScreen

__all__ = ["additive", "boosting", "line_components", "pair_and_line", "pair_features", "ridge"]

PENALTY = 100.0
"""Of the ridge regression on standardised features."""


def additive(screen: DrugScreen, learn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ``m + e_a + e_b + e_line`` of all rows, by least squares with a penalty of 1 on the effects; ``[N]``."""
    from scipy import sparse
    from sklearn.linear_model import Ridge

    rows = np.arange(len(screen))
    columns = np.concatenate([screen.pairs[:, 0], screen.pairs[:, 1], len(screen.drugs) + screen.line])
    shape = (len(rows), len(screen.drugs) + len(screen.lines))
    x = sparse.csr_matrix((np.ones(3 * len(rows)), (np.tile(rows, 3), columns)), shape=shape)
    found: NDArray[np.float64] = Ridge(alpha=1.0, solver="lsqr").fit(x[learn], screen.score[learn]).predict(x)
    return found


def pair_and_line(screen: DrugScreen, learn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ``m_pair + m_line - m`` of all rows; a pair or line that was not learned from counts as the mean m."""
    mean = screen.score[learn].mean()
    found = np.full(len(screen), mean)
    for key in (screen.pair, screen.line):
        count = np.bincount(key[learn], minlength=key.max() + 1)
        total = np.bincount(key[learn], weights=screen.score[learn] - mean, minlength=key.max() + 1)
        found += (total / np.maximum(count, 1))[key]
    return found


def pair_features(fingerprint: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return ``[f_a + f_b, |f_a - f_b|]``, the same in both orders, of the bits that differ between drugs.

    Args:
        fingerprint: ``[D, B]``.
        pairs: numbers of the drugs, ``[N, 2]``.

    Returns:
        ``[N, 2 b]`` with b of the B bits.
    """
    fingerprint = fingerprint[:, np.ptp(fingerprint, axis=0) > 0]  # bits that all drugs share, or none has
    one, other = fingerprint[pairs[:, 0]], fingerprint[pairs[:, 1]]
    return np.hstack([one + other, np.abs(one - other)])


def line_components(
    expression: NDArray[np.float32], learn: NDArray[np.int64], most: int, *, seed: int = 0
) -> NDArray[np.float32]:
    """Return principal components of the standardised expression of all lines, fit on some of them.

    Args:
        expression: ``[L, G]``.
        learn: lines that means, deviations and components come from, ``[n]``.
        most: components; never more than n - 1.
        seed: of the solver.

    Returns:
        ``[L, k]``, of variance 1 over the lines that were learned from in the first component.
    """
    from sklearn.decomposition import PCA

    known = expression[learn]
    sd = known.std(axis=0)
    kept = sd > 1e-6
    x = (expression[:, kept] - known[:, kept].mean(axis=0)) / sd[kept]
    k = max(1, min(most, len(learn) - 1, int(kept.sum())))
    fit = PCA(k, random_state=seed, svd_solver="full").fit(x[learn])
    found: NDArray[np.float32] = (fit.transform(x) / np.sqrt(fit.explained_variance_[0])).astype(np.float32)
    return found


def ridge(x: NDArray[np.float32], score: NDArray[np.float64], learn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ridge regression on features standardised over the rows that are learned from, ``[N, F]`` to ``[N]``."""
    from sklearn.linear_model import Ridge

    mean, sd = x[learn].mean(axis=0), x[learn].std(axis=0)
    standard = (x - mean) / np.where(sd > 1e-6, sd, np.inf)  # what does not vary says nothing
    fit = Ridge(alpha=PENALTY, solver="cholesky").fit(standard[learn], score[learn])
    found: NDArray[np.float64] = fit.predict(standard).astype(np.float64)
    return found


def boosting(
    x: NDArray[np.float32], score: NDArray[np.float64], learn: NDArray[np.int64], *, trees: int, seed: int
) -> NDArray[np.float64]:
    """Gradient boosted trees on binned features that look at 30 % of them a split, ``[N, F]`` to ``[N]``.

    Source: scikit-learn's `HistGradientBoostingRegressor`, after LightGBM (Ke et al. 2017).
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    fit = HistGradientBoostingRegressor(max_iter=trees, max_features=0.3, early_stopping=False, random_state=seed)
    found: NDArray[np.float64] = fit.fit(x[learn], score[learn]).predict(x)
    return found
