"""Few labels: how good a representation is where somebody names a handful of cells of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.uses.base import Column, Use, use_row
from scgraph.reporting.statistics import score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.bench.uses.base import UseContext
    from scgraph.representations.base import Representation

__all__ = ["FEW", "draw_labelled"]

LABELS = (5, 10, 20)
DRAWS = 8
INVERSE_PENALTY = 0.3
"""C of scikit-learn for every row: five cells a class leave none to choose it on."""


def measure(representation: Representation, context: UseContext) -> list[dict[str, Any]]:
    """Return macro-F1 on the test part of a regression that learned from few cells of each class.

    With features x, their mean m and the mean v of their variances over the train part (labels not looked at), it
    learns from (x - m) / √v of the drawn cells: one scale for all channels, so that directions of little variance stay
    small. No cell outside of the train part is learned from.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    split, codes = context.split, context.codes
    train = context.features[split.train].astype(np.float64)
    mean, scale = train.mean(0), np.sqrt(train.var(0).mean()) or 1.0
    test = (context.features[split.test] - mean) / scale
    rows = []
    with threadpool_limits(1):
        for labels in LABELS:
            for draw in range(DRAWS):
                picked = draw_labelled(codes[split.train], labels, seed=context.seed, draw=draw)
                model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
                model.fit((train[picked] - mean) / scale, codes[split.train][picked])
                reached = score(codes[split.test], model.predict(test))["macro_f1"]
                rows.append(use_row("few", reached, level=labels, draw=draw))
    return rows


def draw_labelled(codes: NDArray[np.int64], labels: int, *, seed: int, draw: int) -> NDArray[np.int64]:
    """Draw `labels` cells of each class, all of a class that has fewer; more labels hold the cells of fewer.

    Args:
        codes: class codes of the train part, `[n]`.
        labels: cells of a class.
        seed: of the repetition.
        draw: number of the draw.

    Returns:
        Places in `codes`, ascending: the same for every representation.
    """
    order = np.random.default_rng([seed, draw]).permutation(len(codes))
    first = [order[codes[order] == code][:labels] for code in np.unique(codes)]
    return np.sort(np.concatenate(first))


FEW = Use(
    name="few",
    help="5, 10 and 20 labels a class, drawn 8 times from the train part; macro-F1",
    columns=tuple(
        Column(str(labels), "macro_f1", f"{labels} labels a class", "5 labels" if labels == 5 else None)
        for labels in LABELS
    ),
    measure=measure,
)
