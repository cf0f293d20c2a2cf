"""Stores on disk: the same cells as in memory, read from their files; damage is named."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest

from scgraph.data import CellStore, Vocabulary, check_store, prepare, read_cells
from scgraph.data.store.column import DiskColumn
from scgraph.errors import DataError

Make = Callable[..., anndata.AnnData]


@pytest.fixture
def pair(tmp_path: Path, make_adata: Make) -> tuple[CellStore, Path]:
    """A store in memory, and the folder that holds the same cells in five shards."""
    make_adata(cells=60, genes=80).write_h5ad(tmp_path / "cells.h5ad")
    cells = read_cells(tmp_path / "cells.h5ad")
    prepare([tmp_path / "cells.h5ad"], out=tmp_path / "store", shard_cells=13)
    return CellStore.from_cells(cells, Vocabulary.from_cells([cells])), tmp_path / "store"


def test_batches_and_rows_equal_those_in_memory(pair: tuple[CellStore, Path]) -> None:
    memory, disk = pair[0], CellStore.open(pair[1])
    assert len(disk) == 60
    assert disk.vocabulary == memory.vocabulary
    rng = np.random.default_rng(0)
    for rows in (np.arange(60), rng.permutation(60), np.array([59, 0, 0, 13, 12]), np.array([], dtype=int)):
        for found, expected in zip(disk.entries(rows), memory.entries(rows), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        for genes in (5, 200):
            batches = [store.batch(rows, genes=genes, seed=3, epoch=1) for store in (disk, memory)]
            np.testing.assert_array_equal(batches[0][0], batches[1][0])
            np.testing.assert_array_equal(batches[0][1], batches[1][1])
        zeros = [store.zeros(rows, genes=9, seed=3, epoch=1) for store in (disk, memory)]
        np.testing.assert_array_equal(*zeros)
    assert (disk.matrix() != memory.matrix()).nnz == 0


def test_a_part_of_a_store_stays_on_disk_and_joins_in_memory(pair: tuple[CellStore, Path]) -> None:
    memory, disk = pair[0], CellStore.open(pair[1])
    rows = np.random.default_rng(1).permutation(60)[:31]
    part, expected = disk.subset(rows), memory.subset(rows)
    assert isinstance(part.genes, DiskColumn)
    np.testing.assert_array_equal(part.keys, expected.keys)
    np.testing.assert_array_equal(part.indptr, expected.indptr)
    again, twice = part.subset(np.array([30, 2, 7])), expected.subset(np.array([30, 2, 7]))
    assert (again.matrix() != twice.matrix()).nnz == 0
    joined = CellStore.concat([part, memory])
    np.testing.assert_array_equal(joined.genes.array, np.concatenate([expected.genes.array, memory.genes.array]))
    np.testing.assert_array_equal(joined.values.array, np.concatenate([expected.values.array, memory.values.array]))
    disk.prefetch(rows)  # only asks; nothing may change
    with pytest.raises(IndexError):
        disk.batch(np.array([60]), genes=5, seed=0, epoch=0)


def test_cells_without_entries_stand_between_others(tmp_path: Path, make_adata: Make) -> None:
    adata = make_adata()
    counts = adata.X.toarray()
    counts[[0, 12, 13, 39], 1:20] = 0
    adata.X = counts
    adata.write_h5ad(tmp_path / "cells.h5ad")
    cells = read_cells(tmp_path / "cells.h5ad")
    vocabulary = Vocabulary.from_cells([cells]).subset(np.array([2, 3, 4]))
    prepare([tmp_path / "cells.h5ad"], out=tmp_path / "store", vocabulary=vocabulary, shard_cells=13)
    memory, disk = CellStore.from_cells(cells, vocabulary), CellStore.open(tmp_path / "store")
    assert (np.diff(memory.indptr) == 0).any()
    assert (disk.matrix() != memory.matrix()).nnz == 0
    np.testing.assert_array_equal(disk.keys, memory.keys)


def test_files_are_closed_when_nothing_needs_them(pair: tuple[CellStore, Path]) -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("this system does not list open files")

    def held() -> int:
        return sum(os.path.realpath(entry).startswith(str(pair[1])) for entry in folder.iterdir())

    store = CellStore.open(pair[1])
    part = store.subset(np.arange(3))
    del store
    gc.collect()
    assert held() == 10
    assert part.batch(np.arange(3), genes=5, seed=0, epoch=0)[0].any()
    del part
    gc.collect()
    assert held() == 0


def _set(key: str, value: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    return damage


def _cut(name: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - 4)


def _flip(name: str, at: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[at] ^= 1
        (folder / name).write_bytes(content)

    return damage


DAMAGES = {
    "cut genes": (_cut("shard-00001.genes"), r"shard-00001\.genes: has .* bytes instead of"),
    "cut values": (_cut("shard-00004.values"), r"shard-00004\.values: has"),
    "missing": (lambda folder: (folder / "shard-00002.keys").unlink(), r"shard-00002\.keys: is missing"),
    "row starts": (_flip("shard-00000.indptr", 15), r"shard-00000\.indptr: is damaged"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), r"is no store of cells \(manifest\.json"),
    "manifest cut": (_cut("manifest.json"), r"manifest\.json: is damaged"),
    "manifest of another store": (_set("shards", [{"cells": 1}]), r"manifest\.json: is damaged"),
    "newer": (_set("format", 2), r"manifest\.json: is a store of format 2.*another version"),
    "no vocabulary": (lambda folder: (folder / "vocabulary.tsv").unlink(), r"vocabulary\.tsv: is missing"),
    "vocabulary cut": (_cut("vocabulary.tsv"), r"vocabulary\.tsv: is damaged"),
    "other vocabulary": (
        lambda folder: (folder / "vocabulary.tsv").write_text("id\tsymbol\tensembl\n1\tA\t\n"),
        r"vocabulary\.tsv: is not the vocabulary",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damage_is_named_when_a_store_is_opened(pair: tuple[CellStore, Path], case: str) -> None:
    damage, message = DAMAGES[case]
    damage(pair[1])
    with pytest.raises(DataError, match=f"^{pair[1]}.*{message}"):
        CellStore.open(pair[1])


@pytest.mark.parametrize("name", ["genes", "values", "keys"])
def test_changed_content_is_found_by_its_checksum(pair: tuple[CellStore, Path], name: str) -> None:
    assert check_store(pair[1])["cells"] == 60
    _flip(f"shard-00001.{name}", 8)(pair[1])
    CellStore.open(pair[1])
    with pytest.raises(DataError, match=rf"shard-00001\.{name}: its checksum"):
        check_store(pair[1])


def test_a_file_that_is_cut_while_it_is_read_is_named(pair: tuple[CellStore, Path]) -> None:
    disk = CellStore.open(pair[1])
    os.truncate(pair[1] / "shard-00003.values", 10)
    with pytest.raises(DataError, match=r"shard-00003\.values: was cut off"):
        disk.batch(np.arange(60), genes=5, seed=0, epoch=0)


def test_a_gene_that_stands_twice_cannot_harm_the_process(pair: tuple[CellStore, Path]) -> None:
    path = pair[1] / "shard-00000.genes"
    np.ones(path.stat().st_size // 4, dtype="<i4").tofile(path)
    genes, _ = CellStore.open(pair[1]).batch(np.arange(13), genes=4, seed=0, epoch=0)
    assert genes.shape == (13, 4)


def test_a_store_that_is_replaced_stays_readable_for_those_who_have_it_open(pair: tuple[CellStore, Path]) -> None:
    disk = CellStore.open(pair[1])
    shutil.rmtree(pair[1])
    assert (disk.matrix() != pair[0].matrix()).nnz == 0
