"""A classifier of cells: from what was read to labels with probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.annotate.calibration import probabilities
from scgraph.annotate.measure import expanded
from scgraph.display import short_repr
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from scgraph.annotate.features import FeatureMap
    from scgraph.annotate.novelty import NoveltyScale
    from scgraph.data import Cells
    from scgraph.representations.classifier import Classifier

__all__ = ["NEIGHBORS", "CellClassifier", "Predicted", "vote"]

NEIGHBORS = 15
"""Cells that vote on the label of a cell, itself included."""


@short_repr
@dataclass(frozen=True, eq=False)
class CellClassifier:
    """Labels cells: ``softmax(logits(features(cell)) / T)``.

    Attributes:
        name: of the candidate that it is.
        features: from cells to features.
        regression: from features to logits.
        classes: names of all classes K, by code.
        temperature: T.
        threshold: probability below which a cell is unknown.
        novelty: how unlike every class a cell is; None for a classifier of format 1, which did not ask.
        max_novelty: novelty above which a cell is unknown.
        record: how it came about: reference, label, candidates, scores, left-out classes, versions.
    """

    name: str
    features: FeatureMap
    regression: Classifier
    classes: tuple[str, ...]
    temperature: float
    threshold: float
    novelty: NoveltyScale | None
    max_novelty: float
    record: dict[str, Any]

    def predict(self, blocks: Iterable[Cells], cells: int) -> Predicted:
        """Return the probabilities of all classes for the cells of a source.

        Args:
            blocks: its cells that have a count.
            cells: how many it has in all.

        Raises:
            DataError: the counts of a cell are needed and not known, or its features are not finite.
        """
        probability = np.zeros((cells, len(self.classes)))
        novelty = np.full(cells, np.nan)
        features: NDArray[np.float32] | None = None
        counted = np.zeros(cells, dtype=bool)
        for block in blocks:
            store = self.features.store(block)
            x = self.features.representation(store)
            wrong = np.flatnonzero(~np.isfinite(x).all(axis=1))
            if len(wrong):
                raise DataError(
                    f"{block.manifest['source']}: the features of cell {str(block.obs_names[wrong[0]])!r} are not "
                    "finite. Look at its values."
                )
            if features is None:
                features = np.zeros((cells, x.shape[1]), dtype=np.float32)
            features[block.rows] = x
            counted[block.rows] = np.diff(store.indptr) > 0
            probability[block.rows] = probabilities(expanded(self.regression, x, len(self.classes)), self.temperature)
            if self.novelty is not None:
                novelty[block.rows] = self.novelty(x)
        probability[~counted] = 0
        novelty[~counted] = np.nan
        features = np.zeros((cells, 0), np.float32) if features is None else features
        return Predicted(probability, novelty, features, counted)


@short_repr
@dataclass(frozen=True, eq=False)
class Predicted:
    """What a classifier says of cells.

    Attributes:
        probability: of every class, `[n, K]`; zeros for a cell without any count on its genes.
        novelty: share of held-out cells of the reference that are less unlike its classes, `[n]`; NaN where it is not
            known.
        features: `[n, C]`.
        counted: whether the cell has such a count, `[n]`.
    """

    probability: NDArray[np.float64]
    novelty: NDArray[np.float64]
    features: NDArray[np.float32]
    counted: NDArray[np.bool_]


def vote(predicted: Predicted) -> NDArray[np.float64]:
    """Return the mean probability over the nearest cells in the features, a cell itself included, `[n, K]`."""
    from sklearn.neighbors import NearestNeighbors

    rows = np.flatnonzero(predicted.counted)
    result = predicted.probability.copy()
    if not len(rows):
        return result
    x = predicted.features[rows]
    near = NearestNeighbors(n_neighbors=min(NEIGHBORS, len(rows))).fit(x).kneighbors(x, return_distance=False)
    for place, row in enumerate(rows):
        result[row] = predicted.probability[rows[near[place]]].mean(axis=0)
    return result
