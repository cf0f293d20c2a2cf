"""A small run: its cells, its model, its training, and a process of its own to be killed in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse

from scgraph.config import ModelConfig, TrainConfig
from scgraph.data import CellStore, Vocabulary
from scgraph.data.sampling.hashing import row_hashes
from scgraph.data.store.column import ArrayColumn
from scgraph.data.store.writing import StoreWriter, new_store_folder

GENES, CELLS = 40, 120


def small_store(cells: int = CELLS, *, genes: int = GENES, seed: int = 0) -> CellStore:
    """Cells whose genes come in two programmes, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    rate = np.where(rng.random((cells, 1)) < 0.5, np.linspace(0.2, 2, genes), np.linspace(2, 0.2, genes))
    matrix = sparse.csr_matrix(np.log1p(rng.poisson(rate)).astype(np.float32))
    return CellStore.from_arrays(
        matrix.indptr.astype(np.int64),
        (matrix.indices + 1).astype(np.int32),
        matrix.data,
        rng.integers(0, 2**63, cells, dtype=np.uint64),
        Vocabulary(tuple(f"G{at}" for at in range(genes)), ("",) * genes),
    )


def counted_store(cells: int = CELLS, *, seed: int = 0) -> CellStore:
    """Cells of two programmes whose values are log1p of counts per 10,000."""
    rng = np.random.default_rng(seed)
    rate = np.where(rng.random((cells, 1)) < 0.5, np.linspace(0.2, 4, GENES), np.linspace(4, 0.2, GENES))
    counts = rng.poisson(rate)
    counts[:, 0] += 1
    matrix = sparse.csr_matrix(np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).astype(np.float32))
    indptr, genes = matrix.indptr.astype(np.int64), (matrix.indices + 1).astype(np.int32)
    vocabulary = Vocabulary(tuple(f"G{at}" for at in range(GENES)), ("",) * GENES)
    return CellStore.from_arrays(
        indptr, genes, matrix.data, row_hashes(indptr, genes, matrix.data.view(np.uint32)), vocabulary
    )


def pooled_model(**changes: object) -> ModelConfig:
    pooled = {"readout": "pooled", "value_encoding": "product", "values": "sqrt+pearson", "embedding_sd": 0.1}
    return small_model(**pooled | {"dropout": 0.0} | changes)


def counts_training(**changes: object) -> TrainConfig:
    counts = {"mvp_loss": 0.0, "cell_loss": 0.0, "count_loss": 1.0, "thinning": (0.3, 0.7), "batch_size": 20}
    return small_training(**counts | changes)


def small_model(**changes: object) -> ModelConfig:
    return ModelConfig(**{"channels": 16, "layers": 2, "rank": 4, "cell_head": True, "dropout": 0.1} | changes)


def small_training(**changes: object) -> TrainConfig:
    settings = {
        "genes": 16, "batch_size": 4, "epochs": 3, "learning_rate": 1e-2, "warmup_share": 0.1,
        "cell_loss": 0.5, "checkpoint_every": 3, "device": "cpu",
    }  # fmt: skip
    return TrainConfig(**settings | changes)


def parts() -> tuple[CellStore, CellStore]:
    store = small_store()
    return store.subset(np.arange(100)), store.subset(np.arange(100, CELLS))


def parts_at_odds() -> tuple[CellStore, CellStore]:
    """Validation cells with all values of the other sign: what is learned from the training cells soon does harm."""
    train, validation = parts()
    return train, replace(validation, values=ArrayColumn(-validation.values.array, validation.indptr))


class SlowStore(CellStore):
    """A store on a slow disk, so that a signal finds the run in the middle of an epoch."""

    def batch(self, *args: object, **options: object) -> tuple[np.ndarray, np.ndarray]:
        time.sleep(0.02)
        return super().batch(*args, **options)


def on_disk(store: CellStore, folder: Path) -> CellStore:
    with new_store_folder(folder, overwrite=False) as beside:
        writer = StoreWriter(beside, store.vocabulary, shard_cells=77)
        writer.add(store.indptr, store.genes.array, store.values.array, store.keys, source=0)
        writer.finish([{"source": "memory", "cells": len(store)}])
    return CellStore.open(folder)


def start_child(*arguments: object) -> subprocess.Popen[str]:
    """Start child.py with arguments."""
    # The same paths, so that it imports the same scgraph as the tests.
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("child.py")), *map(str, arguments)],
        env=os.environ | paths,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
