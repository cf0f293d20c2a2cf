"""Silhouette of the labels and mixing of the batches, as the benchmarks of data integration measure them."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.uses.base import Column, Use, use_row
from scgraph.errors import ConfigError

if TYPE_CHECKING:
    from scgraph.bench.uses.base import UseContext
    from scgraph.representations.base import Representation

__all__ = ["SCIB", "check_scib"]

NEAREST = 90
"""Three times the perplexity of LISI, as its authors have it."""

MOST = 5000
"""Cells that are looked at: silhouettes take all pairs."""


def check_scib() -> None:
    """Refuse the use where its package is missing.

    Raises:
        ConfigError: as said.
    """
    if importlib.util.find_spec("scib_metrics") is None:
        raise ConfigError("scib needs the package scib-metrics: install scgraph-zoo[metrics], or leave this use out.")


def measure(representation: Representation, context: UseContext) -> list[dict[str, Any]]:
    """Return the silhouette of the labels and, where there are batches, iLISI of the features of the whole set.

    Both in [0, 1]: ``(1 + mean silhouette) / 2``, and ``(median LISI - 1) / (batches - 1)``, 1 where the neighbours of
    a cell are of all batches alike. Of more than 5,000 cells, 5,000 are drawn.

    Source: Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; LISI: Korsunsky et al. 2019,
    doi:10.1038/s41592-019-0619-0; computed by scib-metrics.
    """
    import scib_metrics
    from scib_metrics.nearest_neighbors import NeighborsResults
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    rows = np.arange(len(context.codes))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(context.seed).choice(rows, MOST, replace=False))
    x, codes = np.ascontiguousarray(context.features[rows]), context.codes[rows]
    found = [use_row("scib", float(scib_metrics.silhouette_label(x, codes)), metric="silhouette")]
    batches = None if context.batches is None else np.asarray(context.batches).astype(str)[rows]
    if batches is not None and len(np.unique(batches)) > 1:
        with threadpool_limits(1):
            nearest = NearestNeighbors(n_neighbors=min(NEAREST, len(x)), algorithm="brute").fit(x)
            distances, indices = nearest.kneighbors(x)
        neighbors = NeighborsResults(indices=indices, distances=distances)
        found.append(use_row("scib", float(scib_metrics.ilisi_knn(neighbors, batches)), metric="ilisi"))
    return found


SCIB = Use(
    name="scib",
    help="silhouette of the labels and mixing of the batches (iLISI), by scib-metrics",
    columns=(Column("", "silhouette", "silhouette of labels", "silhouette"), Column("", "ilisi", "iLISI of batches")),
    measure=measure,
)
