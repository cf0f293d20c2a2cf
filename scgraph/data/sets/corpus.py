"""A corpus to learn from: files or a store, its shares, genes and network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data import CellStore, Vocabulary, highly_variable, is_store, read_network
from scgraph.data.files.patterns import expand_patterns
from scgraph.data.files.stream import cells_or_stream
from scgraph.data.store.spool import lay_aside
from scgraph.errors import ConfigError, DataError, argument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.config import PretrainConfig
    from scgraph.data import GeneEdges, Network
    from scgraph.data.cells import AnyCells

__all__ = [
    "NO_CORPUS",
    "Corpus",
    "FileCorpus",
    "StoreCorpus",
    "network_on",
    "read_corpus",
    "read_gene_network",
    "store_of",
    "stores_to_train_on",
    "vocabulary_of",
]

_BLOCK = 2**14


class Corpus(ABC):
    """Cells to learn from, of one source or several, one after another.

    Attributes:
        names: name of every source.
        sizes: number of its cells.
        notes: what must be said of the sources, each under its name.
        manifests: where the cells of every source come from.
        copied: whether each division copies the cells.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    notes: tuple[str, ...]
    manifests: tuple[dict[str, Any], ...]
    copied: bool

    @abstractmethod
    def whole(self) -> CellStore:
        """Return all cells as one store, those of files on all genes they express."""

    @abstractmethod
    def parts(self) -> Iterator[AnyCells[Any]]:
        """Give all cells in their order, in parts whose own `blocks` memory holds."""

    @abstractmethod
    def divided(
        self, train: Sequence[NDArray[np.int64]], held_out: Sequence[NDArray[np.int64]], config: PretrainConfig
    ) -> tuple[CellStore, CellStore]:
        """Return the stores of two parts, each given as the rows of every source; genes come from the first.

        Raises:
            ConfigError: a store is asked for highly variable genes.
        """


class FileCorpus(Corpus):
    """Files that were laid aside; none where nothing but the train part is learned from."""

    def __init__(self, files: Sequence[AnyCells[Any]] = ()) -> None:
        self.files = tuple(files)
        self.names = tuple(cells.name for cells in files)
        self.sizes = tuple(len(cells) for cells in files)
        self.notes = tuple(f"{cells.name}: {note}" for cells in files for note in cells.notes)
        self.manifests = tuple(cells.manifest for cells in files)
        self.copied = len(self.files) > 0

    def whole(self) -> CellStore:
        """Return all cells on all genes they express."""
        return CellStore.from_parts(self.files, Vocabulary.from_cells(self.files), min_matched=0)

    def parts(self) -> Iterator[AnyCells[Any]]:
        """Give the files."""
        return iter(self.files)

    def divided(
        self, train: Sequence[NDArray[np.int64]], held_out: Sequence[NDArray[np.int64]], config: PretrainConfig
    ) -> tuple[CellStore, CellStore]:
        """Return the stores of two parts on the genes of the first."""
        parts = [
            [cells.subset(rows) for cells, rows in zip(self.files, part, strict=True)] for part in (train, held_out)
        ]
        vocabulary = vocabulary_of(parts[0], config)
        return store_of(parts[0], vocabulary, config), store_of(parts[1], vocabulary, config)


class StoreCorpus(Corpus):
    """A store on disk, which has its own genes."""

    copied = False

    def __init__(self, store: CellStore) -> None:
        self.store = store
        self.names = tuple(str(one["source"]) for one in store.sources)
        self.sizes = tuple(int(one["cells"]) for one in store.sources)
        self.notes = tuple(f"{one['source']}: {note}" for one in store.sources for note in one.get("notes", ()))
        self.manifests = store.sources

    def whole(self) -> CellStore:
        """Return the store."""
        return self.store

    def parts(self) -> Iterator[AnyCells[Any]]:
        """Read the cells in blocks."""
        for start in range(0, len(self.store), _BLOCK):
            yield self.store.subset(np.arange(start, min(start + _BLOCK, len(self.store)))).cells()

    def divided(
        self, train: Sequence[NDArray[np.int64]], held_out: Sequence[NDArray[np.int64]], config: PretrainConfig
    ) -> tuple[CellStore, CellStore]:
        """Return the parts of the store; nothing is read."""
        if config.n_top_genes is not None:
            raise ConfigError(
                f"n_top_genes: a store holds its own genes. Prepare it with "
                f"{argument('n_top_genes', config.n_top_genes)}, and "
                "set n_top_genes to null."
            )
        before = np.cumsum([0, *self.sizes[:-1]])
        rows = [
            np.concatenate([own + start for own, start in zip(part, before, strict=True)]) for part in (train, held_out)
        ]
        return self.store.subset(rows[0]), self.store.subset(rows[1])


NO_CORPUS = FileCorpus()


def read_corpus(
    sources: Sequence[str | Path | AnnData],
    *,
    layer: str | None = None,
    values: str | None = None,
    batch_key: str | None = None,
    obs_value_filter: str | None = None,
) -> Corpus:
    """Lay the cells to pretrain on aside, or open the store that holds them; labels are not looked at.

    A text such as `"atlas/*.h5ad"` stands for the files that match, sorted by name.

    Raises:
        DataError: a source cannot be used as it is, no file matches, or a store stands beside other sources.
        ConfigError: a store is asked for a layer or for batches, or its values are declared.
        OutputError: the disk of temporary files cannot hold the values, see `scgraph.data.store.entries.EntryWriter`.
    """
    sources = expand_patterns(sources)
    stores = [source for source in sources if is_store(source)]
    if not stores:
        options = {"layer": layer, "values": values, "batch_key": batch_key, "obs_value_filter": obs_value_filter}
        return FileCorpus([lay_aside(cells_or_stream(source, **options)) for source in sources])
    if len(sources) > 1:
        raise DataError(
            f"{stores[0]}: a store stands alone, not beside other cells. Prepare one store from all files: scgraph "
            "prepare FILES --out STORE."
        )
    if layer is not None:
        raise ConfigError(f"{stores[0]}: a store has no layers. Name the layer when you prepare it.")
    if batch_key is not None:
        raise ConfigError(f"{stores[0]}: a store keeps no batches. Pretrain on the files themselves.")
    if values is not None:
        raise ConfigError(f"{stores[0]}: the values of a store are known. Declare them when you prepare it.")
    if obs_value_filter is not None:
        raise ConfigError(f"{stores[0]}: a store has no obs to filter. Choose the cells when you prepare it.")
    return StoreCorpus(CellStore.open(stores[0]))


def read_gene_network(config: PretrainConfig) -> GeneEdges | None:
    """Read the gene network that the settings name; None where they name none.

    Raises:
        DataError: the file cannot be used as it is.
    """
    return None if config.network is None else read_network(config.network, undirected=config.network_undirected)


def network_on(network: GeneEdges | None, store: CellStore) -> Network | None:
    """Lay a gene network onto the vocabulary of cells; None stays None.

    Raises:
        DataError: none or nearly none of its genes are there.
    """
    return None if network is None else network.on(store.vocabulary)


def stores_to_train_on(
    corpus: Corpus, config: PretrainConfig, *, seed: int, allowed: Sequence[NDArray[np.int64]] | None = None
) -> tuple[CellStore, CellStore]:
    """Divide a corpus into the cells to learn from and those to measure the loss on.

    `validation_share` of the cells of every source is drawn. The vocabulary of files, highly variable genes or
    all, comes from the cells to learn from alone; a store has its own.

    Args:
        corpus: files, or a store.
        config: shares and genes.
        seed: of the draw.
        allowed: rows of each source that may be used; None for all.

    Raises:
        DataError: a source has too few cells.
        ConfigError: a store is asked for highly variable genes.
    """
    train, held_out = [], []
    for number, (name, size) in enumerate(zip(corpus.names, corpus.sizes, strict=True)):
        rows = np.arange(size) if allowed is None else allowed[number]
        rows = np.random.default_rng([seed, number]).permutation(rows)
        cut = max(1, round(config.validation_share * len(rows)))
        if cut >= len(rows):
            raise DataError(f"{name}: has {len(rows)} cells; some must be held out and some trained on.")
        held_out.append(np.sort(rows[:cut]))
        train.append(np.sort(rows[cut:]))
    return corpus.divided(train, held_out, config)


def vocabulary_of(parts: Sequence[AnyCells[Any]], config: PretrainConfig) -> Vocabulary:
    """Return the genes that cells express, or so many highly variable ones of them."""
    if config.n_top_genes is None:
        return Vocabulary.from_cells(parts)
    return highly_variable(parts, config.n_top_genes)


def store_of(parts: Sequence[AnyCells[Any]], vocabulary: Vocabulary, config: PretrainConfig) -> CellStore:
    """Return cells as one store on a vocabulary."""
    return CellStore.from_parts(parts, vocabulary, min_matched=config.min_matched)
