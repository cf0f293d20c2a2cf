"""`embed` works in blocks, appears whole or not at all, and goes on after a kill to the same bytes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import anndata as ad
import h5py
import numpy as np
import pytest

import scgraph
from scgraph.api import OBSM_KEY, embed_file
from scgraph.data import prepare
from scgraph.errors import ConfigError, DataError, OutputError
from scgraph.train import partial
from tests.embedding import cells_in_blocks, embed_killed_after
from tests.forms import write_zarr

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model(quick_models: Path) -> Path:
    return quick_models / "gnn-linear"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cells of which some have no count, in a file that is read a few at a time, each marked when it is written."""
    adata = cells_in_blocks(monkeypatch, [0, 40, 41, 88, 89])
    adata.obs["score"] = np.arange(90.0)
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    return path


def killed_after(cells: int, *arguments: Any, **options: Any) -> None:
    """Embed in a process of its own that gets SIGKILL as soon as so many cells are embedded."""
    assert embed_killed_after(cells, *arguments, **options).wait(60) == -signal.SIGKILL


@pytest.mark.parametrize("cells", [1, 45, 90])
@pytest.mark.parametrize("option", ["out", "vectors"])
def test_a_killed_run_goes_on_to_the_same_bytes(
    model: Path, source: Path, tmp_path: Path, cells: int, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    embed_file(source, model, **{option: whole})
    before = sorted(path.name for path in tmp_path.iterdir())
    killed_after(cells, source, model, **{option: out})
    assert not out.exists()
    left = tmp_path / "out.h5ad.partial"
    with pytest.raises(
        OutputError, match=f"{left}: holds what an interrupted run has embedded. Go on with resume=True"
    ):
        embed_file(source, model, **{option: out})
    # What is there is not computed again.
    seen: list[int] = []
    embed_store = scgraph.train.vectors.Embedder.__call__

    def counted(self: Any, store: Any) -> Any:
        seen.append(len(store))
        return embed_store(self, store)

    monkeypatch.setattr("scgraph.train.vectors.Embedder.__call__", counted)
    said: list[str] = []
    embed_file(source, model, **{option: out}, resume=True, say=said.append)
    assert sum(seen) <= 90 - cells
    assert any("of 90 cells are embedded already" in text for text in said)
    assert np.array_equal(ad.read_h5ad(out).obsm[OBSM_KEY], ad.read_h5ad(whole).obsm[OBSM_KEY])
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "out.h5ad"])


def test_a_run_goes_on_only_with_what_it_was_begun_with(model: Path, source: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out.h5ad", tmp_path / "other.h5ad"
    killed_after(45, source, model, out=out)
    changed = ad.read_h5ad(source)
    changed.X = changed.X * 2
    changed.write_h5ad(other)
    with pytest.raises(OutputError, match="begun with another source"):
        embed_file(other, model, out=out, resume=True)
    with pytest.raises(OutputError, match="begun with another model"):
        embed_file(source, model.parent / "gnn", out=out, resume=True)
    (tmp_path / "out.h5ad.partial/vectors.f32").write_bytes(b"cut")
    with pytest.raises(OutputError, match="is cut"):
        embed_file(source, model, out=out, resume=True)
    embed_file(other, model, out=out, overwrite=True)
    assert not (tmp_path / "out.h5ad.partial").exists()


def test_nothing_to_go_on_with_is_said(model: Path, source: Path, tmp_path: Path) -> None:
    said: list[str] = []
    embed_file(source, model, out=tmp_path / "out.h5ad", resume=True, say=said.append)
    assert any("nothing to go on with" in text for text in said)


def test_a_folder_of_somebody_else_is_left_alone(model: Path, source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out.h5ad.partial"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="was not left by embed"):
        embed_file(source, model, out=tmp_path / "out.h5ad", overwrite=True)
    assert (mine / "notes.txt").read_text() == "mine"


def test_two_runs_do_not_write_to_one_place(model: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5ad"
    busy = partial.PartialVectors(out, (90, 8), {})
    with busy.locked(), pytest.raises(OutputError, match="another process writes"):
        embed_file(source, model, out=out, resume=True)


def test_vectors_alone_have_the_names_and_obs_of_the_cells(model: Path, source: Path, tmp_path: Path) -> None:
    record = embed_file(source, model, vectors=tmp_path / "vectors.h5ad")
    embed_file(source, model, out=tmp_path / "copy.h5ad")
    found, copy = ad.read_h5ad(tmp_path / "vectors.h5ad"), ad.read_h5ad(tmp_path / "copy.h5ad")
    assert found.shape == (90, 0)
    assert found.obs.equals(copy.obs)
    assert np.array_equal(found.obsm[OBSM_KEY], copy.obsm[OBSM_KEY])
    assert found.uns["scgraph"]["model"] == record["model"] == "gnn-linear"
    with h5py.File(tmp_path / "vectors.h5ad") as file:
        assert file["obsm"][OBSM_KEY].dtype == np.float32


def test_a_store_is_embedded_as_the_files_it_was_made_of(model: Path, source: Path, tmp_path: Path) -> None:
    embed_file(source, model, vectors=tmp_path / "file.h5ad")
    prepare([source], out=tmp_path / "store")
    embed_file(tmp_path / "store", model, vectors=tmp_path / "vectors.h5ad")
    found, whole = ad.read_h5ad(tmp_path / "vectors.h5ad"), ad.read_h5ad(tmp_path / "file.h5ad")
    counted = whole.obsm[OBSM_KEY].any(axis=1)
    assert counted.sum() == 85
    np.testing.assert_array_equal(found.obsm[OBSM_KEY], whole.obsm[OBSM_KEY][counted])
    assert set(found.obs["source"]) == {"cells.h5ad"}
    with pytest.raises(DataError, match="Name a file with vectors in place of out"):
        embed_file(tmp_path / "store", model, out=tmp_path / "copy.h5ad")
    with pytest.raises(DataError, match="--layer"):
        embed_file(tmp_path / "store", model, vectors=tmp_path / "copy.h5ad", layer="raw")
    killed_after(20, tmp_path / "store", model, vectors=tmp_path / "resumed.h5ad")
    embed_file(tmp_path / "store", model, vectors=tmp_path / "resumed.h5ad", resume=True)
    assert (tmp_path / "resumed.h5ad").read_bytes() == (tmp_path / "vectors.h5ad").read_bytes()


@pytest.mark.parametrize("form", ["csc", "dense", "zarr"])
def test_every_form_is_read_from_any_row_on(model: Path, source: Path, tmp_path: Path, form: str) -> None:
    adata = ad.read_h5ad(source)
    path = tmp_path / ("cells.zarr" if form == "zarr" else f"{form}.h5ad")
    if form == "csc":
        adata.X = adata.X.tocsc()
    elif form == "dense":
        adata.X = adata.X.toarray()
    write_zarr(path, adata) if form == "zarr" else adata.write_h5ad(path)
    killed_after(30, path, model, vectors=tmp_path / "out.h5ad")
    embed_file(path, model, vectors=tmp_path / "out.h5ad", resume=True)
    embed_file(source, model, vectors=tmp_path / "whole.h5ad")
    found, whole = (ad.read_h5ad(tmp_path / name).obsm[OBSM_KEY] for name in ("out.h5ad", "whole.h5ad"))
    assert np.array_equal(found, whole)


def test_either_a_copy_or_the_vectors_are_asked_for(model: Path, source: Path, tmp_path: Path) -> None:
    for options in ({}, {"out": tmp_path / "a.h5ad", "vectors": tmp_path / "b.h5ad"}):
        with pytest.raises(ConfigError, match="Name one of out"):
            embed_file(source, model, **options)
