"""Highly variable genes against scanpy where some genes are expressed in no cell, as in every train part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

from scgraph.data import highly_variable, read_cells
from scgraph.data.files.stream import CellStream

if TYPE_CHECKING:
    from pathlib import Path

GENES, UNEXPRESSED = 400, 60


def _counts(seed: int, *, cells: int = 150) -> anndata.AnnData:
    """Counts of genes of very different means, most of them high, and a share that no cell expresses."""
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(0.5, 1.5, size=GENES)
    rate = mean * rng.gamma(2.0, 0.5, size=(cells, GENES)) * rng.lognormal(0, 0.3, size=(cells, 1))
    counts = rng.poisson(rate).astype(np.float32)
    counts[:, rng.permutation(GENES)[:UNEXPRESSED]] = 0
    var = pd.DataFrame(index=[f"GENE{at}" for at in range(GENES)])
    return anndata.AnnData(
        sparse.csr_matrix(counts), obs=pd.DataFrame(index=[f"c{at}" for at in range(cells)]), var=var
    )


def _of_scanpy(adata: anndata.AnnData, n_top: int, *, min_cells: int = 0, **options: str) -> set[str]:
    adata = adata.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    adata.X = adata.X.astype(np.float64)
    adata = adata[:, np.asarray((adata.X > 0).sum(axis=0)).ravel() >= min_cells].copy()
    table = sc.pp.highly_variable_genes(adata, n_top_genes=n_top, flavor="seurat", inplace=False, **options)
    return set(adata.var_names[table["highly_variable"]])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_top", [20, 100])
def test_genes_are_those_of_scanpy(seed: int, n_top: int) -> None:
    adata = _counts(seed)
    assert set(highly_variable([read_cells(adata)], n_top).symbols) == _of_scanpy(adata, n_top)


def test_a_train_part_and_a_stream_give_them_too(tmp_path: Path) -> None:
    adata = _counts(0)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    rows = np.sort(np.random.default_rng(0).permutation(adata.n_obs)[:100])
    part = highly_variable([read_cells(adata).subset(rows)], 100)
    assert set(part.symbols) == _of_scanpy(adata[rows], 100)
    assert set(highly_variable([CellStream(tmp_path / "cells.h5ad")], 100).symbols) == _of_scanpy(adata, 100)


def test_genes_of_few_cells_are_left_out_as_scanpy_filters_them() -> None:
    adata = _counts(1)
    chosen = set(highly_variable([read_cells(adata)], 100, min_cells=30).symbols)
    assert chosen == _of_scanpy(adata, 100, min_cells=30)
    assert chosen != _of_scanpy(adata, 100)


def test_of_several_files_each_ranks_what_it_expresses_as_batches_do_in_scanpy() -> None:
    parts = [_counts(seed) for seed in (2, 3)]
    both = anndata.concat(parts, label="batch", keys=["a", "b"], index_unique="-")
    theirs = _of_scanpy(both, 100, batch_key="batch")
    chosen = set(highly_variable([read_cells(part) for part in parts], 100).symbols)
    assert chosen == theirs
