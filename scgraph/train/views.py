"""What a step sees of its cells: all their counts, or a part of them; and the part that is left to be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.sampling.hiding import hidden_genes, hidden_shares
from scgraph.data.sampling.thinning import (
    count_values,
    counts_of,
    kept_shares,
    row_sums,
    rows_without_counts,
    share_within,
    thin_counts,
)
from scgraph.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.config import TrainConfig
    from scgraph.data import CellStore

__all__ = ["CellView", "check_counts", "view_cells"]

_CHECKED = 20_000
_BLOCK = 2048


@dataclass(frozen=True)
class CellView:
    """Some cells, each as compressed rows.

    Attributes:
        starts: row starts of what is shown `[B + 1]`.
        genes: vocabulary ids `[N]`, ascending in a row.
        values: log1p of counts per 10,000, of the counts that are shown `[N]`.
        target_starts: row starts of what is to be predicted `[B + 1]`.
        target_genes: vocabulary ids `[M]`.
        target_shares: shares of the counts, which add up to 1 in a cell `[M]`.
    """

    starts: NDArray[np.int64]
    genes: NDArray[np.int32]
    values: NDArray[np.float32]
    target_starts: NDArray[np.int64]
    target_genes: NDArray[np.int32]
    target_shares: NDArray[np.float32]


def view_cells(store: CellStore, rows: NDArray[np.int64], config: TrainConfig, *, seed: int, epoch: int) -> CellView:
    """Return cells as a step sees them, a pure function of (seed, epoch, cell).

    Args:
        store: the cells.
        rows: which `[B]`.
        config: with `thinning`, the share of the counts of a cell that is shown is drawn log-uniform between the two,
            and what is left is to be predicted; without it all is shown, and is then to be predicted too. With
            `hidden_genes`, a part of the cells (`hidden_cells`) loses a share of its genes as well, drawn uniform
            between the two, and all their counts are to be predicted.
        seed: of the run.
        epoch: epoch.

    Raises:
        DataError: a cell is to be thinned whose counts are not known.
    """
    starts, genes, values = store.entries(rows)
    if config.thinning is None:
        return CellView(starts, genes, values, starts, genes, _shares(starts, np.expm1(values.astype(np.float64))))
    counts = counts_of(starts, values)
    unknown = rows_without_counts(starts, counts)
    if len(unknown):
        raise DataError(_refusal(store, rows[unknown]))
    keys = store.keys[rows]
    kept = thin_counts(
        starts, genes, counts, keys, kept_shares(keys, config.thinning, seed=seed, epoch=epoch), seed=seed, epoch=epoch
    )
    if config.hidden_genes is not None:
        hidden = hidden_shares(keys, config.hidden_genes, cells=config.hidden_cells, seed=seed, epoch=epoch)
        kept[hidden_genes(starts, genes, keys, hidden, seed=seed, epoch=epoch)] = 0
    within = share_within(starts, values)
    shown, left = kept > 0, counts > kept
    shown_starts, left_starts = _starts_of(starts, shown), _starts_of(starts, left)
    return CellView(
        shown_starts,
        genes[shown],
        count_values(shown_starts, kept[shown], within),
        left_starts,
        genes[left],
        _shares(left_starts, (counts - kept)[left].astype(np.float64)),
    )


def check_counts(store: CellStore) -> None:
    """Refuse cells that cannot be thinned, before a training begins: all of 20,000, or the first of more.

    Raises:
        DataError: the counts of a cell are not known.
    """
    for first in range(0, min(len(store), _CHECKED), _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, len(store)))
        starts, _, values = store.entries(rows)
        unknown = rows_without_counts(starts, counts_of(starts, values))
        if len(unknown):
            raise DataError(_refusal(store, rows[unknown]))


def _refusal(store: CellStore, rows: NDArray[np.int64]) -> str:
    return (
        "train.thinning needs counts, and the values of some cells are no whole multiples of one unit: "
        f"{store.describe(rows[:5].tolist())}. Give the file of counts, or set train.thinning to null."
    )


def _shares(starts: NDArray[np.int64], numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    shares: NDArray[np.float32] = (
        numbers / np.repeat(np.maximum(row_sums(starts, numbers), 1e-12), np.diff(starts))
    ).astype(np.float32)
    return shares


def _starts_of(starts: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the row starts of the chosen entries."""
    return np.concatenate([[0], np.cumsum(chosen)])[starts].astype(np.int64)
