"""The folder through which a run is handed to the processes that train it: what lies where in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import CellStore
from scgraph.data.files.origin import Origin
from scgraph.data.store.column import read_column
from scgraph.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.data import Vocabulary

__all__ = ["BEGUN", "JOB", "WEIGHTS", "outcome_file", "read_store", "write_store"]

JOB, WEIGHTS, BEGUN = "job.json", "weights.safetensors", "begun"
ARRAYS, COLUMNS = ("indptr", "keys"), ("genes", "values")
ORIGIN, BATCHES = "origin", "batches.npy"


def write_store(folder: Path, store: CellStore) -> None:
    """Lay cells into a new folder; those of a store on disk stay where they are and are named.

    Raises:
        OutputError: the disk is full.
    """
    folder.mkdir()
    try:
        for name in ARRAYS:
            np.save(folder / f"{name}.npy", getattr(store, name), allow_pickle=False)
        for name in COLUMNS:
            getattr(store, name).save(folder, name)
        if store.origin is not None:
            store.origin.save(folder / ORIGIN)
        if store.batches is not None:
            np.save(folder / BATCHES, store.batches, allow_pickle=False)
    except OSError as error:
        raise OutputError(
            f"{folder.parent}: the cells for the other processes cannot be written ({error.strerror or error}). "
            "Free some space, or set TMPDIR to a folder on a larger disk."
        ) from error


def read_store(folder: Path, vocabulary: Vocabulary) -> CellStore | None:
    """Return the cells that were laid into a folder, memory-mapped; None where there are none."""
    if not folder.is_dir():
        return None
    indptr, keys = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS)
    genes, values = (read_column(folder, name, indptr) for name in COLUMNS)
    return CellStore(
        indptr,
        genes,
        values,
        keys,
        vocabulary=vocabulary,
        origin=Origin.load(folder / ORIGIN) if (folder / ORIGIN).is_dir() else None,
        batches=np.load(folder / BATCHES, allow_pickle=False) if (folder / BATCHES).is_file() else None,
    )


def outcome_file(folder: Path, rank: int) -> Path:
    """Return where a process says how it ended."""
    return folder / f"outcome-{rank}.json"
