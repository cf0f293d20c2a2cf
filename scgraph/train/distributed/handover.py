"""The folder through which a run is handed to the processes that train it: what lies where in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data import CellStore
from scgraph.data.files.origin import Origin
from scgraph.data.store.disk import DiskColumn
from scgraph.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.data import Vocabulary

__all__ = ["BEGUN", "JOB", "WEIGHTS", "outcome_file", "read_store", "write_store"]

JOB, WEIGHTS, BEGUN = "job.json", "weights.safetensors", "begun"
ARRAYS = ("indptr", "genes", "values", "keys")
FILES = "files.json"
ORIGIN = "origin"


def write_store(folder: Path, store: CellStore) -> None:
    """Lay cells into a new folder; those of a store on disk stay where they are and are named.

    Raises:
        OutputError: the disk is full.
    """
    folder.mkdir()
    try:
        files = {}
        for name in ARRAYS:
            array = getattr(store, name)
            if isinstance(array, DiskColumn):  # its files are read where they lie
                files[name], array, name = array.describe(), array.first, "first"
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        if store.origin is not None:
            store.origin.save(folder / ORIGIN)
        if files:
            (folder / FILES).write_text(json.dumps(files), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{folder.parent}: the cells for the other processes cannot be written ({error.strerror or error}). "
            "Free some space, or set TMPDIR to a folder on a larger disk."
        ) from error


def read_store(folder: Path, vocabulary: Vocabulary) -> CellStore | None:
    """Return the cells that were laid into a folder, memory-mapped; None where there are none."""
    if not folder.is_dir():
        return None
    files = json.loads((folder / FILES).read_text(encoding="utf-8")) if (folder / FILES).is_file() else {}
    arrays: dict[str, Any] = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in (*ARRAYS, "first")
        if (folder / f"{name}.npy").is_file()
    }
    first = arrays.pop("first", None)
    return CellStore(
        **arrays | {name: DiskColumn.of(described, first) for name, described in files.items()},
        vocabulary=vocabulary,
        origin=Origin.load(folder / ORIGIN) if (folder / ORIGIN).is_dir() else None,
    )


def outcome_file(folder: Path, rank: int) -> Path:
    """Return where a process says how it ended."""
    return folder / f"outcome-{rank}.json"
