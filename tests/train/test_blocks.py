"""Pretraining on files that memory need not hold: what is read at a time, and the losses of cells in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

import scgraph
from scgraph.data.store.column import DiskColumn
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pytest
    from numpy.typing import NDArray

MOST = 40


def test_losses_are_those_of_cells_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "one.h5ad", tmp_path / "other.h5ad"]
    for seed, path in enumerate(files):
        make_cells(90, seed=seed).write_h5ad(path)
    config = QUICK | {"train": QUICK["train"] | {"batch_size": MOST}}
    for name in ("models.initial", "train.neighbors"):
        monkeypatch.setattr(f"scgraph.{name}.MOST_CELLS", MOST)
        monkeypatch.setattr(f"scgraph.{name}._BLOCK", 10)
    monkeypatch.setattr("scgraph.train.views._BLOCK", 10)
    whole = scgraph.pretrain(files, config=config, batch_key="donor")
    monkeypatch.setattr("scgraph.data.store.entries.IN_MEMORY", 0)
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 200)
    read: list[int] = []
    real = DiskColumn.read

    def noted(column: DiskColumn[Any], rows: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[Any]:
        read.append(len(rows))
        return real(column, rows, starts)

    monkeypatch.setattr(DiskColumn, "read", noted)
    there = scgraph.pretrain(files, config=config, batch_key="donor")
    losses = ["train_loss", "validation_loss"]
    pd.testing.assert_frame_equal(there.history[losses], whole.history[losses], check_exact=True)
    assert max(read) == MOST
