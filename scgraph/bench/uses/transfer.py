"""Another data set: the classifier of one set, asked about the cells of another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.uses.base import ANY_LEVEL, Column, Use, use_row
from scgraph.data import find_leaks
from scgraph.data.files.names import examples
from scgraph.data.sets.classes import check_pairs, read_pairs, share_classes
from scgraph.data.sets.corpus import store_of
from scgraph.data.sets.labelled import read_spooled_set
from scgraph.errors import DataError, argument
from scgraph.reporting.statistics import score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.bench.uses.base import UseContext
    from scgraph.data import CellStore, Vocabulary
    from scgraph.data.cells import AnyCells
    from scgraph.data.sets.classes import Pairs, SharedClasses
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.representations.base import Representation

__all__ = ["TRANSFER", "Target", "check_genes", "read_targets", "transfer_use"]


@dataclass(frozen=True, eq=False)
class Target:
    """What is asked about one file after learning from one set.

    Attributes:
        cells: of the file, of shared classes.
        truth: place of the class of each among the shared ones, `[n]`.
        shared: the classes.
        note: what was left out.
    """

    cells: AnyCells[Any]
    truth: NDArray[np.int64]
    shared: SharedClasses
    note: str


Targets = dict[str, tuple[Target, ...]]
"""By the name of the set that is learned from."""


def read_targets(
    sources: Sequence[str | Path | AnnData],
    sets: Sequence[ProbeSet],
    *,
    classes: str | Path | None = None,
    layer: str | None = None,
    values: str | None = None,
    label: str | None = None,
) -> Targets:
    """Read the files that are classified, and find the classes that they share with every labelled set.

    Args:
        sources: files or AnnData objects with labels.
        sets: labelled sets that are learned from.
        classes: table of classes that mean the same, see `scgraph.data.sets.classes.read_pairs`; None: by name.
        layer: as for the labelled sets, like `values` and `label`.
        values: see `layer`.
        label: see `layer`.

    Raises:
        DataError: a file or the table cannot be used, or fewer than two classes are shared; names the file and the set.
    """
    pairs = None if classes is None else read_pairs(classes)
    files = [read_spooled_set(source, layer=layer, values=values, label=label, divided=False) for source in sources]
    names = [one.cells.name for one in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"Two files to transfer to are called {twice!r}; the results could not be told apart.")
    if classes is not None and pairs is not None:
        every = [{name for one in group for name in one.classes} for group in (sets, files)]
        check_pairs(classes, pairs, *every)
    return {one.cells.name: tuple(_target(one, other, pairs) for other in files) for one in sets}


def _target(source: ProbeSet, other: ProbeSet, pairs: Pairs | None) -> Target:
    where = f"{source.cells.name} to {other.cells.name}"
    shared = share_classes(source.classes, other.classes, pairs)
    if len(shared.names) < 2:
        only = f"only one class ({shared.names[0]!r}) is" if shared.names else "no class is"
        raise DataError(
            f"{other.cells.manifest['source']}: {only} shared with {source.cells.name}, and two are needed. Its "
            f"classes: {examples(other.classes)}; those of {source.cells.name}: {examples(source.classes)}. Name the "
            f"pairs that mean the same in a table, {argument('classes')}."
        )
    truth = shared.theirs[other.codes]
    seen = find_leaks(source.cells, other.cells)
    rows = np.flatnonzero((truth >= 0) & ~seen)
    if len(np.unique(truth[rows])) < 2:
        raise DataError(
            f"{where}: {int(seen.sum()):,} of {len(seen):,} cells of {other.cells.manifest['source']} stand in "
            f"{source.cells.name} too, and without them fewer than two shared classes are left. Name another file."
        )
    left = [name for name, place in zip(other.classes, shared.theirs, strict=True) if place < 0]
    note = f"{where}: {len(rows):,} of {len(truth):,} cells are asked about, of {len(shared.names)} shared classes"
    if left:
        note += f"; {int((truth < 0).sum()):,} cells of {len(left)} other classes are left out ({examples(left)})"
    if seen.any():
        note += f"; {int((seen & (truth >= 0)).sum()):,} that stand in {source.cells.name} too are left out"
    return Target(other.cells.subset(rows), truth[rows], shared, note)


def check_genes(targets: Targets, vocabularies: Mapping[str, Vocabulary], *, min_matched: float) -> None:
    """Refuse files that lack the genes that models learn from, before the first is trained.

    Args:
        targets: what will be asked.
        vocabularies: genes of the models, by the name of the set.
        min_matched: least share of them, or else of a file's genes and values, that must match.

    Raises:
        DataError: as said; names the file.
    """
    for name, vocabulary in vocabularies.items():
        for target in targets[name]:
            vocabulary.require(target.cells, min_matched=min_matched)


def transfer_use(targets: Targets) -> Use:
    """Return the use that asks about these cells."""
    return replace(TRANSFER, measure=partial(measure, targets=targets))


def measure(representation: Representation, context: UseContext, *, targets: Targets) -> list[dict[str, Any]]:
    """Return macro-F1 over the shared classes on the cells of every file, of the classifier of the main row.

    A cell that is taken for a class which the file lacks is wrong.
    """
    rows = []
    for target in targets[context.probe.cells.name]:
        predicted = target.shared.ours[context.classifier.predict(representation(_store(target, context)))]
        reached = score(target.truth, predicted)["macro_f1"]
        rows.append(use_row("transfer", reached, level=target.cells.name))
    return rows


def _store(target: Target, context: UseContext) -> CellStore:
    key = ("transfer", target.cells.name)
    if key not in context.shared:
        context.shared[key] = store_of([target.cells], context.stores.train.vocabulary, context.settings)
    store: CellStore = context.shared[key]
    return store


TRANSFER = Use(
    name="transfer",
    help="cells of another file (--transfer), the classifier of this set; macro-F1 over shared classes",
    columns=(Column(ANY_LEVEL, "macro_f1", "to", "transfer"),),
    measure=partial(measure, targets={}),
)
