"""Counts or log1p values, told apart or refused; and the normalisation itself."""

from __future__ import annotations

from collections.abc import Callable

import anndata
import numpy as np
import pytest
import scanpy as sc

from scgraph.data import read_cells
from scgraph.errors import DataError

Make = Callable[..., anndata.AnnData]


def test_values_are_those_of_scanpy_and_do_not_depend_on_the_company(make_adata: Make) -> None:
    adata = make_adata(cells=200, genes=120)
    cells = read_cells(adata)
    ours = cells.normalized()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    np.testing.assert_allclose(ours.toarray(), adata.X.toarray(), rtol=1e-6)
    rows = np.array([150, 3, 77])
    np.testing.assert_array_equal(cells.subset(rows).normalized().toarray(), ours[rows].toarray())


def test_log_values_are_taken_as_they_are(make_adata: Make) -> None:
    adata = make_adata()
    counts = read_cells(adata)
    top = f"{adata.X.max():.0f}"
    assert counts.notes == (f"values are whole numbers up to {top}: taken as counts",)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    cells = read_cells(adata)
    assert cells.kind == cells.manifest["kind"] == "log1p"
    assert any("log1p of counts per 10,000" in note for note in cells.notes)
    np.testing.assert_array_equal(cells.normalized().toarray(), adata.X.toarray())


def test_whole_numbers_in_a_layer_of_logarithms_are_refused(make_adata: Make) -> None:
    adata = make_adata()
    adata.layers["logcounts"] = adata.X.copy()
    with pytest.raises(DataError, match="'logcounts' should hold normalised values"):
        read_cells(adata, layer="logcounts")
    adata.layers["logcounts"] = adata.X.log1p()
    assert read_cells(adata, layer="logcounts").kind == "log1p"
