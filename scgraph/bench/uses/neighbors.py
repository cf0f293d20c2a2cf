"""Nearest neighbours: what clustering, maps and label transfer by neighbours see of a representation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.uses.base import Column, Use, use_row
from scgraph.reporting.statistics import score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.bench.uses.base import UseContext
    from scgraph.representations.base import Representation

__all__ = ["NEIGHBORS", "purity"]

NEAREST = 15
MOST_ASKED = 5000
"""Cells whose neighbours are looked at for purity: the mean over them is known to a percent."""


def measure(representation: Representation, context: UseContext) -> list[dict[str, Any]]:
    """Return macro-F1 of the majority of the 15 nearest train cells on the test part, and purity in the whole set.

    Distances are Euclidean on the features as they are; on a tie the class that comes first in the alphabet is taken.
    """
    from sklearn.neighbors import KNeighborsClassifier
    from threadpoolctl import threadpool_limits

    split, codes, x = context.split, context.codes, context.features
    with threadpool_limits(1):
        model = KNeighborsClassifier(min(NEAREST, len(split.train)), algorithm="brute")
        predicted = model.fit(x[split.train], codes[split.train]).predict(x[split.test])
        pure = purity(x, codes, seed=context.seed)
    return [
        use_row("neighbors", score(codes[split.test], predicted)["macro_f1"]),
        use_row("neighbors", pure, metric="purity"),
    ]


def purity(x: NDArray[np.float32], codes: NDArray[np.int64], *, seed: int) -> float:
    """Return the mean share of the 15 nearest other cells that have the class of the cell.

    Of more than 5,000 cells, 5,000 are drawn and asked; their neighbours are sought among all.

    Args:
        x: features `[n, C]`.
        codes: class codes `[n]`.
        seed: of the draw.
    """
    from sklearn.neighbors import NearestNeighbors

    asked = np.arange(len(x))
    if len(x) > MOST_ASKED:
        asked = np.sort(np.random.default_rng(seed).choice(asked, MOST_ASKED, replace=False))
    nearest = min(NEAREST, len(x) - 1)
    model = NearestNeighbors(n_neighbors=nearest + 1, algorithm="brute").fit(x)
    found = model.kneighbors(x[asked], return_distance=False)
    # A cell is not always the first of its own neighbours: another may have the same features.
    other = found != asked[:, None]
    other[other.all(1), -1] = False
    neighbours = found[other].reshape(len(asked), nearest)
    return float((codes[neighbours] == codes[asked, None]).mean())


NEIGHBORS = Use(
    name="neighbors",
    help="15 nearest neighbours: macro-F1 of their majority, and the share of them with the same label",
    columns=(
        Column("", "macro_f1", "15 neighbours", "neighbours"),
        Column("", "purity", "neighbour purity"),
    ),
    measure=measure,
)
