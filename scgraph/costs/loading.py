"""How many cells a second a loader gives."""

from __future__ import annotations

import time

from scgraph.config import TrainConfig
from scgraph.data import CellStore, Vocabulary
from scgraph.errors import DataError
from scgraph.train.loader import CellLoader

__all__ = ["loading_rate"]


def loading_rate(
    genes: int,
    *,
    zeros: int | None = None,
    batch_size: int,
    vocabulary_size: int,
    store: CellStore | None = None,
    seconds: float = 1.0,
) -> float:
    """Return the cells a second that a `CellLoader` without threads gives: read, sampled, masked, as tensors.

    Args:
        genes: genes sampled a cell G.
        zeros: unexpressed genes sampled beside them, for a decoder; None for none.
        batch_size: cells a step.
        vocabulary_size: genes V of the cells that are made.
        store: cells to load; by default 512 random ones in memory that express 2 G genes each.
        seconds: how long to load, after one batch that is not counted.

    Raises:
        DataError: no cell of the store expresses two genes.
    """
    given = store or _made_cells(min(2 * genes, vocabulary_size), vocabulary_size)
    config = TrainConfig(genes=genes, zero_genes=zeros or None, batch_size=batch_size)
    loader = CellLoader(given, config, shuffle=True, zeros=zeros is not None)
    if not len(loader.rows):
        raise DataError("No cell expresses two genes, so there is nothing to load.")
    loader.batch(loader.rows[:batch_size], 0, 0)
    cells, epoch, start = 0, 0, time.perf_counter()
    while True:
        loader.seek(epoch)
        for batch in loader:
            cells += len(batch.rows)
            if time.perf_counter() - start > seconds:
                return cells / (time.perf_counter() - start)
        epoch += 1


def _made_cells(length: int, vocabulary_size: int, cells: int = 512) -> CellStore:
    import numpy as np

    random = np.random.default_rng(0)
    ids = [np.sort(random.choice(vocabulary_size, length, replace=False)) + 1 for _ in range(cells)]
    return CellStore.from_arrays(
        np.arange(cells + 1, dtype=np.int64) * length,
        np.concatenate(ids).astype(np.int32),
        random.random(cells * length, dtype=np.float32),
        random.integers(0, 2**63, cells).astype(np.uint64),
        Vocabulary(tuple(f"G{at}" for at in range(vocabulary_size)), ("",) * vocabulary_size),
    )
