"""How scgraph reads cells: from a store, from memory, and files in blocks or as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.reading.peers import PEERS
from benchmarks.reading.request import Way, sampled, warm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.reading.request import Request
    from scgraph.config import TrainConfig
    from scgraph.data import CellStore

__all__ = ["OWN", "STORE", "WAYS"]


def from_store(request: Request) -> Iterator[int]:
    """Batches as training gets them: sampled, masked, as tensors."""
    from scgraph.data import CellStore
    from scgraph.train.loader import CellLoader

    config = _training(request, request.how.partition(", ")[2])
    for batch in CellLoader(CellStore.open(request.path), config, shuffle=True):
        yield len(batch.rows)


def from_memory(request: Request) -> Iterator[int]:
    """Batches as training gets them from files, once they are read."""
    from scgraph.train.loader import CellLoader

    store, _ = _learned_from(request.path)
    for batch in CellLoader(store, _training(request, "random"), shuffle=True):
        yield len(batch.rows)


def laid_aside(request: Request) -> Iterator[int]:
    """All cells, as `pretrain` and `bench --corpus` read them before the first step."""
    from scgraph.data.sets import corpus  # noqa: F401 - before the clock starts

    yield warm(request)
    _store, cells = _learned_from(request.path)
    yield cells


def in_blocks(request: Request) -> Iterator[int]:
    """Blocks in the order of the file, as `prepare` and `embed` read them, after the pass that checks the file."""
    from scgraph.data.files.stream import CellStream

    stream = CellStream(request.path)
    while True:
        for block in stream.blocks():
            yield sampled(block.matrix, request.genes)


def _training(request: Request, shuffle: str) -> TrainConfig:
    from scgraph.config import TrainConfig

    plain = {"genes": request.genes, "batch_size": request.batch_size, "num_workers": request.workers}
    return TrainConfig.model_validate(plain | {"shuffle": shuffle})


def _learned_from(path: str) -> tuple[CellStore, int]:
    """Return the cells to learn from, and how many were read for them and for those that are held out."""
    from scgraph.config import PretrainConfig
    from scgraph.data.sets.corpus import read_corpus, stores_to_train_on

    read = read_corpus([path])
    return stores_to_train_on(read, PretrainConfig(), seed=0)[0], sum(read.sizes)


STORE = {
    "store, random": Way("CellLoader on the store, cells in random order", "store", from_store, threads=True),
    "store, blocks": Way(
        "CellLoader on the store, mixed blocks of 1,024 neighbours", "store", from_store, threads=True
    ),
}
"""Ways of reading a store."""

_SOMA = ("tiledbsoma",)

OWN = {
    "memory, random": Way(
        "CellLoader on the cells of files, which `pretrain` has in memory where they are few",
        "h5ad",
        from_memory,
        threads=True,
    ),
    "pretrain, h5ad": Way(
        "what `pretrain` and `bench --corpus` do with a file before the first step: all cells are read, checked, "
        "laid aside and divided; once, not in every epoch",
        "h5ad",
        laid_aside,
        whole=True,
        samples=False,
    ),
    "pretrain, zarr": Way(
        "the same with a .zarr as anndata writes it, compressed", "zarr", laid_aside, whole=True, samples=False
    ),
    "pretrain, soma": Way(
        "the same with a TileDB-SOMA experiment as tiledbsoma writes it",
        "soma",
        laid_aside,
        _SOMA,
        whole=True,
        samples=False,
    ),
    "prepare, h5ad": Way(
        "blocks in the order of the file, checked, as `prepare` and `embed` read them", "h5ad", in_blocks
    ),
    "prepare, zarr": Way("the same of the .zarr", "zarr", in_blocks),
    "prepare, soma": Way("the same of the experiment", "soma", in_blocks, _SOMA),
}
"""Ways of reading that need no store."""

WAYS = {**STORE, **OWN, **PEERS}
"""All that is measured."""
