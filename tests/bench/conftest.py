"""Small labelled cells and quick settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from pathlib import Path

QUICK: dict[str, Any] = {
    "model": {"channels": 8, "layers": 1, "rank": 4},
    "per_model": {"tf": {"conv_options": {"heads": 2}}},
    "train": {"genes": 16, "epochs": 2, "batch_size": 32},
    "probe": {"epochs": 3},
    "seeds": 1,
    "n_top_genes": None,
    "components": 5,
}


def make_cells(n: int = 90, genes: int = 40, *, seed: int = 0) -> ad.AnnData:
    """Counts of three classes that differ in a third of the genes each, from four donors."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    rate = np.full((n, genes), 0.6)
    for k in range(3):
        rate[np.ix_(kind == k, np.arange(genes) % 3 == k)] = 4.0
    counts = rng.poisson(rate).astype(np.float32)
    counts[:, 0] += 1
    obs = pd.DataFrame(
        {"cell_type": [f"type {k}" for k in kind], "donor": [f"d{i // 3 % 4}" for i in range(n)]},
        index=[f"cell{seed}-{i}" for i in range(n)],
    )
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"GENE{g}" for g in range(genes)]))


@pytest.fixture
def cells_file(tmp_path: Path) -> Path:
    path = tmp_path / "cells.h5ad"
    make_cells().write_h5ad(path)
    return path
