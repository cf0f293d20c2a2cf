"""The expected expression of every gene of a cell, written as a layer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anndata as ad
import h5py
import numpy as np
import pytest
import scanpy as sc
import torch
from scipy import sparse

import scgraph
from scgraph.api import denoise_file, embed_file
from scgraph.config_files import merged
from scgraph.errors import ConfigError, DataError, OutputError
from tests.helpers import QUICK, Bars, make_cells

if TYPE_CHECKING:
    from pathlib import Path

KEY = "scgraph_denoised"


COUNTS = merged(QUICK, {"model": {"cell_head": True}, "train": {"count_loss": 1.0, "mvp_loss": 0.0}})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "gnn"
    scgraph.pretrain([make_cells()], model="gnn", config=COUNTS, out=folder)
    return folder


def fractions(adata: ad.AnnData, model: Path) -> np.ndarray:
    """What the decoder expects of every gene, in the order of the vocabulary, from the trained part of the vectors."""
    scgraph.embed(adata, model)
    del adata.uns["scgraph"]
    network = scgraph.load_model(model).model
    with torch.inference_mode():
        trained = torch.from_numpy(adata.obsm.pop("X_scgraph")[:, -network.channels :])
        return network.log_shares(trained).exp().numpy()


def columns(adata: ad.AnnData, model: Path) -> list[int]:
    symbols = scgraph.load_model(model).vocabulary.symbols
    return [symbols.index(name) for name in adata.var_names if name in symbols]


def test_counts_are_the_fractions_of_the_decoder_at_the_total_of_the_cell(model: Path) -> None:
    adata = make_cells()
    expected = fractions(adata, model)[:, columns(adata, model)] * adata.X.sum(axis=1, keepdims=True)
    record = scgraph.denoise(adata, model, scale="counts")
    np.testing.assert_allclose(adata.layers[KEY], expected, rtol=1e-4)
    np.testing.assert_allclose(adata.layers[KEY].sum(axis=1), adata.X.sum(axis=1), rtol=1e-5)
    assert (record["scale"], record["genes"]) == ("counts", 40)


def test_the_scale_of_log_values_is_that_of_what_was_read(model: Path) -> None:
    adata, logged = make_cells(), make_cells()
    sc.pp.normalize_total(logged, target_sum=1e4)
    sc.pp.log1p(logged)
    scgraph.denoise(adata, model)
    scgraph.denoise(logged, model)
    np.testing.assert_allclose(np.expm1(adata.layers[KEY]).sum(axis=1), 1e4, rtol=1e-3)
    np.testing.assert_allclose(logged.layers[KEY], adata.layers[KEY], atol=1e-3)
    with pytest.raises(DataError, match="needs counts"):
        scgraph.denoise(logged, model, scale="counts")


def test_genes_that_were_not_measured_take_no_share_and_unknown_ones_are_not_made_up(model: Path) -> None:
    adata = make_cells()
    adata.var_names = [f"OTHER{at}" if at < 5 else name for at, name in enumerate(adata.var_names)]
    scgraph.denoise(adata, model, scale="counts")
    assert np.isnan(adata.layers[KEY][:, :5]).all()
    np.testing.assert_allclose(adata.layers[KEY][:, 5:].sum(axis=1), adata.X[:, 5:].sum(axis=1), rtol=1e-5)


def test_a_file_is_as_the_cells_in_memory_and_as_its_pieces(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adata = make_cells()
    adata.X[[0, 7, 8, 89]] = 0
    adata.write_h5ad(tmp_path / "cells.h5ad")
    said: list[str] = []
    monkeypatch.setattr("scgraph.train.denoising._NUMBERS", 40 * 11)
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 700)
    bars = Bars()
    monkeypatch.setattr("scgraph.train.denoising.progress_bars", bars)
    record = denoise_file(
        tmp_path / "cells.h5ad", model, out=tmp_path / "out.h5ad", show_progress=True, say=said.append
    )
    moves = bars.shown["denoising cells"]
    assert len(moves) > 3
    assert moves == sorted(moves)
    assert moves[-1] == (86, 86)  # cells without any count need no step
    monkeypatch.undo()
    assert scgraph.denoise(adata, model) == record
    written = ad.read_h5ad(tmp_path / "out.h5ad")
    # A product of matrices may round otherwise with other rows beside it.
    np.testing.assert_allclose(written.layers[KEY], adata.layers[KEY], rtol=1e-5)
    assert not written.layers[KEY][[0, 7, 8, 89]].any()
    assert np.isfinite(written.layers[KEY]).all()
    assert json.loads(json.dumps(record))["cells"] == 90
    assert any("4 cells without any count get zeros" in text for text in said)
    assert any("90 cells of 40 features" in text and "GB" in text for text in said)


def test_nothing_else_of_the_file_changes(model: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    adata = make_cells()
    adata.layers["mine"] = adata.X * 2
    adata.write_h5ad(path)
    embed_file(path, model, out=path, overwrite=True)
    with h5py.File(path, "r+") as file:
        file.create_group("of_another_tool")["numbers"] = np.arange(7)
    denoise_file(path, model, out=out)
    new: list[str] = []
    with h5py.File(path) as before, h5py.File(out) as after:

        def compare(name: str, element: object) -> None:
            if name not in before:
                new.append(name)
            elif isinstance(element, h5py.Dataset):
                assert np.array_equal(element[()], before[name][()])

        after.visititems(compare)
    assert {name.split("/")[0] for name in new} == {"layers", "uns"}
    assert all(KEY in name for name in new)
    denoise_file(out, model, out=out, overwrite=True)  # its own layer may be written again


def test_values_of_raw_fill_a_layer_of_the_genes_of_the_file(model: Path, tmp_path: Path) -> None:
    whole = make_cells()
    part = make_cells()
    part.raw = part
    part = part[:, ::4].copy()
    part.X = np.log1p(part.X) - 1  # values that nothing could be read from
    part.write_h5ad(tmp_path / "cells.h5ad")
    scgraph.denoise(whole, model)
    scgraph.denoise(part, model, layer="raw")
    assert np.array_equal(part.layers[KEY], whole.layers[KEY][:, ::4])
    denoise_file(tmp_path / "cells.h5ad", model, out=tmp_path / "out.h5ad", layer="raw")
    np.testing.assert_allclose(ad.read_h5ad(tmp_path / "out.h5ad").layers[KEY], part.layers[KEY], rtol=1e-5)


def test_a_10x_file_becomes_an_h5ad_file(model: Path, tmp_path: Path) -> None:
    adata, counts = make_cells(), sparse.csr_matrix(make_cells().X)
    with h5py.File(tmp_path / "tenx.h5", "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = adata.obs_names.to_numpy().astype("S")
        group["data"], group["indices"], group["indptr"] = counts.data.astype("i4"), counts.indices, counts.indptr
        group["shape"] = np.asarray(counts.shape[::-1])
        group["features/id"] = group["features/name"] = adata.var_names.to_numpy().astype("S")
    scgraph.denoise(adata, model)
    denoise_file(tmp_path / "tenx.h5", model, out=tmp_path / "out.h5ad")
    written = ad.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_allclose(written.layers[KEY], adata.layers[KEY], rtol=1e-5)
    assert np.array_equal(written.X.toarray(), counts.toarray())


def test_refusals_come_before_computing(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scgraph.train.denoising.embed", lambda *_, **__: pytest.fail("computed first"))
    path, out = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    adata = make_cells()
    adata.layers["mine"] = adata.X
    adata.uns["log1p"] = {"base": None}
    adata.write_h5ad(path)
    for key in ("mine", "log1p"):
        with pytest.raises(DataError, match=key):
            denoise_file(path, model, out=out, layer_key=key)
        with pytest.raises(DataError, match=key):
            scgraph.denoise(adata, model, layer_key=key)
    for key in ("", "a/b", "raw", "X"):
        with pytest.raises(ConfigError, match="layer_key: a layer cannot be called"):
            denoise_file(path, model, out=out, layer_key=key)
    with pytest.raises(ConfigError, match="log1q"):
        denoise_file(path, model, out=out, scale="log1q")
    monkeypatch.setattr("scgraph.train.copies.shutil.disk_usage", lambda _: type("Disk", (), {"free": 1000}))
    with pytest.raises(OutputError, match="are needed"):
        denoise_file(path, model, out=out)
    assert not out.exists()
    assert "mine" in adata.layers


@pytest.mark.parametrize("decoder", [{"cell_head": False}, {"cell_head": True}], ids=["no head", "a head for values"])
def test_a_model_without_a_decoder_of_counts_is_refused(tmp_path: Path, decoder: dict[str, bool]) -> None:
    values = {"model": decoder, "train": {"count_loss": 0.0, "mvp_loss": 1.0, "cell_loss": float(decoder["cell_head"])}}
    scgraph.pretrain([make_cells()], model="none", config=merged(QUICK, values), out=tmp_path / "none")
    adata = make_cells()
    with pytest.raises(ConfigError, match="no decoder that was trained on counts"):
        scgraph.denoise(adata, tmp_path / "none")
    assert not adata.layers
