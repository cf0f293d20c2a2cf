"""Layers: which matrix a name means, and what its words say of the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pytest

from scgraph.data import read_cells
from scgraph.data.files.layers import declared_kind
from scgraph.data.files.stream import CellStream
from scgraph.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., anndata.AnnData]


@pytest.fixture
def both(h5ad: Path, make_adata: Make) -> anndata.AnnData:
    """A layer `raw` of 20 genes beside a `.raw` of 30, on disk too."""
    adata = make_adata()
    adata.raw = adata
    adata = adata[:, :20].copy()
    adata.layers["raw"] = adata.X * 2
    adata.write_h5ad(h5ad)
    return adata


def test_a_name_that_means_two_matrices_is_refused(h5ad: Path, both: anndata.AnnData) -> None:
    for read, source in ((read_cells, both), (read_cells, h5ad), (CellStream, h5ad)):
        with pytest.raises(DataError, match=r"both layers\['raw'\] and \.raw.*layers/raw or raw/X"):
            read(source, layer="raw")


def test_each_of_them_can_be_named(h5ad: Path, both: anndata.AnnData) -> None:
    for source in (both, h5ad):
        raw, layer = (read_cells(source, layer=name) for name in ("raw/X", "layers/raw"))
        np.testing.assert_array_equal(raw.matrix.toarray(), both.raw.X.toarray())
        np.testing.assert_array_equal(layer.matrix.toarray(), both.layers["raw"].toarray())
    assert CellStream(h5ad, layer="raw/X").entries == both.raw.X.nnz
    with pytest.raises(DataError, match=r"no layer 'rww'\. Did you mean 'raw/X'"):
        read_cells(h5ad, layer="rww")


def test_either_alone_is_raw(h5ad: Path, both: anndata.AnnData) -> None:
    only_raw, only_layer = both.copy(), both.copy()
    del only_raw.layers["raw"]
    del only_layer.raw
    for adata, genes in ((only_raw, 30), (only_layer, 20)):
        adata.write_h5ad(h5ad)
        for source in (adata, h5ad):
            assert read_cells(source, layer="raw").matrix.shape == (40, genes)
    with pytest.raises(DataError, match="no layer 'raw/X'"):
        read_cells(only_layer, layer="raw/X")


@pytest.mark.parametrize(
    "name",
    ["unnormalized", "unscaled", "prelog", "catalog", "analogue", "un-normalised", "pre_log", "not scaled", "raw"],
)
def test_counts_may_stand_in_layers_whose_names_hold_other_words(make_adata: Make, name: str) -> None:
    adata = make_adata()
    adata.layers[name] = adata.X.copy()
    assert read_cells(adata, layer=name).kind == "counts"


@pytest.mark.parametrize(
    "name",
    [
        "logcounts",
        "logCounts",
        "log_counts",
        "log1p",
        "log1p_norm",
        "lognorm",
        "LogNormalized",
        "normalized_counts",
        "normalised",
        "norm",
        "scaled",
        "scale.data",
        "layers/logcounts",
        "log2",
        "logcpm",
    ],
)
def test_names_of_normalised_values(make_adata: Make, name: str) -> None:
    assert declared_kind(name) == "log1p"
    adata = make_adata()
    adata.layers[name.removeprefix("layers/")] = adata.X.copy()
    with pytest.raises(DataError, match=f"layer '{name}' should hold normalised values"):
        read_cells(adata, layer=name)


@pytest.mark.parametrize("name", ["counts", "raw_counts", "UMI", "umis", "rawCounts", "counts_before_log"])
def test_names_of_counts(name: str) -> None:
    assert declared_kind(name) == "counts"


@pytest.mark.parametrize("name", [None, "X", "discounts", "albumin", "raw", "spliced", "accounts", "magic"])
def test_names_that_say_nothing(name: str | None) -> None:
    assert declared_kind(name) is None
