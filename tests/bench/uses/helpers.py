"""A labelled set and what a use sees of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.uses.base import UseContext
from scgraph.config_files import as_bench_config
from scgraph.data.sets.corpus import NO_CORPUS
from scgraph.data.sets.labelled import read_probe_sets, split_of
from scgraph.data.sets.stores import make_stores
from scgraph.representations.classifier import fit_classifier
from tests.helpers import QUICK

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.data import CellStore

__all__ = ["GeneValues", "make_context", "with_features"]


@dataclass
class GeneValues:
    """The values of all genes; keeps what it was asked about."""

    name: str = "values"

    def __post_init__(self) -> None:
        self.asked: list[CellStore] = []

    def __call__(self, store: CellStore) -> NDArray[np.float32]:
        self.asked.append(store)
        return store.matrix().toarray().astype(np.float32)


def make_context(data: AnnData | Path, *, batch_key: str | None = None, **settings: Any) -> UseContext:
    """Divide a set and fit the classifier of the main row on the values of its genes."""
    config = as_bench_config(QUICK | settings)
    probe = read_probe_sets([data], batch_key=batch_key)[0]
    split = split_of(probe, config, seed=0)
    stores = make_stores(probe, split, NO_CORPUS, config, seed=0, drop_leaks=True)
    x, y = GeneValues()(stores.probe), probe.codes
    rows, chosen_on = split.train, split.validation
    classifier = fit_classifier(x[rows], y[rows], x[chosen_on], y[chosen_on], classes=len(probe.classes))
    return UseContext(
        probe=probe, split=split, stores=stores, seed=0, settings=config, features=x, classifier=classifier
    )


def with_features(context: UseContext, features: NDArray[Any]) -> UseContext:
    """Return the same context for a representation with these features of all cells."""
    return replace(context, features=np.asarray(features, dtype=np.float32))
