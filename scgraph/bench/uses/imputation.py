"""Imputation: half of the genes of a cell hidden, what they have of their counts predicted from the other half."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.reconstruction import components_of_visible, reconstruct, vectors_of_visible
from scgraph.bench.uses.base import Column, Use, use_row
from scgraph.bench.uses.hidden import hide_in_parts
from scgraph.data.sampling.thinning import check_thinnable
from scgraph.errors import DataError
from scgraph.representations.base import ModelRepresentation, SideBySide
from scgraph.representations.components import ComponentRepresentation
from scgraph.train.expected import expected_fractions, expects_counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scgraph.bench.uses.base import UseContext
    from scgraph.bench.uses.hidden import HiddenGenes, HiddenPart
    from scgraph.config import BenchConfig
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.representations.base import Representation

__all__ = ["IMPUTATION"]

NEAREST = 30
_PENALTIES = (1e-2, 1e-1, 1.0, 10.0)
Features = tuple["NDArray[np.float32]", "NDArray[np.float32]", "NDArray[np.float32]"]
Predictions = tuple["NDArray[np.floating]", "NDArray[np.floating]"]


def measure(representation: Representation, context: UseContext) -> list[dict[str, Any]]:
    """Return the deviance explained of the hidden counts, predicted in up to three ways from the visible genes.

    - `ridge`: a ridge regression of whole cells on the features of their visible genes, fitted on the train part, its
      penalty chosen on the validation part;
    - `neighbors`: the counts of the 30 train cells whose features are nearest;
    - `own`: what the representation says of all genes by itself: the decoder of a model that was trained on counts,
      components turned back into values. Where there is none, there is no such row.

    The train cells have half of their genes hidden too. Features are those of `scgraph.bench.reconstruction`:
    components that fit the visible genes best, vectors of models with the hidden genes filled in.
    """
    task = hide_in_parts(context)
    parts = (task.train, task.validation, task.test)
    train, validation, test = (_features(representation, part) for part in parts)
    features = train, validation, test
    scores = {
        "own": _own(representation, task, features),
        "ridge": task.score(list(ridge(task, features))),
        "neighbors": task.score([neighbors(task, features)]),
    }
    return [
        use_row("imputation", score, level=level, metric="deviance_explained")
        for level, score in scores.items()
        if score is not None
    ]


def ridge(task: HiddenGenes, features: Features) -> Iterator[Predictions]:
    """Predict ``expm1(max(0, ȳ + (z - z̄) B))`` with ``B = argmin ‖Y - Z B‖² + λ n s ‖B‖²``, for every penalty λ.

    Y are log1p of the counts of whole train cells, scaled to one a scored gene on average; Z the centred features, s
    the mean of their variances.
    """
    counts = task.train.counts.astype(np.float64)
    y = np.log1p(counts * (counts.shape[1] / np.maximum(counts.sum(axis=1, keepdims=True), 1)))
    mean, centre = y.mean(axis=0), features[0].mean(axis=0, dtype=np.float64)
    z, *others = (x - centre for x in features)
    product, right = z.T @ z, z.T @ (y - mean)
    scale = float(np.trace(product)) / len(product) or 1.0
    for penalty in _PENALTIES:
        weights = np.linalg.solve(product + penalty * scale * np.eye(len(product)), right)
        validation, test = (np.expm1(np.clip(mean + x @ weights, 0, np.log1p(y.shape[1]))) for x in others)
        yield validation, test


def neighbors(task: HiddenGenes, features: Features) -> Predictions:
    """Predict the sum of the counts of the nearest train cells."""
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    counts = task.train.counts
    with threadpool_limits(1):
        model = NearestNeighbors(n_neighbors=min(NEAREST, len(counts)), algorithm="brute").fit(features[0])
        validation, test = (counts[model.kneighbors(x, return_distance=False)].sum(axis=1) for x in features[1:])
    return validation, test


def _own(representation: Representation, task: HiddenGenes, features: Features) -> float | None:
    predictions: list[NDArray[np.floating] | None] = [None, None]
    if isinstance(representation, ComponentRepresentation):
        predictions = [reconstruct(representation.components, x, task.genes) for x in features[1:]]
    elif isinstance(representation, ModelRepresentation) and expects_counts(representation.model, representation.train):
        predictions = [expected_fractions(representation.model, x)[:, task.genes - 1] for x in features[1:]]
    validation, test = predictions
    return None if validation is None or test is None else task.score([(validation, test)])


def _features(representation: Representation, part: HiddenPart) -> NDArray[np.float32]:
    if isinstance(representation, ComponentRepresentation):
        return components_of_visible(representation.components, representation.width, part.visible, part.hidden)
    if isinstance(representation, ModelRepresentation):
        return vectors_of_visible(representation, part.visible, part.hidden)
    if isinstance(representation, SideBySide):
        return representation.joined([_features(block, part) for block in representation.blocks])
    return representation(part.visible)


def refuse(probe: ProbeSet, settings: BenchConfig) -> str | None:
    """Say why cells have no counts that could be predicted."""
    try:
        check_thinnable(probe.cells)
    except DataError as error:
        return str(error)
    return None


IMPUTATION = Use(
    name="imputation",
    help="half of the genes of test cells hidden; deviance explained of their counts",
    columns=(
        Column("own", "deviance_explained", "hidden counts, own decoder"),
        Column("ridge", "deviance_explained", "hidden counts, ridge", "imputation"),
        Column("neighbors", "deviance_explained", "hidden counts, 30 neighbours"),
    ),
    measure=measure,
    refuse=refuse,
)
