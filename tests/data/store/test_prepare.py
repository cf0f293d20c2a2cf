"""Preparing a store: the same as reading whole files, nothing half, every bad file refused before it appears."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import pytest
from scipy import sparse

from scgraph.data import CellStore, Vocabulary, highly_variable, prepare, read_cells
from scgraph.data.files import stream as streaming
from scgraph.data.store.writing import StoreWriter
from scgraph.errors import ConfigError, DataError, ModelFileError, OutputError
from tests.data.files.test_bad_files import DAMAGES as BAD_FILES
from tests.data.files.test_bad_matrix import DAMAGES as BAD_MATRICES
from tests.forking import Forked

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., anndata.AnnData]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few cells, so that every file has several."""
    monkeypatch.setattr(streaming, "_ENTRIES", 150)


def equal(disk: CellStore, memory: CellStore) -> None:
    indptr, genes, values = disk.entries(np.arange(len(disk)))
    assert disk.vocabulary == memory.vocabulary
    np.testing.assert_array_equal(indptr, memory.indptr)
    np.testing.assert_array_equal(genes, memory.genes.array)
    np.testing.assert_array_equal(values.view(np.uint32), memory.values.array.view(np.uint32))
    np.testing.assert_array_equal(disk.keys, memory.keys)
    assert disk.match_note == memory.match_note


def in_memory(paths: list[Path], vocabulary: Vocabulary | None = None, **options: Any) -> CellStore:
    cells = [read_cells(path, **options) for path in paths]
    genes = vocabulary or Vocabulary.from_cells(cells)
    return CellStore.concat([CellStore.from_cells(part, genes) for part in cells])


@pytest.fixture
def three(tmp_path: Path, make_adata: Make) -> list[Path]:
    """Files of overlapping genes: by Ensembl id, by symbol alone, and with antibodies, empty cells and log values."""
    first, second, third = make_adata(), make_adata(cells=44, genes=36, seed=1), make_adata(cells=28, seed=2)
    second.var = second.var[[]]
    counts = second.X.toarray()
    counts[[5, 43]] = 0
    second.X = counts
    third.X = np.log1p(third.X.toarray() / third.X.toarray().sum(axis=1, keepdims=True) * 1e4)
    fourth = make_adata(cells=20, seed=3)[:, 3:].copy()
    fourth.var["feature_types"] = ["Antibody Capture"] * 4 + ["Gene Expression"] * 23
    fourth.X = sparse.csc_matrix(fourth.X)
    paths = [tmp_path / f"{name}.h5ad" for name in "abcd"]
    for adata, path in zip((first, second, third, fourth), paths, strict=True):
        adata.write_h5ad(path)
    return paths


@pytest.mark.parametrize("shard_cells", [7, 1000])
def test_a_store_holds_what_reading_whole_files_gives(three: list[Path], tmp_path: Path, shard_cells: int) -> None:
    said: list[str] = []
    manifest = prepare(three, out=tmp_path / "store", shard_cells=shard_cells, say=said.append)
    memory, disk = in_memory(three), CellStore.open(tmp_path / "store", verify=True)
    equal(disk, memory)
    cells = [read_cells(path) for path in three]
    assert [note for part in cells for note in part.notes] == [
        note for source in manifest["sources"] for note in source["notes"]
    ]
    assert any("2 cells without any count were dropped ('cell5', 'cell43')" in line for line in said)
    assert any("CSC" in line for line in said)
    for part, source in zip(cells, disk.sources, strict=True):
        assert {key: source[key] for key in part.manifest} == part.manifest
    assert [shard["cells"] for shard in manifest["shards"]][:2] == ([7, 7] if shard_cells == 7 else [130])


def test_blocks_know_the_rows_of_their_cells(three: list[Path]) -> None:
    whole, blocks = read_cells(three[1]), list(streaming.CellStream(three[1]).blocks())
    assert len(blocks) > 2
    assert np.concatenate([block.rows for block in blocks]).tolist() == whole.rows.tolist()
    assert whole.rows.tolist() == [at for at in range(44) if at not in (5, 43)]
    assert [whole.obs_names[at] for at in (4, 5)] == ["cell4", "cell6"]


@pytest.mark.parametrize("dtype", ["int64", "float64", ">f4", "bool", "uint16"])
@pytest.mark.parametrize("form", ["dense", "csr", "csc"])
def test_any_form_is_streamed(tmp_path: Path, make_adata: Make, dtype: str, form: str) -> None:
    adata = make_adata()
    counts = np.minimum(adata.X.toarray(), 1).astype(dtype)
    adata.X = {"dense": np.asarray, "csr": sparse.csr_matrix, "csc": sparse.csc_matrix}[form](counts.astype("int32"))
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "r+") as file:
        key = "X" if form == "dense" else "X/data"
        attributes, content = dict(file[key].attrs), file[key][()].astype(dtype)
        del file[key]
        file[key] = content
        file[key].attrs.update(attributes)
    prepare([tmp_path / "cells.h5ad"], out=tmp_path / "store")
    equal(CellStore.open(tmp_path / "store"), in_memory([tmp_path / "cells.h5ad"]))


def test_layers_vocabularies_and_highly_variable_genes(three: list[Path], tmp_path: Path, make_adata: Make) -> None:
    cells = [read_cells(path) for path in three]
    prepare(three, out=tmp_path / "few", n_top_genes=10, min_matched=0)
    assert CellStore.open(tmp_path / "few").vocabulary == highly_variable(cells, 10)
    prepare(three, out=tmp_path / "common", min_cells=70, min_matched=0)
    common = Vocabulary.from_cells(cells, min_cells=70)
    assert len(common) < len(Vocabulary.from_cells(cells))
    assert CellStore.open(tmp_path / "common").vocabulary == common
    (tmp_path / "genes.tsv").write_text(common.to_tsv())
    for given in (tmp_path / "genes.tsv", tmp_path / "common", common):
        prepare([three[0]], out=tmp_path / "given", vocabulary=given, overwrite=True)
        equal(CellStore.open(tmp_path / "given"), in_memory([three[0]], common))
    adata = make_adata()
    adata.layers["counts"], adata.raw = adata.X * 2, adata
    adata.write_h5ad(tmp_path / "layers.h5ad")
    for layer in ("counts", "raw"):
        prepare([tmp_path / "layers.h5ad"], out=tmp_path / "layer", layer=layer, overwrite=True)
        equal(CellStore.open(tmp_path / "layer"), in_memory([tmp_path / "layers.h5ad"], layer=layer))


@pytest.mark.parametrize("case", BAD_MATRICES)
def test_damaged_matrix_is_refused_and_leaves_nothing(h5ad: Path, three: list[Path], case: str) -> None:
    damage, message = BAD_MATRICES[case]
    with h5py.File(h5ad, "r+") as file:
        damage(file)
    before = sorted(h5ad.parent.iterdir())
    with pytest.raises(DataError, match=f"(?s)^{h5ad}: .*{message}"):
        prepare([three[0], h5ad], out=h5ad.parent / "store")
    assert sorted(h5ad.parent.iterdir()) == before


def test_damage_is_found_in_any_block_and_named_by_its_cell(h5ad: Path) -> None:
    for key, value, message in (
        ("X/data", np.nan, "NaN, the first in cell 'cell39', gene"),
        ("X/indices", 10**6, "row 39 has an entry at column 1,000,000"),
        ("X/indices", -1, "row 39 has an entry at column -1"),
    ):
        with h5py.File(h5ad, "r+") as file:
            kept = file[key][-1]
            file[key][-1] = value
        with pytest.raises(DataError, match=message):
            prepare([h5ad], out=h5ad.parent / "store")
        with h5py.File(h5ad, "r+") as file:
            file[key][-1] = kept
    prepare([h5ad], out=h5ad.parent / "store")


@pytest.mark.parametrize("case", BAD_FILES)
def test_damaged_file_is_refused_and_leaves_nothing(h5ad: Path, case: str) -> None:
    damage, message = BAD_FILES[case]
    damage(h5ad)
    with pytest.raises(DataError, match=f"(?s)^{h5ad}: .*{message}"):
        prepare([h5ad], out=h5ad.parent / "store")
    assert sorted(h5ad.parent.iterdir()) == [h5ad]


def test_fractions_among_the_last_cells_are_seen(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        file["X/data"][-1] = 20.5
    with pytest.raises(
        DataError, match=r"such as 20\.5\), and the others are whole.* fractions stand in cells such as cell39"
    ):
        prepare([h5ad], out=h5ad.parent / "store")
    with h5py.File(h5ad, "r+") as file:
        file["X/data"][...] = 0
    with pytest.raises(DataError, match="every value is 0"):
        prepare([h5ad], out=h5ad.parent / "store")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"vocabulary": "nowhere.tsv"}, ModelFileError, "nowhere.tsv: there is no such file"),
        ({"vocabulary": Vocabulary(("CD3D",), ("",))}, DataError, "only 0 of 1 genes matched"),
        ({"n_top_genes": 0}, ConfigError, "n_top_genes must be 1"),
        ({"shard_cells": 0}, ConfigError, "shard_cells must be 1"),
        ({"min_cells": 1000}, DataError, "no gene is expressed in 1,000 cells"),
        ({"vocabulary": Vocabulary(("A",), ("",)), "min_cells": 2}, ConfigError, "taken whole"),
    ],
)
def test_wrong_requests_are_refused(h5ad: Path, options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        prepare([h5ad], out=h5ad.parent / "store", **options)
    assert sorted(h5ad.parent.iterdir()) == [h5ad]


def test_nothing_is_overwritten_unasked_and_only_stores_when_asked(h5ad: Path) -> None:
    store = h5ad.parent / "store"
    prepare([h5ad], out=store)
    before = (store / "manifest.json").read_bytes()
    with pytest.raises(OutputError, match="store: stands there already"):
        prepare([h5ad], out=store)
    assert (store / "manifest.json").read_bytes() == before
    prepare([h5ad], out=store, shard_cells=10, overwrite=True)
    assert len(CellStore.open(store, verify=True)) == 40
    with pytest.raises(OutputError, match="holds other files"):
        prepare([h5ad], out=h5ad.parent, overwrite=True)
    with pytest.raises(OutputError, match="is a file"):
        prepare([h5ad], out=h5ad, overwrite=True)
    assert sorted(path.name for path in h5ad.parent.iterdir()) == ["cells.h5ad", "store"]


def prepare_slowly(h5ad: Path, store: Path, *, overwrite: bool) -> None:
    """In a process of its own: small parts, and some time between them."""
    slow = StoreWriter.add

    def add(*arguments: Any, **options: Any) -> None:
        time.sleep(0.01)
        slow(*arguments, **options)

    StoreWriter.add = add  # type: ignore[method-assign]
    streaming._ENTRIES = 150
    prepare([h5ad], out=store, shard_cells=5, overwrite=overwrite)


@pytest.mark.parametrize("stands", [False, True])
def test_a_kill_leaves_no_half_store_and_the_same_command_starts_again(
    h5ad: Path, tmp_path_factory: pytest.TempPathFactory, *, stands: bool
) -> None:
    store = h5ad.parent / "store"
    if stands:
        prepare([h5ad], out=store)
    expected = in_memory([h5ad])
    log = tmp_path_factory.mktemp("logs") / "child"
    caught = 0
    for delay in (0.0, 0.03, 0.08, 0.13):
        child = Forked(partial(prepare_slowly, h5ad, store, overwrite=True), log)
        for _ in range(1000):
            with contextlib.suppress(FileNotFoundError):  # the folder may get its name while it is looked at
                if any(h5ad.parent.glob(".store.*/new/shard-*")):
                    break
            time.sleep(0.005)
        time.sleep(delay)
        child.kill()
        child.wait()
        caught += any(h5ad.parent.glob(".store.*"))
        if store.exists():
            equal(CellStore.open(store, verify=True), expected)
        else:
            assert not stands
    assert caught >= 2
    prepare([h5ad], out=store, overwrite=True)
    equal(CellStore.open(store, verify=True), expected)
    assert sorted(path.name for path in h5ad.parent.iterdir()) == ["cells.h5ad", "store"]


def test_two_at_once_leave_one_whole_store(h5ad: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    store, logs = h5ad.parent / "store", tmp_path_factory.mktemp("logs")
    run = partial(prepare_slowly, h5ad, store, overwrite=False)
    children = [Forked(run, logs / str(number)) for number in range(2)]
    codes, said = [child.wait() for child in children], [child.said() for child in children]
    assert 0 in codes, said
    for code, text in zip(codes, said, strict=True):
        assert not code or text.splitlines()[-1].endswith("Choose another folder, or say overwrite=True."), text
    equal(CellStore.open(store, verify=True), in_memory([h5ad]))
    assert sorted(path.name for path in h5ad.parent.iterdir()) == ["cells.h5ad", "store"]


def test_a_file_that_changes_between_the_passes_is_refused(h5ad: Path) -> None:
    stream = streaming.CellStream(h5ad)
    os.utime(h5ad, ns=(1, 1))
    with pytest.raises(DataError, match="was changed while it was read"):
        next(stream.blocks())


def test_real_files_of_different_gene_sets(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_ENTRIES", 2**18)
    paths = [shared_data / f"{name}.h5ad" for name in ("kang_pbmc_subset", "five_lung_cancer_cell_lines")]
    prepare(paths, out=tmp_path / "store", shard_cells=1000)
    cells = [read_cells(path) for path in paths]
    genes = Vocabulary.from_cells(cells)
    equal(CellStore.open(tmp_path / "store"), CellStore.concat([CellStore.from_cells(part, genes) for part in cells]))
    assert re.search(r"matched by .*; .* matched by", CellStore.open(tmp_path / "store").match_note)
