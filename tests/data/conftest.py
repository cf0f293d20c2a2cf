"""Small real files: 40 cells of 30 genes, whole and damaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., anndata.AnnData]


@pytest.fixture
def make_adata() -> Make:
    """Counts with symbols, Ensembl ids, two classes, two batches; `seed` makes other cells of the genes."""

    def make(*, cells: int = 40, genes: int = 30, seed: int = 0) -> anndata.AnnData:
        rng = np.random.default_rng(seed)
        counts = rng.poisson(1.0, size=(cells, genes)).astype(np.float32)
        counts[:, 0] += 1
        obs = pd.DataFrame(
            {
                "cell_type": pd.Categorical(["T cell", "B cell"] * (cells // 2)),
                "donor": ["d1", "d1", "d2", "d2"] * (cells // 4),
                "n_genes": np.arange(cells),
            },
            index=[f"cell{at}" for at in range(cells)],
        )
        var = pd.DataFrame(
            {"feature_id": [f"ENSG{at:011d}" for at in range(1, genes + 1)]},
            index=[f"GENE{at}" for at in range(1, genes + 1)],
        )
        return anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)

    return make


@pytest.fixture
def h5ad(tmp_path: Path, make_adata: Make) -> Path:
    """A sound .h5ad file, to be damaged."""
    path = tmp_path / "cells.h5ad"
    make_adata().write_h5ad(path)
    return path
