"""Predictions that are known to be hard to beat: nothing, the mean, sums of singles, ridge and its kernel, the nearest.

Source: Ahlmann-Eltze, Huber and Anders (2025), "Deep-learning-based gene perturbation effect prediction does not yet
outperform simple linear baselines", Nature Methods 22:1657.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PENALTIES", "additive", "kernel_ridge", "nearest", "ridge", "summed"]

PENALTIES = tuple(float(10.0**power) for power in np.arange(-2, 5, 0.5))


def additive(
    genes: Sequence[tuple[int, ...]], train: NDArray[np.int64], change: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Sum the changes of the single perturbations of every perturbation.

    ``δ̂_p = Σ_{g in p} δ_g``, with the mean change in place of a single that training has not seen.

    Args:
        genes: perturbed genes of every perturbation.
        train: perturbations that may be learned from.
        change: measured changes; only the rows of `train` are looked at.

    Returns:
        `[P, G]`.
    """
    mean = change[train].mean(axis=0)
    singles = {genes[at][0]: change[at] for at in train if len(genes[at]) == 1}
    predicted = np.empty((len(genes), change.shape[1]), dtype=np.float32)
    for at, own in enumerate(genes):
        known = [singles[gene] for gene in own if gene in singles]
        predicted[at] = np.sum([*known, *[mean] * (len(own) - len(known))], axis=0) if known else mean
    return predicted


def summed(
    genes: Sequence[tuple[int, ...]],
    table: NDArray[np.float32],
    train: NDArray[np.int64],
    known: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Describe perturbations by the sum of what describes their genes, and by how many there are.

    The table is centred and scaled as a whole over the genes of the training perturbations: directions in which genes
    differ much stay strong. A gene that the table does not know is described as the average of those.

    Args:
        genes: perturbed genes, as rows of the table.
        table: `[rows, D]`.
        train: perturbations that may be learned from.
        known: which rows say something, `[rows]`; None for all.

    Returns:
        `[P, D + 1]`.
    """
    told = np.ones(len(table), dtype=np.bool_) if known is None else known
    seen = np.unique(np.concatenate([genes[at] for at in train]))
    own = table[seen[told[seen]]].astype(np.float64)
    if not len(own):
        return np.asarray([[*np.zeros(table.shape[1]), float(len(one))] for one in genes])
    centre = own.mean(axis=0)
    size = float(np.sqrt(np.square(own - centre).sum(axis=1).mean())) or 1.0
    rows = [np.where(told[list(one)][:, None], (table[list(one)] - centre) / size, 0.0) for one in genes]
    return np.asarray([[*row.sum(axis=0), float(len(one))] for row, one in zip(rows, genes, strict=True)])


def ridge(
    x: NDArray[np.float64], change: NDArray[np.float32], learn: NDArray[np.int64]
) -> tuple[NDArray[np.float32], float]:
    """Regress changes on descriptions of the perturbed genes.

    ``min ||Y - X B - 1 bᵀ||² + α ||B||²``; α is the one with the least squared error when each of `learn` is left out.

    Args:
        x: descriptions of all perturbations, `[P, D]`.
        change: measured changes, at least of `learn`, `[n, G]` with n ≤ P.
        learn: rows that are learned from.

    Returns:
        Predictions `[P, G]` and α.
    """
    from sklearn.linear_model import RidgeCV
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        model = RidgeCV(alphas=PENALTIES).fit(x[learn], change[learn].astype(np.float64))
        predicted: NDArray[np.float32] = model.predict(x).astype(np.float32)
    return predicted, float(model.alpha_)


def kernel_ridge(
    x: NDArray[np.float64], change: NDArray[np.float32], learn: NDArray[np.int64]
) -> tuple[NDArray[np.float32], float]:
    """Regress pseudobulk changes on a Gaussian kernel of the descriptions.

    ``k(x, z) = exp(-||x - z||² / m)`` with m the median squared distance of those learned from. The features are the
    kernel's own (Nyström with all of `learn` is exact), so that an intercept and the choice of α are those of `ridge`.

    Args:
        x: descriptions of all perturbations, `[P, D]`.
        change: measured changes, at least of `learn`, `[n, G]` with n ≤ P.
        learn: rows that are learned from.

    Returns:
        Predictions `[P, G]` and α.
    """
    from scipy.spatial.distance import pdist
    from sklearn.kernel_approximation import Nystroem
    from threadpoolctl import threadpool_limits

    distances = pdist(x[learn], "sqeuclidean")
    scale = float(np.median(distances[distances > 0])) if (distances > 0).any() else 1.0
    with threadpool_limits(1):
        features = Nystroem(gamma=1 / scale, n_components=len(learn), random_state=0).fit(x[learn]).transform(x)
    return ridge(features, change, learn)


def nearest(x: NDArray[np.float64], change: NDArray[np.float32], learn: NDArray[np.int64]) -> NDArray[np.float32]:
    """Predict the change of the most similar perturbation of as many genes, else of any number.

    Similar is the cosine of the descriptions without their last column, which counts genes. A perturbation that is
    described by nothing gets the mean change.

    Args:
        x: descriptions of all perturbations, `[P, D + 1]`, of `summed`.
        change: measured changes, at least of `learn`, `[n, G]` with n ≤ P.
        learn: rows that are learned from.

    Returns:
        `[P, G]`.
    """
    sizes = np.linalg.norm(x[:, :-1], axis=1)
    units = x[:, :-1] / np.where(sizes > 0, sizes, 1)[:, None]
    similar = units @ units[learn].T
    same = x[:, -1:] == x[learn, -1]
    similar = np.where(same | ~same.any(axis=1, keepdims=True), similar, -np.inf)
    predicted = change[learn][similar.argmax(axis=1)]
    filled: NDArray[np.float32] = np.where(sizes[:, None] > 0, predicted, change[learn].mean(axis=0)).astype(np.float32)
    return filled
