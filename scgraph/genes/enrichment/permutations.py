"""Whether edges between genes of one family are stronger than chance: permutation tests on a matrix of weights.

`scipy.stats.permutation_test` knows no permutation within bins and would draw anew for every statistic, so the few
lines stand here; one set of permutations serves all statistics, families and networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.genes.enrichment.networks import strongest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["ALL", "STATISTICS", "family_tests", "matched_orders", "plain_orders"]

ALL = "all"
"""The row that takes the mean over the families, each counting the same."""

STATISTICS = ("weight", "share", "specific")
_GATHERED = 2**22


def plain_orders(genes: int, permutations: int, *, seed: int) -> NDArray[np.int32]:
    """Return permutations of the genes, ``[P, n]``."""
    orders = np.tile(np.arange(genes, dtype=np.int32), (permutations, 1))
    return np.random.default_rng([seed, 0]).permuted(orders, axis=1, out=orders)


def matched_orders(level: NDArray[np.floating], permutations: int, *, bins: int, seed: int) -> NDArray[np.int32]:
    """Return permutations that keep every gene within its bin of `level`, ``[P, n]``; bins have equal size.

    Args:
        level: mean expression or detection rate of every gene ``[n]``.
        permutations: how many, P.
        bins: quantiles of `level`.
        seed: of the permutations.
    """
    rng = np.random.default_rng([seed, 1])
    orders = np.tile(np.arange(len(level), dtype=np.int32), (permutations, 1))
    for genes in np.array_split(np.argsort(level, kind="stable"), min(bins, len(level))):
        orders[:, genes] = rng.permuted(orders[:, genes], axis=1)
    return orders


def family_tests(
    matrix: NDArray[np.float32],
    families: Mapping[str, Sequence[int]],
    orders: Mapping[str, NDArray[np.int32]],
    *,
    top_k: int,
) -> list[dict[str, Any]]:
    """Test three statistics of every family, and their means over the families, one-sided for larger than chance.

    ``weight``: mean over the ordered pairs i ≠ j of a family of ``w_ij`` minus the mean of row i.
    ``specific``: the same once the mean of column j is taken off too, so that genes that send much to everybody
    count for nothing.
    ``share``: of the `top_k` strongest senders of a member, the share that is of its family, over the largest
    possible. Chance gives the whole labels of the families to the genes of a permutation;
    ``p = (1 + #{null ≥ observed}) / (1 + P)`` (Phipson and Smyth, 2010).

    Args:
        matrix: weight of what gene j (column) sends to gene i (row), ``[n, n]``; overwritten, its diagonal not read.
        families: positions of the members.
        orders: permutations ``[P, n]`` by name.
        top_k: senders of a gene.

    Returns:
        One row a kind of permutation and family, `ALL` first: permutation, family, genes, and for every statistic
        itself, ``_chance`` (mean of the null), ``_z`` and ``_p``.
    """
    members = {name: np.asarray(found) for name, found in families.items()}
    observed: dict[tuple[str, str], float] = {}
    null: dict[tuple[str, str, str], NDArray[np.float64]] = {}
    for statistic in STATISTICS:
        prepared = _prepared(matrix, statistic, top_k)
        for family, genes in members.items():
            scale = 1.0
            if statistic == "share":
                scale = (len(genes) - 1) / min(top_k, len(genes) - 1)
            observed[statistic, family] = scale * float(_pair_means(prepared, genes[None])[0])
            for kind, permuted in orders.items():
                null[statistic, kind, family] = scale * _pair_means(prepared, permuted[:, genes])
        observed[statistic, ALL] = float(np.mean([observed[statistic, family] for family in members]))
        for kind in orders:
            null[statistic, kind, ALL] = np.mean([null[statistic, kind, family] for family in members], axis=0)
    sizes = {ALL: sum(len(genes) for genes in members.values())} | {name: len(found) for name, found in members.items()}
    rows = []
    for kind in orders:
        for family, size in sizes.items():
            row: dict[str, Any] = {"permutation": kind, "family": family, "genes": size}
            for statistic in STATISTICS:
                found, chance = observed[statistic, family], null[statistic, kind, family]
                spread = float(chance.std(ddof=1)) if len(chance) > 1 else 0.0
                row |= {
                    statistic: found,
                    f"{statistic}_chance": float(chance.mean()),
                    f"{statistic}_z": (found - float(chance.mean())) / spread if spread > 0 else float("nan"),
                    # Sums of the same numbers in another order differ in their last bits; a tie is a tie.
                    f"{statistic}_p": (1 + int((chance >= found - 1e-9 * abs(found)).sum())) / (1 + len(chance)),
                }
            rows.append(row)
    return rows


def _prepared(matrix: NDArray[np.float32], statistic: str, top_k: int) -> NDArray[Any]:
    """Return what the pairs of a statistic are read from; called in the order of `STATISTICS`."""
    n = len(matrix)
    if statistic == "weight":
        np.fill_diagonal(matrix, 0)
        matrix -= (matrix.sum(axis=1, dtype=np.float64) / (n - 1)).astype(np.float32)[:, None]
        np.fill_diagonal(matrix, 0)
        return matrix
    if statistic == "specific":
        matrix -= (matrix.sum(axis=0, dtype=np.float64) / (n - 1)).astype(np.float32)
        np.fill_diagonal(matrix, 0)
        return matrix
    chosen = strongest(matrix, top_k)
    np.fill_diagonal(matrix, 0)
    return chosen


def _pair_means(matrix: NDArray[Any], genes: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the mean over the ordered pairs i ≠ j of each set of genes, ``[P, m]`` to ``[P]``; the diagonal is 0."""
    size = genes.shape[1]
    step = max(1, _GATHERED // size**2)
    sums = [
        matrix[part[:, :, None], part[:, None, :]].sum(axis=(1, 2), dtype=np.float64)
        for part in (genes[start : start + step] for start in range(0, len(genes), step))
    ]
    means: NDArray[np.float64] = np.concatenate(sums) / (size * (size - 1))
    return means
