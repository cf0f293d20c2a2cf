"""A corpus to learn from: files or a store, its shares, genes and network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data import CellStore, Vocabulary, highly_variable, is_store, read_cells, read_network
from scgraph.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.config import PretrainConfig
    from scgraph.data import Cells, GeneEdges, Network

__all__ = [
    "corpus_notes",
    "on_genes_of",
    "read_corpus",
    "read_graph",
    "source_manifests",
    "stores_to_train_on",
    "whole_store",
]


def read_corpus(
    sources: Sequence[str | Path | AnnData], *, layer: str | None = None, values: str | None = None
) -> list[Cells] | CellStore:
    """Read the cells to pretrain on, or open the store that holds them; labels are not looked at.

    Raises:
        DataError: a source cannot be used as it is, or a store stands beside other sources.
        ConfigError: a store is asked for a layer, or its values are declared.
    """
    stores = [source for source in sources if is_store(source)]
    if not stores:
        return [read_cells(source, layer=layer, values=values) for source in sources]
    if len(sources) > 1:
        raise DataError(
            f"{stores[0]}: a store stands alone, not beside other cells. Prepare one store from all files: scgraph "
            "prepare FILES --out STORE."
        )
    if layer is not None:
        raise ConfigError(f"{stores[0]}: a store has no layers. Name the layer when you prepare it.")
    if values is not None:
        raise ConfigError(f"{stores[0]}: the values of a store are known. Declare them when you prepare it.")
    return CellStore.open(stores[0])


def read_graph(config: PretrainConfig) -> GeneEdges | None:
    """Read the gene network that the settings name; None where they name none.

    Raises:
        DataError: the file cannot be used as it is.
    """
    return None if config.network is None else read_network(config.network, undirected=config.network_undirected)


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
    config: PretrainConfig,
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
    names, sizes = source_sizes(corpus)
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
    vocabulary = vocabulary_of(parts, config)
    return store_of(parts, vocabulary, config), store_of(others, vocabulary, config)


def source_sizes(corpus: Sequence[Cells] | CellStore) -> tuple[list[str], list[int]]:
    if isinstance(corpus, CellStore):
        return [str(one["source"]) for one in corpus.sources], [int(one["cells"]) for one in corpus.sources]
    return [cells.name for cells in corpus], [len(cells) for cells in corpus]


def vocabulary_of(parts: Sequence[Cells], config: PretrainConfig) -> Vocabulary:
    if config.n_top_genes is None:
        return Vocabulary.from_cells(parts)
    return highly_variable(parts, config.n_top_genes)


def store_of(parts: Sequence[Cells], vocabulary: Vocabulary, config: PretrainConfig) -> CellStore:
    return CellStore.concat([CellStore.from_cells(part, vocabulary, min_matched=config.min_matched) for part in parts])
