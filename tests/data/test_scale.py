"""Values at every scale that a file may hold give the vectors of its counts, or are told apart from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

from scgraph.data import read_cells
from scgraph.data.streaming import CellStream
from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def counted(cells: int = 80, genes: int = 300, seed: int = 0) -> anndata.AnnData:
    """Counts as sparse, and as far apart in depth, as those of real cells."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.4, 1.0, size=genes) * rng.gamma(5.0, 0.4, size=(cells, 1))
    counts = sparse.csr_matrix(rng.poisson(rate).astype(np.float32))
    obs = pd.DataFrame(index=[f"cell{at}" for at in range(cells)])
    return anndata.AnnData(counts, obs, pd.DataFrame(index=[f"GENE{at}" for at in range(genes)]))


def logged(target: float | None, base: float | None = None) -> Callable[[anndata.AnnData], None]:
    def change(adata: anndata.AnnData) -> None:
        sc.pp.normalize_total(adata, target_sum=target)
        sc.pp.log1p(adata, base=base)

    return change


def rooted(adata: anndata.AnnData) -> None:
    sc.pp.normalize_total(adata, target_sum=1e4)
    adata.X = adata.X.sqrt()


def twice(adata: anndata.AnnData) -> None:
    logged(1e4)(adata)
    adata.X = adata.X.log1p()


def centred(adata: anndata.AnnData) -> None:
    """log(1 + count / geometric mean) of a cell, as Seurat's CLR takes it."""
    values = adata.X.toarray()
    mean = np.exp(np.log1p(values).mean(axis=1, keepdims=True))
    adata.X = sparse.csr_matrix(np.log1p(values / mean))


EXACT = {
    "log1p of counts per 10,000": logged(1e4),
    "log1p of counts per million": logged(1e6),
    "log2": logged(1e4, 2.0),
    "log10": logged(1e4, 10.0),
    "log1p of the median total": logged(None),
    "log1p of counts": lambda adata: sc.pp.log1p(adata),
    "log2 of counts per million": logged(1e6, 2.0),
    "square roots": rooted,
    "square roots of counts": lambda adata: setattr(adata, "X", adata.X.sqrt()),
    "log twice": twice,
    "CLR": centred,
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("genes", [300, 120], ids=["all genes", "a subset"])
def test_every_scale_gives_the_values_of_the_counts(tmp_path: Path, name: str, genes: int) -> None:
    """A subset of genes has no sum that all cells share, and its values are those of the counts of the subset."""
    adata = counted()
    EXACT[name](adata)
    adata, counts = adata[:, :genes].copy(), counted()[:, :genes].copy()
    cells = read_cells(adata)
    np.testing.assert_allclose(
        cells.normalized().toarray(), read_cells(counts).normalized().toarray(), rtol=1e-4, atol=1e-5
    )
    adata.write_h5ad(tmp_path / "cells.h5ad")
    stream = CellStream(tmp_path / "cells.h5ad")
    assert stream.notes == cells.notes
    streamed = sparse.vstack([block.matrix for block in stream.blocks()])
    np.testing.assert_array_equal(streamed.toarray(), cells.matrix.toarray())


def test_what_scgraph_takes_is_taken_as_it_is() -> None:
    adata = counted()
    logged(1e4)(adata)
    cells = read_cells(adata)
    np.testing.assert_array_equal(cells.matrix.toarray(), adata.X.toarray())
    assert any("which every cell adds up to" in note for note in cells.notes)


@pytest.mark.parametrize(
    ("name", "words"), [("log2", "log2(1 + x), x adding up to 10,000"), ("CLR", "whole multiples of the smallest")]
)
def test_the_scale_and_what_was_done_are_told(name: str, words: str) -> None:
    adata = counted()
    EXACT[name](adata)
    assert any(words in note and "taken to log1p of counts per 10,000" in note for note in read_cells(adata).notes)


@pytest.mark.parametrize("change", [lambda x: np.round(x, 1), lambda x: x * np.linspace(0.5, 1.5, x.shape[0])[:, None]])
def test_what_nothing_proves_is_said(change: Callable[[np.ndarray], np.ndarray]) -> None:
    adata = counted()
    logged(1e4)(adata)
    adata.X = sparse.csr_matrix(change(adata.X.toarray()).astype(np.float32))
    assert any("which nothing in them proves" in note for note in read_cells(adata).notes)


def test_values_too_high_for_a_logarithm_are_judged_as_none() -> None:
    """Cells of few genes, all expressed: whatever is cut at the highest logarithm would add up to the same."""
    counts = np.random.default_rng(0).poisson(5.0, size=(40, 12)) + 1.0
    adata = anndata.AnnData(np.asarray(1e4 * counts / counts.sum(1, keepdims=True), dtype=np.float32))
    adata.var_names = [f"GENE{at}" for at in range(12)]
    with pytest.raises(DataError, match="neither counts nor log1p"):
        read_cells(adata)
