"""Highly variable genes against scanpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scanpy as sc

from scgraph.data import Vocabulary, highly_variable, read_cells
from scgraph.data.hvg import normalized_dispersion

if TYPE_CHECKING:
    from pathlib import Path


def _scanpy(path: Path, n_top: int) -> tuple[set[str], np.ndarray]:
    adata = sc.read_h5ad(path)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    adata.X = adata.X.astype(np.float64)
    table = sc.pp.highly_variable_genes(adata, n_top_genes=n_top, flavor="seurat", inplace=False)
    return set(adata.var_names[table["highly_variable"]]), table["dispersions_norm"].to_numpy()


def test_genes_are_those_of_scanpy(shared_data: Path) -> None:
    path = shared_data / "kang_pbmc_subset.h5ad"
    cells = read_cells(path)
    theirs, dispersion = _scanpy(path, 300)
    np.testing.assert_allclose(
        normalized_dispersion(cells.normalized()), np.nan_to_num(dispersion), rtol=1e-4, atol=1e-5
    )
    assert set(highly_variable([cells], 300).symbols) == theirs


@pytest.mark.parametrize("n_top", [60, 200])
def test_first_of_more_files_comes_first(shared_data: Path, n_top: int) -> None:
    cells = read_cells(shared_data / "kang_pbmc_subset.h5ad", batch_key="batch")
    parts = [cells.subset(np.flatnonzero(cells.batches == batch)) for batch in cells.batches.categories]
    chosen = highly_variable(parts, n_top)
    assert len(chosen) == n_top
    alone = [set(highly_variable([part], n_top).symbols) for part in parts]
    assert 10 < len(set.intersection(*alone)) < n_top
    assert set.intersection(*alone) <= set(chosen.symbols) <= set.union(*alone)


def test_asking_for_more_than_there_are_gives_all(shared_data: Path) -> None:
    cells = read_cells(shared_data / "kang_pbmc_subset.h5ad")
    assert highly_variable([cells], 10**6) == Vocabulary.from_cells([cells])
    with pytest.raises(ValueError, match="n_top"):
        highly_variable([cells], 0)
