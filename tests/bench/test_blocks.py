"""A bench of files that memory need not hold: what is read at a time, and the results of cells in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgraph.bench.run import run_bench
from scgraph.bench.uses import hidden
from scgraph.config_files import as_bench_config
from scgraph.data.sets.corpus import NO_CORPUS, Corpus, read_corpus
from scgraph.data.sets.labelled import read_probe_sets, split_of
from scgraph.data.sets.stores import SetStores, make_stores
from scgraph.data.store.column import ArrayColumn, DiskColumn
from scgraph.train.distributed.handover import read_store, write_store
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from scgraph.data import CellStore

CELLS = 150
USES = ["shallow", "imputation", "transfer"]
"""Those that read cells; the others ask about features."""
ROWS = ["majority", "pca+logreg", "logreg", "pca+model"]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Cells to learn from and, of another draw, cells to transfer to."""
    paths = [tmp_path / "cells.h5ad", tmp_path / "others.h5ad"]
    for seed, path in enumerate(paths):
        adata = make_cells(CELLS, seed=seed)
        adata.X[[0, 77]] = 0
        adata.X = sparse.csr_matrix(adata.X)
        adata.write_h5ad(path)
    return paths


def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay all cells on the disk, and read a block of some ten of them at a time."""
    monkeypatch.setattr("scgraph.data.store.entries.IN_MEMORY", 0)
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 200)


def bench(files: list[Path], **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores of a bench in all uses."""
    config = QUICK | {"baselines": ROWS} | settings
    result = run_bench(["gnn-linear"], files[:1], config=config, uses=USES, transfer=files[1:], batch_key="donor")
    times = ["seconds_pretrain", "cells_per_second"]
    return result.results.drop(columns=times), result.uses


def test_scores_are_those_of_cells_in_memory(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"split": "random", "n_top_genes": 20, "fine_tuned": True}
    results, uses = bench(files, **settings)
    on_disk(monkeypatch)
    again = bench(files, **settings)
    pd.testing.assert_frame_equal(again[0], results, check_exact=True)
    pd.testing.assert_frame_equal(again[1], uses, check_exact=True)
    assert set(results["model"]) > {"logreg", "pca+gnn-linear", "gnn-linear"}
    assert set(uses["use"]) == set(USES)


def test_a_part_of_the_cells_is_read_at_a_time(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(monkeypatch)
    for name in ("data.components", "models.initial", "train.neighbors"):
        monkeypatch.setattr(f"scgraph.{name}.MOST_CELLS", 30)
    for name in ("data.components", "models.initial", "bench.measure", "train.neighbors", "train.views"):
        monkeypatch.setattr(f"scgraph.{name}._BLOCK", 10)
    monkeypatch.setattr("scgraph.train.embedding._ENTRIES", 200)
    monkeypatch.setattr("scgraph.representations.base._MOST_CELLS", 30)
    monkeypatch.setattr("scgraph.train.finetuning._MOST_CELLS", 30)
    monkeypatch.setattr(hidden, "MOST", dict.fromkeys(hidden.MOST, 30))
    most = 0

    def read(column: DiskColumn[Any], rows: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[Any]:
        nonlocal most
        most = max(most, len(rows))
        return whole(column, rows, starts)

    whole = DiskColumn.read
    monkeypatch.setattr(DiskColumn, "read", read)
    bench(files, fine_tuned=True)
    assert 30 <= most <= 64


def stores_of(path: Path, corpus: Corpus = NO_CORPUS) -> SetStores:
    config = as_bench_config(QUICK)
    (probe,) = read_probe_sets([path], batch_key="donor")
    return make_stores(probe, split_of(probe, config, seed=0), corpus, config, seed=0, drop_leaks=True)


def test_stores_on_the_disk_are_those_in_memory(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    stores = stores_of(files[0])
    on_disk(monkeypatch)
    there = stores_of(files[0])
    assert there.notes == stores.notes
    for name in ("train", "validation", "probe"):
        one, other = getattr(stores, name), getattr(there, name)
        assert isinstance(one.values, ArrayColumn)
        assert isinstance(other.values, DiskColumn)
        same_cells(other, one)
        assert other.vocabulary.sha256 == one.vocabulary.sha256
        assert other.describe([0, 1]) == one.describe([0, 1])


def test_a_corpus_on_the_disk_is_that_in_memory(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two files, one of which holds the cells that are scored."""
    stores = stores_of(files[0], read_corpus(files))
    on_disk(monkeypatch)
    corpus = read_corpus(files)
    there = stores_of(files[0], corpus)
    assert there.leaks == stores.leaks > 0
    assert there.notes == stores.notes
    for name in ("train", "validation", "probe"):
        one, other = getattr(stores, name), getattr(there, name)
        assert isinstance(other.values, DiskColumn)
        same_cells(other, one)
        assert other.describe([0, len(other) - 1]) == one.describe([0, len(one) - 1])
    same_cells(corpus.whole(), read_corpus([ad.read_h5ad(path) for path in files]).whole())


def test_cells_without_a_file_name_reach_other_processes(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk(monkeypatch)
    monkeypatch.setattr("scgraph.data.store.column._COPIED", 100)
    train = stores_of(files[0]).train
    write_store(tmp_path / "train", train)
    again = read_store(tmp_path / "train", train.vocabulary)
    assert again is not None
    same_cells(again, train)


def same_cells(one: CellStore, other: CellStore) -> None:
    rows = np.arange(len(other))
    for first, second in zip(one.entries(rows), other.entries(rows), strict=True):
        assert first.dtype == second.dtype
        assert np.array_equal(first, second)
    assert np.array_equal(one.keys, other.keys)
    assert (one.batches is None) == (other.batches is None)
    assert one.batches is None or np.array_equal(one.batches, other.batches)
