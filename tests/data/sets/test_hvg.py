"""Highly variable genes against scanpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from scgraph.data import Vocabulary, highly_variable, read_cells
from scgraph.data.sets.hvg import normalized_dispersion

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.data import Cells


def simulated(seed: int = 0) -> anndata.AnnData:
    """Counts of 300 cells of three kinds and 400 genes, all of them expressed: means differ by a factor of 100."""
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.uniform(np.log(0.05), np.log(5.0), size=400))
    kinds = rng.gamma(2.0, 0.5, size=(3, 400)) ** rng.integers(0, 2, size=400)
    counts = rng.poisson(rate * kinds[np.arange(300) % 3] * rng.gamma(4.0, 0.25, size=(300, 1))).astype(np.float32)
    counts[np.arange(400) % 300, np.arange(400)] += 1
    names = pd.Index([f"GENE{at}" for at in range(400)])
    return anndata.AnnData(counts, pd.DataFrame(index=[f"cell{at}" for at in range(300)]), pd.DataFrame(index=names))


def check_genes_are_those_of_scanpy(cells: Cells, n_top: int) -> None:
    values = cells.normalized()
    var = pd.DataFrame(index=cells.symbols)
    adata = anndata.AnnData(values.astype(np.float64), pd.DataFrame(index=cells.obs_names), var)
    table = sc.pp.highly_variable_genes(adata, n_top_genes=n_top, flavor="seurat", inplace=False)
    theirs = np.nan_to_num(table["dispersions_norm"].to_numpy())
    np.testing.assert_allclose(normalized_dispersion(values), theirs, rtol=1e-4, atol=1e-5)
    assert set(highly_variable([cells], n_top).symbols) == set(adata.var_names[table["highly_variable"]])


@pytest.mark.parametrize("seed", [0, 1])
def test_genes_of_simulated_cells_are_those_of_scanpy(seed: int) -> None:
    check_genes_are_those_of_scanpy(read_cells(simulated(seed)), 100)


def test_genes_of_the_cells_that_scanpy_carries_are_those_of_scanpy() -> None:
    check_genes_are_those_of_scanpy(read_cells("pbmc68k_reduced"), 200)


def test_genes_of_a_real_file_are_those_of_scanpy(shared_data: Path) -> None:
    check_genes_are_those_of_scanpy(read_cells(shared_data / "kang_pbmc_subset.h5ad"), 300)


def check_first_of_more_files(parts: list[Cells], n_top: int) -> None:
    chosen = highly_variable(parts, n_top)
    assert len(chosen) == n_top
    alone = [set(highly_variable([part], n_top).symbols) for part in parts]
    assert 10 < len(set.intersection(*alone)) < n_top
    assert set.intersection(*alone) <= set(chosen.symbols) <= set.union(*alone)


@pytest.mark.parametrize("n_top", [60, 150])
def test_first_of_more_files_comes_first(n_top: int) -> None:
    cells = read_cells(simulated())
    check_first_of_more_files([cells.subset(np.arange(at, 300, 2)) for at in (0, 1)], n_top)


def test_a_gene_of_two_files_comes_before_a_higher_one_of_one_file() -> None:
    """Eight genes burst in a few cells of one half each, and one in a fifth of all cells."""
    adata = simulated(2)
    rate = adata.X.mean(axis=0)
    bursting = np.argsort(rate)[np.linspace(60, 380, 9).astype(int)]
    for at, gene in enumerate(bursting):
        first, every = (0, 5) if at == 4 else (at % 2, 100)
        adata.X[:, gene] = 0
        adata.X[first::every, gene] = np.ceil(rate[gene] * every)
    cells = read_cells(adata)
    halves = [cells.subset(np.arange(at, 300, 2)) for at in (0, 1)]
    of_both = f"GENE{bursting[4]}"
    assert set.intersection(*(set(highly_variable([half], 5).symbols) for half in halves)) == {of_both}
    score = np.array([normalized_dispersion(half.normalized()) for half in halves])
    own = np.delete(bursting, 4)
    assert (score[:, own].max(axis=0) > score[:, bursting[4]].mean()).sum() > 5
    assert of_both in highly_variable(halves, 5).symbols


@pytest.mark.parametrize("n_top", [60, 200])
def test_first_of_more_real_files_comes_first(shared_data: Path, n_top: int) -> None:
    cells = read_cells(shared_data / "kang_pbmc_subset.h5ad", batch_key="batch")
    parts = [cells.subset(np.flatnonzero(cells.batches == batch)) for batch in cells.batches.categories]
    check_first_of_more_files(parts, n_top)


def test_asking_for_more_than_there_are_gives_all() -> None:
    cells = read_cells(simulated())
    assert highly_variable([cells], 10**6) == Vocabulary.from_cells([cells])
    with pytest.raises(ValueError, match="n_top"):
        highly_variable([cells], 0)
