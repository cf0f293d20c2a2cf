"""Shallow cells: the classifier of whole cells, asked about cells of which fewer transcripts were counted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.uses.base import Column, Use, use_row
from scgraph.data import CellStore
from scgraph.data.cells import SCALE
from scgraph.data.sampling.thinning import check_thinnable, count_values, thin_cells
from scgraph.errors import DataError
from scgraph.reporting.statistics import score

if TYPE_CHECKING:
    from scgraph.bench.uses.base import UseContext
    from scgraph.config import BenchConfig
    from scgraph.data import Cells
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.representations.base import Representation

__all__ = ["SHALLOW", "thinned_store"]

SHARES = (0.5, 0.2, 0.1)


def measure(representation: Representation, context: UseContext) -> list[dict[str, Any]]:
    """Return macro-F1 on the test part, each transcript of which was kept with chance 0.5, 0.2, 0.1.

    Features and classifier are those of whole cells: nothing is fitted anew.
    """
    truth = context.codes[context.split.test]
    rows = []
    for share in SHARES:
        features = representation(thinned_store(context, share))
        reached = score(truth, context.classifier.predict(features))["macro_f1"]
        rows.append(use_row("shallow", reached, level=share))
    return rows


def thinned_store(context: UseContext, share: float) -> CellStore:
    """Return the test cells at a share of their depth, the same cells for every representation."""
    key = ("shallow", share)
    if key not in context.shared:
        context.shared[key] = CellStore.from_cells(
            context.probe.cells.subset(context.split.test),
            context.stores.train.vocabulary,
            min_matched=context.settings.min_matched,
            change=partial(thinned_cells, share=share, seed=context.seed),
        )
    store: CellStore = context.shared[key]
    return store


def thinned_cells(cells: Cells, share: float, *, seed: int) -> Cells:
    """Return cells at a share of their depth, on the scale of what was read.

    Values that were read as log1p may be of cells whose other genes the file lacks, or scaled to another total than
    10,000: a thinned cell adds up to what the whole one does.
    """
    thinned = thin_cells(cells, share, seed=seed)
    if cells.kind == "counts":
        return thinned
    whole = cells.matrix.copy()
    whole.data = np.expm1(whole.data.astype(np.float64))
    matrix = thinned.matrix.copy()
    matrix.data = count_values(
        matrix.indptr.astype(np.int64), matrix.data.astype(np.int32), np.asarray(whole.sum(axis=1)).ravel() / SCALE
    )
    return replace(thinned, matrix=matrix, kind="log1p")


def refuse(probe: ProbeSet, settings: BenchConfig) -> str | None:
    """Say why cells have no counts that could be thinned."""
    try:
        check_thinnable(probe.cells)
    except DataError as error:
        return str(error).removeprefix(f"{probe.cells.name}: ")
    return None


SHALLOW = Use(
    name="shallow",
    help="test cells thinned to 50, 20 and 10 % of their counts, the classifier of whole cells; macro-F1",
    columns=tuple(
        Column(str(share), "macro_f1", f"{share:.0%} of the counts".replace("%", " %"), short)
        for share, short in zip(SHARES, (None, "20 % depth", None), strict=True)
    ),
    measure=measure,
    refuse=refuse,
)
