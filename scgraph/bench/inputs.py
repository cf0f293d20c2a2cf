"""What a bench reads: labelled sets, a corpus, and for each seed the stores that may be learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scgraph.bench.splits import make_split
from scgraph.data import CellStore, Vocabulary, check_labels, find_leaks, highly_variable, read_cells
from scgraph.data.reading import BUILT_IN
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.bench.splits import Split
    from scgraph.config import BenchConfig
    from scgraph.data import Cells

__all__ = ["DEFAULT_LABEL", "Prepared", "ProbeSet", "prepare", "read_corpus", "read_probe_sets", "said_of_equal_splits"]

DEFAULT_LABEL = "cell_type"
"""The column of the CELLxGENE schema."""


@dataclass(frozen=True)
class ProbeSet:
    """A labelled set: its cells, the names of the classes and the class code of every cell."""

    cells: Cells
    classes: tuple[str, ...]
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class Prepared:
    """What the models of one set and seed see.

    Attributes:
        train: cells to pretrain on.
        validation: cells to measure the pretraining loss on.
        probe: all cells of the labelled set on the same vocabulary.
        leaks: corpus cells that stand in the test part too.
        notes: what must be said aloud.
    """

    train: CellStore
    validation: CellStore
    probe: CellStore
    leaks: int
    notes: tuple[str, ...]


def read_probe_sets(
    sources: Sequence[str | Path | AnnData],
    *,
    layer: str | None = None,
    label: str | None = None,
    batch_key: str | None = None,
    drop_classes_below: int = 0,
) -> list[ProbeSet]:
    """Read labelled sets and refuse labels that cannot be split.

    Cells of classes with fewer than `drop_classes_below` cells are left out, with a note.

    Raises:
        DataError: a set cannot be used as it is, or two sets have the same name.
    """
    sets: list[ProbeSet] = []
    for source in sources:
        column = label or (None if isinstance(source, str) and source == BUILT_IN else DEFAULT_LABEL)
        try:
            cells = read_cells(source, layer=layer, label=column, batch_key=batch_key)
        except DataError as error:
            if len(sources) > 1 and batch_key and f"no column {batch_key!r}" in str(error):
                raise DataError(
                    f"{error} A batch column divides every set of a bench: give the sets without one to a bench of "
                    "their own."
                ) from error
            raise
        cells = _without_rare(cells, drop_classes_below)
        check_labels(cells)
        if any(other.cells.name == cells.name for other in sets):
            raise DataError(
                f"Two sets are called {cells.name!r}; the results could not be told apart. Rename one file."
            )
        labels = np.asarray(cells.labels).astype(str)
        classes, codes = np.unique(labels, return_inverse=True)
        sets.append(ProbeSet(cells, tuple(classes.tolist()), codes.astype(np.int64)))
    return sets


def _without_rare(cells: Cells, least: int) -> Cells:
    labels = np.asarray(cells.labels).astype(str)
    names, counts = np.unique(labels, return_counts=True)
    rare = names[counts < least]
    if not len(rare):
        return cells
    keep = ~np.isin(labels, rare)
    note = (
        f"{int((~keep).sum()):,} cells of {len(rare)} classes with fewer than {least} cells are left out: "
        f"{', '.join(rare)}"
    )
    kept = cells.subset(np.flatnonzero(keep))
    return replace(kept, notes=(*kept.notes, note))


def read_corpus(sources: Sequence[str | Path | AnnData], *, layer: str | None = None) -> list[Cells]:
    """Read the cells to pretrain on; labels are not looked at."""
    return [read_cells(source, layer=layer) for source in sources]


def split_of(probe: ProbeSet, config: BenchConfig, *, seed: int) -> Split:
    """Divide a labelled set as the settings say: by batch where it has batches, else at random.

    Raises:
        DataError: it cannot be divided, see `make_split`.
    """
    rest = 1 - config.test_share - config.validation_share
    fractions = (rest, config.validation_share, config.test_share)
    labels = np.asarray(probe.classes)[probe.codes]  # names, so that a refusal can name the class
    return make_split(labels, batches=probe.cells.batches, seed=seed, fractions=fractions)


def said_of_equal_splits(name: str, splits: Sequence[Split]) -> list[str]:
    """What must be said where seeds cannot change the split: too few batches to divide in as many ways."""
    distinct = len({split.test.tobytes() + b"|" + split.validation.tobytes() for split in splits})
    if distinct == len(splits):
        return []
    ways = f"{distinct} way" + ("s" if distinct > 1 else "")
    return [
        f"{name}: the {len(splits)} seeds divide the cells in {ways} only, so intervals over seeds speak of few test "
        "parts."
    ]


def prepare(
    probe: ProbeSet,
    split: Split,
    corpus: Sequence[Cells],
    config: BenchConfig,
    *,
    seed: int,
    drop_leaks: bool,
) -> Prepared:
    """Build the stores of one set and seed; nothing is taken from the validation or test part of the set.

    Without a corpus the train part is what is pretrained on, and the validation part measures the loss.
    With one, `validation_share` of its cells is drawn to measure the loss. The vocabulary, highly
    variable genes or all, comes from the cells that are pretrained on alone.
    """
    notes: list[str] = []
    leaks = 0
    if corpus:
        kept, held = [], []
        test = probe.cells.subset(split.test)
        for number, cells in enumerate(corpus):
            leaked = find_leaks(test, cells)
            leaks += int(leaked.sum())
            rows = np.flatnonzero(~leaked) if drop_leaks else np.arange(len(cells))
            rows = np.random.default_rng([seed, number]).permutation(rows)
            cut = max(1, round(config.validation_share * len(rows)))
            held.append(cells.subset(np.sort(rows[:cut])))
            kept.append(cells.subset(np.sort(rows[cut:])))
        said = "left out" if drop_leaks else "kept (without labels; --drop-leaks leaves them out)"
        notes.append(
            f"{probe.cells.name}: {leaks:,} corpus cells have the counts of a test cell on all shared genes"
            + (f", {said}." if leaks else ".")
        )
    else:
        kept, held = [probe.cells.subset(split.train)], [probe.cells.subset(split.validation)]
    if config.n_top_genes is None:
        vocabulary = Vocabulary.from_cells(kept)
    else:
        vocabulary = highly_variable(kept, config.n_top_genes)

    def store(cells: Cells) -> CellStore:
        return CellStore.from_cells(cells, vocabulary, min_matched=config.min_matched)

    whole = store(probe.cells)
    notes.append(f"{probe.cells.name}: {whole.match_note}.")
    return Prepared(
        CellStore.concat([store(cells) for cells in kept]),
        CellStore.concat([store(cells) for cells in held]),
        whole,
        leaks,
        tuple(notes),
    )
