"""Sums over groups of cells in blocks are those of the plain form, from the disk too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from scgraph.data import read_cells
from scgraph.data.files.stream import CellStream
from scgraph.data.store.spool import SpooledCells, lay_aside
from scgraph.perturb.expression import expression_matrix, expression_sums, mean_expression
from tests.helpers import make_cells

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["counts", "log1p"])
def source(request: pytest.FixtureRequest, tmp_path: Path, laid_on_the_disk: None) -> Path:
    """Cells of which some have no count, on either scale."""
    adata = make_cells(150, 30)
    counts = np.asarray(adata.X, dtype=np.float64)
    counts[[0, 70, 149]] = 0
    logged = np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    kind: Literal["counts", "log1p"] = request.param
    adata.X = sparse.csr_matrix((counts if kind == "counts" else logged).astype(np.float32))
    adata.write_h5ad(tmp_path / "cells.h5ad")
    assert read_cells(tmp_path / "cells.h5ad").kind == kind
    return tmp_path / "cells.h5ad"


@pytest.mark.parametrize("columns", [None, list(range(30)), [3, 4, 11, 29], []])
def test_sums_are_those_of_the_plain_form(source: Path, columns: list[int] | None) -> None:
    whole = read_cells(source)
    values, aside = whole.normalized(), lay_aside(CellStream(source))
    assert len(list(aside.blocks())) > 5
    rng = np.random.default_rng(0)
    order = rng.permutation(len(whole))
    # Unordered, overlapping, of one cell, of all cells.
    groups = [order[:40], order[30:70], order[70:71], np.arange(len(whole))]
    kept = None if columns is None else np.asarray(columns, dtype=np.int64)
    expected = np.stack([mean_expression(values, rows) for rows in groups])
    expected = expected if kept is None else expected[:, kept]
    sizes = np.asarray([[len(rows)] for rows in groups])
    for cells in (aside, SpooledCells.of(whole)):
        sums = expression_sums(cells, groups, kept)
        assert sums.dtype == np.float64
        assert sums.shape == expected.shape
        np.testing.assert_allclose(sums / sizes, expected, rtol=1e-12)


def test_groups_without_cells_have_sums_of_zero(source: Path) -> None:
    aside, none = lay_aside(CellStream(source)), np.zeros(0, dtype=np.int64)
    sums = expression_sums(aside, [none, np.arange(3), none])
    assert sums[1].any()
    assert not sums[[0, 2]].any()
    assert expression_sums(aside, [none, none]).shape == (2, 30)
    assert expression_sums(aside, []).shape == (0, 30)


def test_cells_of_no_group_are_not_read(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aside = lay_aside(CellStream(source))
    read: list[str] = []
    blocks = SpooledCells.blocks

    def noted(cells: SpooledCells):  # type: ignore[no-untyped-def]
        for block in blocks(cells):
            read.extend(block.obs_names)
            yield block

    monkeypatch.setattr(SpooledCells, "blocks", noted)
    expression_sums(aside, [np.asarray([90, 5]), np.asarray([5, 20])])
    assert read == aside.obs_names[[5, 20, 90]].tolist()  # each once, in their order


def test_the_matrix_of_a_sample_is_that_of_cells_in_memory(source: Path) -> None:
    whole, rows = read_cells(source), np.arange(3, 120, 2)
    found = expression_matrix(lay_aside(CellStream(source)).subset(rows))
    expected = whole.subset(rows).normalized()
    assert found.dtype == np.float32
    assert np.array_equal(found.indptr, expected.indptr)
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.data, expected.data)


def test_cells_of_an_object_have_the_hash_that_reading_them_gives(source: Path) -> None:
    backed = ad.read_h5ad(source, backed="r")
    aside = lay_aside(CellStream(backed))
    assert aside.manifest["sha256"] == aside.sha256() == read_cells(ad.read_h5ad(source)).manifest["sha256"]
    assert aside.subset(np.arange(20)).sha256() != aside.sha256()
