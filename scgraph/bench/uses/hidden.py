"""Cells with half of their genes hidden: what predicts the hidden counts sees, and what it is scored on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.bench.deviance import deviance, explained, shared_out
from scgraph.data import CellStore, mask_values
from scgraph.data.components import Residuals, known_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scgraph.bench.uses.base import UseContext

__all__ = ["HiddenGenes", "HiddenPart", "hide_genes", "hide_in", "hide_in_parts"]

SHARE = 0.5
GENES = 1000
"""Genes that are scored: those whose Pearson residuals vary most in the train part."""

MOST = {"train": 2000, "validation": 500, "test": 500}
_CHOSEN_ON = 1000
_MIXTURES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Shares of the gene means in a prediction, so that no hidden count is impossible."""


@dataclass(frozen=True, eq=False)
class HiddenPart:
    """Cells of one part of the split.

    Attributes:
        visible: the cells without their hidden genes; what is left has the values of the whole cell.
        hidden: which genes of the vocabulary are hidden, expressed or not, ``[n, V]``.
        counts: of the scored genes, hidden or not, ``[n, G]``.
    """

    visible: CellStore
    hidden: NDArray[np.bool_]
    counts: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HiddenGenes:
    """One task: predict what the hidden genes have of their total in a cell.

    Attributes:
        genes: ids of the scored genes, ascending, ``[G]``.
        means: share of each in the counts of the train part, ``[G]``.
        train: to fit on.
        validation: to choose on.
        test: to score on.
    """

    genes: NDArray[np.int64]
    means: NDArray[np.float64]
    train: HiddenPart
    validation: HiddenPart
    test: HiddenPart

    def score(self, predictions: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]]) -> float:
        """Return the deviance explained on the test part by the prediction that is best on the validation part.

        Args:
            predictions: to choose from; each for the validation and for the test part, in units that are proportional
                to counts within a cell, ``[n, G]``. Each is tried with shares of the gene means mixed in.

        Returns:
            0 at the gene means of the train part, 1 where the counts are predicted exactly.
        """
        best: tuple[float, float, NDArray[np.floating]] | None = None
        for validation, test in predictions:
            for share in _MIXTURES:
                counts, expected, _ = self._compared(self.validation, validation, share)
                reached = float(deviance(counts, expected).sum())
                if best is None or reached < best[0]:
                    best = reached, share, test
        assert best is not None
        return explained(*self._compared(self.test, best[2], best[1]))

    def _compared(
        self, part: HiddenPart, prediction: NDArray[np.floating], share: float
    ) -> tuple[NDArray[np.floating], NDArray[np.float64], NDArray[np.float64]]:
        """Return counts of the hidden genes, what is expected of them, and what the gene means expect."""
        hidden = part.hidden[:, self.genes - 1]
        means = shared_out(self.means, hidden)
        expected = (1 - share) * shared_out(prediction, hidden) + share * means
        expected /= np.maximum(expected.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        return part.counts * hidden, expected, means


def hide_genes(store: CellStore, *, seed: int) -> NDArray[np.bool_]:
    """Choose the hidden genes of every cell, with chance 1/2, expressed or not, by (seed, cell) alone ``[n, V]``."""
    every = np.broadcast_to(np.arange(1, len(store.vocabulary) + 1), (len(store), len(store.vocabulary)))
    return mask_values(every, store.keys, share=SHARE, seed=seed, epoch=0, at_least=0)


def hide_in(store: CellStore, genes: NDArray[np.int64], *, seed: int) -> HiddenPart:
    """Hide genes of cells.

    Args:
        store: the cells.
        genes: ids of the genes that are scored.
        seed: of the choice.

    Raises:
        DataError: the counts of a cell are not known.
    """
    hidden = hide_genes(store, seed=seed)
    starts, ids, values = store.entries(np.arange(len(store)))
    rows = np.repeat(np.arange(len(store)), np.diff(starts))
    kept = ~hidden[rows, ids - 1]
    lengths = np.bincount(rows[kept], minlength=len(store))
    visible = CellStore.from_arrays(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        ids[kept],
        values[kept],
        store.keys,
        store.vocabulary,
        store.match_note,
        origin=store.origin,
    )
    counts = known_counts(store)[:, genes - 1].toarray().astype(np.float32)
    return HiddenPart(visible, hidden, counts)


def hide_in_parts(context: UseContext) -> HiddenGenes:
    """Make the task of a set and seed, the same for every representation, of so many cells as stay cheap."""
    key = ("imputation",)
    if key not in context.shared:
        split, probe = context.split, context.stores.probe
        rows = {name: _drawn(getattr(split, name), most, seed=context.seed) for name, most in MOST.items()}
        chosen_on = probe.subset(_drawn(rows["train"], _CHOSEN_ON, seed=context.seed))
        genes = Residuals.fit(chosen_on, GENES).genes
        parts = {name: hide_in(probe.subset(own), genes, seed=context.seed) for name, own in rows.items()}
        sums = parts["train"].counts.sum(axis=0, dtype=np.float64)
        context.shared[key] = HiddenGenes(genes, sums / sums.sum(), **parts)
    task: HiddenGenes = context.shared[key]
    return task


def _drawn(rows: NDArray[np.int64], most: int, *, seed: int) -> NDArray[np.int64]:
    return rows if len(rows) <= most else np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
