"""Whatever `prepare` reads, `embed` embeds, and the rest of the file stays as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anndata as ad
import h5py
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

import scgraph
from scgraph.api import OBSM_KEY, embed_file
from scgraph.data import prepare
from scgraph.errors import DataError, OutputError
from tests.helpers import make_cells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def model(quick_models: Path) -> Path:
    return quick_models / "gnn"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "cells.h5ad"
    adata = make_cells()
    adata.raw = adata
    adata.write_h5ad(path)
    return path


def scaled(total: float | None, base: float | None = None) -> Callable[[ad.AnnData], None]:
    def change(adata: ad.AnnData) -> None:
        sc.pp.normalize_total(adata, target_sum=total)
        if base is not None:
            sc.pp.log1p(adata, base=base)
        adata.uns.clear()

    return change


SCALES = {
    "counts": lambda adata: None,
    "counts per 10,000": scaled(1e4),
    "counts per million": scaled(1e6),
    "median total": scaled(None),
    "log1p of counts per 10,000": scaled(1e4, np.e),
    "log1p of counts per million": scaled(1e6, np.e),
    "log1p of the median total": scaled(None, np.e),
    "log2": scaled(1e4, 2),
    "log10": scaled(1e4, 10),
    "log1p of counts": lambda adata: sc.pp.log1p(adata),
}


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_of_one_file_embeds_alike(model: Path, tmp_path: Path, name: str) -> None:
    whole, adata = make_cells(), make_cells()
    scgraph.embed(whole, model)
    SCALES[name](adata)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    embed_file(tmp_path / "cells.h5ad", model, out=tmp_path / "out.h5ad")
    scgraph.embed(adata, model)
    np.testing.assert_allclose(adata.obsm[OBSM_KEY], whole.obsm[OBSM_KEY], atol=1e-4)
    assert np.array_equal(ad.read_h5ad(tmp_path / "out.h5ad").obsm[OBSM_KEY], adata.obsm[OBSM_KEY])


def test_a_scale_that_cannot_be_told_is_refused_before_anything_is_written(model: Path, tmp_path: Path) -> None:
    adata = make_cells()
    adata.X = adata.X * np.random.default_rng(0).uniform(0.5, 1, size=adata.shape)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(DataError, match="with values: linear"):
        embed_file(tmp_path / "cells.h5ad", model, out=tmp_path / "out.h5ad")
    assert not (tmp_path / "out.h5ad").exists()
    embed_file(tmp_path / "cells.h5ad", model, out=tmp_path / "out.h5ad", values="linear")
    scgraph.embed(adata, model, values="linear")
    assert np.array_equal(ad.read_h5ad(tmp_path / "out.h5ad").obsm[OBSM_KEY], adata.obsm[OBSM_KEY])


def _novelty(file: h5py.File) -> None:
    file["uns"].create_group("novelty").attrs["encoding-type"] = "of_tomorrow"


def _extra(file: h5py.File) -> None:
    file.create_group("of_another_tool")["numbers"] = np.arange(7)


def _short_obsm(file: h5py.File) -> None:
    file["obsm"]["X_pca"] = np.zeros((3, 2))


def _no_obsm(file: h5py.File) -> None:
    del file["obsm"], file["uns"]


def _barcodes(file: h5py.File) -> None:
    names = file["obs"].attrs["_index"]
    file["obs"].copy(names, "barcodes")
    file["obs"].attrs["column-order"] = [*file["obs"].attrs["column-order"], "barcodes"]


def _seurat_raw(file: h5py.File) -> None:
    table = file["raw/var"]
    names = table[table.attrs["_index"]][()]
    del file["raw/var"]
    file.create_group("raw/var").create_dataset("_index", data=names)


def _old_obsm(file: h5py.File) -> None:
    del file["obsm"]
    file["obsm"] = np.zeros(90, dtype=[("X_pca", "f4", (2,))])


def _old_tables(file: h5py.File) -> None:
    _old_obsm(file)
    for name in ("obs", "var"):
        names = file[name][file[name].attrs["_index"]][()].astype("S32")
        del file[name]
        file[name] = np.asarray([(one,) for one in names], dtype=[("index", "S32")])
    del file["raw"], file["layers"], file["varm"], file["obsp"], file["varp"]
    for mark in ("encoding-type", "encoding-version"):
        del file.attrs[mark]


EDITS = [_novelty, _extra, _short_obsm, _no_obsm, _barcodes, _seurat_raw, _old_obsm, _old_tables]


@pytest.mark.parametrize("edit", EDITS)
def test_embed_takes_what_prepare_takes(
    model: Path, source: Path, tmp_path: Path, edit: Callable[[h5py.File], None]
) -> None:
    plain, out = tmp_path / "plain.h5ad", tmp_path / "out.h5ad"
    embed_file(source, model, out=plain)
    with h5py.File(source, "r+") as file:
        edit(file)
        before: list[str] = []
        file.visit(before.append)
    prepare([source], out=tmp_path / "store")
    embed_file(source, model, out=out)
    with h5py.File(out) as file, h5py.File(plain) as other:
        after: list[str] = []
        file.visit(after.append)
        assert set(before) <= set(after)
        assert np.array_equal(file["obsm"][OBSM_KEY][()], other["obsm"][OBSM_KEY][()])
        assert file["uns/scgraph/model"][()] == b"gnn"
    embed_file(out, model, out=out, overwrite=True)  # our own names may be written again


def test_seurat_names_of_raw_are_read(model: Path, source: Path, tmp_path: Path) -> None:
    with h5py.File(source, "r+") as file:
        _seurat_raw(file)
    prepare([source], out=tmp_path / "store", layer="raw")
    record = embed_file(source, model, out=tmp_path / "out.h5ad", layer="raw")
    assert record["genes_matched"].startswith("40 of 40")


@pytest.mark.parametrize("version", [2, 3])
def test_10x_file_becomes_h5ad(model: Path, source: Path, tmp_path: Path, version: int) -> None:
    adata, path, out, whole = make_cells(), tmp_path / "tenx.h5", tmp_path / "out.h5ad", tmp_path / "whole.h5ad"
    counts = sparse.csr_matrix(adata.X)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        group["barcodes"] = adata.obs_names.to_numpy().astype("S")
        group["data"], group["indices"], group["indptr"] = counts.data.astype("i4"), counts.indices, counts.indptr
        group["shape"] = np.asarray(counts.shape[::-1])
        names = group.create_group("features") if version == 3 else group
        for key in ("id", "name") if version == 3 else ("genes", "gene_names"):
            names[key] = adata.var_names.to_numpy().astype("S")
    said: list[str] = []
    prepare([path], out=tmp_path / "store")
    embed_file(path, model, out=out, say=said.append)
    embed_file(source, model, out=whole)
    found = ad.read_h5ad(out)
    assert np.array_equal(found.X.toarray(), counts.toarray())
    assert found.obs_names.tolist() == adata.obs_names.tolist()
    assert np.array_equal(found.obsm[OBSM_KEY], ad.read_h5ad(whole).obsm[OBSM_KEY])
    assert any("10x file" in text for text in said)


@pytest.mark.parametrize("lazy", [False, True])
def test_objects_on_disk_are_embedded_a_block_at_a_time(
    model: Path, tmp_path: Path, lazy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_cells()
    whole.X = sparse.csr_matrix(whole.X)
    whole.write_h5ad(tmp_path / "cells.h5ad")
    scgraph.embed(whole, model)
    monkeypatch.setattr("scgraph.data.files.storage.available_memory", lambda: 1000)
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 100)
    path = tmp_path / "cells.h5ad"
    adata = ad.experimental.read_lazy(path) if lazy else ad.read_h5ad(path, backed="r")
    record = scgraph.embed(adata, model)
    assert np.array_equal(np.asarray(adata.obsm[OBSM_KEY]), whole.obsm[OBSM_KEY])
    assert record["cells"] == 90


def test_refusals_come_before_computing(
    model: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scgraph.train.vectors.Embedder.__call__", lambda *_, **__: pytest.fail("computed first"))
    (tmp_path / "folder.h5ad").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        embed_file(source, model, out=tmp_path / "folder.h5ad", overwrite=True)
    with h5py.File(source, "r+") as file:
        file["uns"]["scgraph"] = "a note of mine"
    with pytest.raises(DataError, match=f"{source}: uns\\['scgraph'\\] is there"):
        embed_file(source, model, out=tmp_path / "out.h5ad")
    with h5py.File(source, "r+") as file:
        del file["uns/scgraph"]
        file["obsm"].create_group(OBSM_KEY)
    with pytest.raises(DataError, match=f"{source}: obsm\\['X_scgraph'\\] is there"):
        embed_file(source, model, out=tmp_path / "out.h5ad")


def test_a_cell_without_counts_gets_zeros(model: Path, tmp_path: Path) -> None:
    adata, path, out = make_cells(), tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    adata.X[5] = 0
    adata.write_h5ad(path)
    said: list[str] = []
    record = embed_file(path, model, out=out, say=said.append)
    vectors = ad.read_h5ad(out).obsm[OBSM_KEY]
    scgraph.embed(adata, model)
    assert np.array_equal(vectors, adata.obsm[OBSM_KEY])
    assert not vectors[5].any()
    assert np.delete(vectors, 5, axis=0).any(axis=1).all()
    assert any("get zeros" in text and repr(adata.obs_names[5]) in text for text in said)
    assert json.loads(json.dumps(record))["cells"] == 90
