"""How well counts of hidden genes were predicted: the share of their multinomial deviance that is explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["deviance", "explained", "shared_out"]


def shared_out(fractions: NDArray[np.floating], hidden: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what each hidden gene is expected to have of the counts of the hidden genes of its cell.

    Args:
        fractions: of any total, none negative, ``[n, G]``; or ``[G]``, the same for all cells.
        hidden: which genes count, ``[n, G]``.

    Returns:
        ``[n, G]``, 0 where a gene is not hidden; rows add up to 1, or to 0 where no hidden gene is expected at all.
    """
    kept = np.where(hidden, fractions, 0.0).astype(np.float64)
    kept /= np.maximum(kept.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return kept


def deviance(counts: NDArray[np.floating], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute ``2 Σ_g x_g log(x_g / (T p_g))`` of every cell, 0 of a cell without counts.

    Args:
        counts: x, ``[n, G]``.
        expected: p, rows that add up to 1; ``T = Σ_g x_g``.

    Returns:
        ``[n]``, infinite where a gene that has counts is not expected to have any.
    """
    total = np.maximum(counts.sum(axis=1, keepdims=True, dtype=np.float64), 1)
    seen = counts > 0
    with np.errstate(divide="ignore"):
        logs = np.log(np.where(seen, counts, 1.0)) - np.log(np.where(seen, total * expected, 1.0))
    terms: NDArray[np.float64] = np.where(seen, counts * logs, 0.0).sum(axis=1)
    return 2 * terms


def explained(counts: NDArray[np.floating], expected: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Compute ``1 - Σ D(expected) / Σ D(reference)`` over the cells: 1 where the counts are predicted exactly.

    Args:
        counts: of the hidden genes, ``[n, G]``.
        expected: see `deviance`.
        reference: what scores 0, such as the means of the genes; see `deviance`.

    Returns:
        Not a number where no cell has a hidden count, or the reference is never wrong.
    """
    worst = float(deviance(counts, reference).sum())
    return float("nan") if worst == 0 else 1 - float(deviance(counts, expected).sum()) / worst
