"""Rows of a store are traced back to the cells of the files they came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pytest

from scgraph.config_files import as_bench_config
from scgraph.data import CellStore, prepare, read_cells
from scgraph.data.files.origin import Origin
from scgraph.data.sets.corpus import FileCorpus, stores_to_train_on

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., anndata.AnnData]


@pytest.fixture
def files(tmp_path: Path, make_adata: Make) -> list[Path]:
    paths = [tmp_path / "a.h5ad", tmp_path / "b.h5ad"]
    for number, path in enumerate(paths):
        adata = make_adata(cells=40 + 20 * number, seed=number)
        adata.obs_names = [f"{path.stem}{row}" for row in range(adata.n_obs)]
        adata.write_h5ad(path)
    return paths


def test_a_row_of_the_training_part_is_named_as_in_its_file(files: list[Path]) -> None:
    cells = [read_cells(path) for path in files]
    for part in stores_to_train_on(FileCorpus(cells), as_bench_config({}), seed=3):
        known = {}
        for path, one in zip(files, cells, strict=True):
            whole = CellStore.from_cells(one, part.vocabulary)
            known |= {key: f"cell '{name}' of {path}" for key, name in zip(whole.keys, one.obs_names, strict=True)}
        assert [part.describe([row]) for row in range(len(part))] == [known[key] for key in part.keys]


def test_a_row_of_a_store_on_disk_is_named_by_its_row_in_the_file(files: list[Path], tmp_path: Path) -> None:
    prepare(files, out=tmp_path / "store")
    store = CellStore.open(tmp_path / "store")
    first, second = (f"(counted from 0) of {path}" for path in files)
    assert store.describe([99, 3, 41, 40]) == f"row 3 {first}; rows 0, 1, 59 {second}"
    assert store.subset(np.array([41, 3])).describe([0]) == f"row 1 (counted from 0) of {files[1]}"


def test_it_is_handed_to_another_process_whole(tmp_path: Path) -> None:
    for number, names in enumerate((np.array(["x", "y", "ü z"]), None)):
        origin = Origin.of(["a.h5ad", "b.h5ad"], [1, 2], names).subset(np.array([2, 0]))
        origin.save(tmp_path / str(number))
        assert Origin.load(tmp_path / str(number)).describe([0, 1]) == origin.describe([0, 1])


def test_what_is_not_known_of_a_part_is_known_of_none() -> None:
    known = Origin.of(["a"], [2])
    assert Origin.concat([known, None]) is None
    assert Origin.concat([known, known]).describe([3]) == "row 1 (counted from 0) of a"
    assert Origin.of(["a"], [30]).describe(list(range(30))).endswith("; ... (30 in all)")
