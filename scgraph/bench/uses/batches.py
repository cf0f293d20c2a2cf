"""Held-out batches: labels of some donors or studies, cells of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.uses.base import Column, Use, use_row
from scgraph.errors import argument
from scgraph.reporting.statistics import score
from scgraph.representations.classifier import INVERSE_PENALTIES, fit_classifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from scgraph.bench.uses.base import UseContext
    from scgraph.config import BenchConfig
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.representations.base import Representation

__all__ = ["BATCHES", "folds"]

PENALTIES = tuple(penalty for penalty in INVERSE_PENALTIES if penalty <= 10)
"""C to choose among: the weaker ones of the main row take half of the time of a fold."""

Fold = tuple[str, "NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]


def measure(representation: Representation, context: UseContext) -> list[dict[str, Any]]:
    """Return macro-F1 on every batch, of a classifier that learned from the others.

    The representation is that of the main row: cells of a held-out batch that stand in the train part were seen when
    it was fitted, without labels.
    """
    assert context.batches is not None
    x, codes = context.features, context.codes
    rows = []
    for name, train, validation, test in folds(
        codes, context.batches, seed=context.seed, share=context.settings.validation_share
    ):
        known = x[train], codes[train], x[validation], codes[validation]
        classifier = fit_classifier(*known, classes=len(context.probe.classes), penalties=PENALTIES)
        reached = score(codes[test], classifier.predict(x[test]))["macro_f1"]
        rows.append(use_row("batches", reached, draw=name))
    return rows


def folds(codes: NDArray[np.int64], batches: ArrayLike, *, seed: int, share: float) -> Iterator[Fold]:
    """Hold out every batch in turn.

    Args:
        codes: class codes `[n]`.
        batches: batch of every cell `[n]`.
        seed: of the validation part.
        share: of the cells of the other batches that choices are made on, drawn within each class.

    Yields:
        Name of the batch; rows to fit on and to choose on, of the other batches; rows of the batch to score: those of
        classes that the rows to fit on have. Batches with fewer than two such classes have nothing to tell apart and
        are left out.
    """
    names = np.asarray(batches).astype(str)
    for number, name in enumerate(np.unique(names)):
        others = np.flatnonzero(names != name)
        if not len(others):
            return
        order = np.random.default_rng([seed, number]).permutation(others)
        chosen_on = [rows[: round(share * len(rows))] for rows in (order[codes[order] == k] for k in np.unique(codes))]
        validation = np.sort(np.concatenate(chosen_on))
        train = np.setdiff1d(others, validation)
        test = np.flatnonzero((names == name) & np.isin(codes, codes[train]))
        if len(validation) and len(np.unique(codes[test])) > 1:
            yield str(name), train, validation, test


def refuse(probe: ProbeSet, settings: BenchConfig) -> str | None:
    """Say why no batch can be held out."""
    if probe.cells.batches is None:
        return f"no batch column was named ({argument('batch_key')})"
    if not any(folds(probe.codes, probe.cells.batches, seed=0, share=settings.validation_share)):
        return "no batch has two classes that other batches have too"
    return None


BATCHES = Use(
    name="batches",
    help="every batch of --batch-key held out in turn, labels from the others; macro-F1",
    columns=(Column("", "macro_f1", "held-out batches", "batches"),),
    measure=measure,
    refuse=refuse,
)
