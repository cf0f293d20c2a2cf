"""What a bench reads: labelled sets, a corpus, and for each seed the stores that may be learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.splits import make_split
from scgraph.data import (
    CellStore,
    Vocabulary,
    check_labels,
    find_leaks,
    highly_variable,
    is_store,
    read_cells,
    read_network,
)
from scgraph.data.reading import BUILT_IN
from scgraph.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.bench.splits import Split
    from scgraph.config import BenchConfig
    from scgraph.data import Cells, GeneEdges, Network

__all__ = [
    "DEFAULT_LABEL",
    "Prepared",
    "ProbeSet",
    "corpus_notes",
    "on_genes_of",
    "prepare",
    "read_corpus",
    "read_graph",
    "read_probe_sets",
    "said_of_equal_splits",
    "source_manifests",
    "split_of",
    "stores_to_train_on",
    "whole_store",
]

DEFAULT_LABEL = "cell_type"
"""The column of the CELLxGENE schema."""

_LEAK_BLOCK = 2**14


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


def read_corpus(sources: Sequence[str | Path | AnnData], *, layer: str | None = None) -> list[Cells] | CellStore:
    """Read the cells to pretrain on, or open the store that holds them; labels are not looked at.

    Raises:
        DataError: a source cannot be used as it is, or a store stands beside other sources.
        ConfigError: a store is asked for a layer.
    """
    stores = [source for source in sources if is_store(source)]
    if not stores:
        return [read_cells(source, layer=layer) for source in sources]
    if len(sources) > 1:
        raise DataError(
            f"{stores[0]}: a store stands alone, not beside other cells. Prepare one store from all files: scgraph "
            "prepare FILES --out STORE."
        )
    if layer is not None:
        raise ConfigError(f"{stores[0]}: a store has no layers. Name the layer when you prepare it.")
    return CellStore.open(stores[0])


def read_graph(config: BenchConfig) -> GeneEdges | None:
    """Read the gene network that the settings name; None where they name none.

    Raises:
        DataError: the file cannot be used as it is.
    """
    return None if config.graph is None else read_network(config.graph, undirected=config.graph_undirected)


def on_genes_of(graph: GeneEdges | None, store: CellStore) -> Network | None:
    """Lay a gene network onto the vocabulary of cells; None stays None.

    Raises:
        DataError: none or nearly none of its genes are there.
    """
    return None if graph is None else graph.on(store.vocabulary)


def corpus_notes(corpus: Sequence[Cells] | CellStore) -> list[str]:
    """Return what must be said of the sources of a corpus, each under its name."""
    if isinstance(corpus, CellStore):
        return [f"{one['source']}: {note}" for one in corpus.sources for note in one.get("notes", ())]
    return [f"{cells.name}: {note}" for cells in corpus for note in cells.notes]


def source_manifests(corpus: Sequence[Cells] | CellStore) -> list[dict[str, Any]]:
    """Return where the cells of a corpus come from, one entry a source."""
    return list(corpus.sources) if isinstance(corpus, CellStore) else [cells.manifest for cells in corpus]


def whole_store(corpus: Sequence[Cells] | CellStore) -> CellStore:
    """Return all cells of a corpus as one store, files on all genes they express."""
    if isinstance(corpus, CellStore):
        return corpus
    vocabulary = Vocabulary.from_cells(corpus)
    return CellStore.concat([CellStore.from_cells(cells, vocabulary, min_matched=0) for cells in corpus])


def stores_to_train_on(
    corpus: Sequence[Cells] | CellStore,
    config: BenchConfig,
    *,
    seed: int,
    allowed: Sequence[NDArray[np.int64]] | None = None,
) -> tuple[CellStore, CellStore]:
    """Divide a corpus into the cells to learn from and those to measure the loss on.

    `validation_share` of the cells of every source is drawn. The vocabulary of files, highly variable genes or
    all, comes from the cells to learn from alone; a store has its own.

    Args:
        corpus: what was read, or a store.
        config: shares and genes.
        seed: of the draw.
        allowed: rows of each source that may be used; None for all.

    Raises:
        DataError: a source has too few cells.
        ConfigError: a store is asked for highly variable genes.
    """
    if isinstance(corpus, CellStore) and config.n_top_genes is not None:
        raise ConfigError(
            f"n_top_genes: a store holds its own genes. Prepare it with --n-top-genes {config.n_top_genes}, and set "
            "n_top_genes to null."
        )
    names, sizes = _sources(corpus)
    kept, held = [], []
    for number, (name, size) in enumerate(zip(names, sizes, strict=True)):
        rows = np.arange(size) if allowed is None else allowed[number]
        rows = np.random.default_rng([seed, number]).permutation(rows)
        cut = max(1, round(config.validation_share * len(rows)))
        if cut >= len(rows):
            raise DataError(f"{name}: has {len(rows)} cells; some must be held out and some trained on.")
        held.append(np.sort(rows[:cut]))
        kept.append(np.sort(rows[cut:]))
    if isinstance(corpus, CellStore):
        starts = np.cumsum([0, *sizes[:-1]])
        return (
            corpus.subset(np.concatenate([rows + start for rows, start in zip(kept, starts, strict=True)])),
            corpus.subset(np.concatenate([rows + start for rows, start in zip(held, starts, strict=True)])),
        )
    parts = [cells.subset(rows) for cells, rows in zip(corpus, kept, strict=True)]
    others = [cells.subset(rows) for cells, rows in zip(corpus, held, strict=True)]
    vocabulary = _vocabulary(parts, config)
    return _store(parts, vocabulary, config), _store(others, vocabulary, config)


def _sources(corpus: Sequence[Cells] | CellStore) -> tuple[list[str], list[int]]:
    if isinstance(corpus, CellStore):
        return [str(one["source"]) for one in corpus.sources], [int(one["cells"]) for one in corpus.sources]
    return [cells.name for cells in corpus], [len(cells) for cells in corpus]


def _vocabulary(parts: Sequence[Cells], config: BenchConfig) -> Vocabulary:
    if config.n_top_genes is None:
        return Vocabulary.from_cells(parts)
    return highly_variable(parts, config.n_top_genes)


def _store(parts: Sequence[Cells], vocabulary: Vocabulary, config: BenchConfig) -> CellStore:
    return CellStore.concat([CellStore.from_cells(part, vocabulary, min_matched=config.min_matched) for part in parts])


def split_of(probe: ProbeSet, config: BenchConfig, *, seed: int) -> Split:
    """Divide a labelled set as the settings say: by batch where it has batches, else at random.

    With `split_seed` every seed gets the same parts: what was chosen on them then never meets their test part.

    Raises:
        DataError: it cannot be divided, see `make_split`.
    """
    rest = 1 - config.test_share - config.validation_share
    fractions = (rest, config.validation_share, config.test_share)
    labels = np.asarray(probe.classes)[probe.codes]  # names, so that a refusal can name the class
    seed = seed if config.split_seed is None else config.split_seed
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
    corpus: Sequence[Cells] | CellStore,
    config: BenchConfig,
    *,
    seed: int,
    drop_leaks: bool,
) -> Prepared:
    """Build the stores of one set and seed; nothing is taken from the validation or test part of the set.

    Without a corpus the train part is what is pretrained on, and the validation part measures the loss.
    With one, `validation_share` of its cells is drawn to measure the loss. The vocabulary, highly
    variable genes or all, comes from the cells that are pretrained on alone; a store has its own.
    """
    notes: list[str] = []
    leaks = 0
    if isinstance(corpus, CellStore) or corpus:
        leaked = _leaked(probe.cells.subset(split.test), corpus)
        leaks = sum(int(found.sum()) for found in leaked)
        allowed = [np.flatnonzero(~found) if drop_leaks else np.arange(len(found)) for found in leaked]
        train, validation = stores_to_train_on(corpus, config, seed=seed, allowed=allowed)
        said = "left out" if drop_leaks else "kept, as --keep-leaks asks (without labels)"
        notes.append(
            f"{probe.cells.name}: {leaks:,} corpus cells have the counts of a test cell on all shared genes"
            + (f", {said}." if leaks else ".")
        )
    else:
        kept, held = probe.cells.subset(split.train), probe.cells.subset(split.validation)
        vocabulary = _vocabulary([kept], config)
        train, validation = (_store([part], vocabulary, config) for part in (kept, held))
    whole = _store([probe.cells], train.vocabulary, config)
    notes.append(f"{probe.cells.name}: {whole.match_note}.")
    return Prepared(train, validation, whole, leaks, tuple(notes))


def _leaked(test: Cells, corpus: Sequence[Cells] | CellStore) -> list[NDArray[np.bool_]]:
    """Tell for every source which of its cells stand in the test part; a store is read in blocks."""
    if not isinstance(corpus, CellStore):
        return [find_leaks(test, cells) for cells in corpus]
    found = [
        find_leaks(test, corpus.subset(np.arange(start, min(start + _LEAK_BLOCK, len(corpus)))).cells())
        for start in range(0, len(corpus), _LEAK_BLOCK)
    ]
    return np.split(np.concatenate(found), np.cumsum(_sources(corpus)[1])[:-1])
