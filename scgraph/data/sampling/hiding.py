"""Genes that a cell is shown without, as a panel leaves them out: a pure function of (seed, epoch, cell, gene).

Thinning lowers the counts of all genes alike and so leaves out what is rare. Here whole genes go, however many counts
they have, and what is left says what they would have had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.sampling.hashing import GOLDEN, mix_array, stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["hidden_genes", "hidden_shares"]

_CELL, _SHARE, _GENE = 6, 7, 8
_11 = np.uint64(11)


def hidden_shares(
    keys: NDArray[np.uint64], shares: tuple[float, float], *, cells: float, seed: int, epoch: int
) -> NDArray[np.float64]:
    """Draw the share of its genes that each cell is shown without, `[n]`.

    Args:
        keys: Hash of the content of every cell `[n]`.
        shares: The share is uniform between these.
        cells: Chance of a cell to be shown without genes at all; of the others the share is 0.
        seed: Seed of the run.
        epoch: Epoch.
    """
    low, high = shares
    drawn = low + (high - low) * _uniform(keys ^ stream(_SHARE, seed, epoch))
    return np.where(_uniform(keys ^ stream(_CELL, seed, epoch)) < cells, drawn, 0.0)


def hidden_genes(
    indptr: NDArray[np.int64],
    genes: NDArray[np.int32],
    keys: NDArray[np.uint64],
    shares: NDArray[np.float64],
    *,
    seed: int,
    epoch: int,
) -> NDArray[np.bool_]:
    """Choose the genes of each cell to hide: gene g of cell c where ``hash(seed, epoch, c, g) / 2⁶⁴ < share_c``.

    Args:
        indptr: Row starts `[n + 1]`.
        genes: Vocabulary ids `[nnz]`.
        keys: Hash of the content of every cell `[n]`.
        shares: Share of every cell, in `[0, 1]` `[n]`.
        seed: Seed of the run.
        epoch: Epoch.

    Returns:
        `[nnz]`.
    """
    lengths = np.diff(indptr)
    start = mix_array(keys ^ stream(_GENE, seed, epoch))
    hidden: NDArray[np.bool_] = _uniform(np.repeat(start, lengths) + genes.astype(np.uint64) * GOLDEN) < np.repeat(
        shares, lengths
    )
    return hidden


def _uniform(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return numbers in `[0, 1)` of 53 bits, of hashes that are scrambled once more."""
    return (mix_array(hashes) >> _11).astype(np.float64) * 2.0**-53
