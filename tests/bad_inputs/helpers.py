"""Small real files, a small model, and the command line as people see it: exit code, messages, what is left behind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "BENCH",
    "COUNTS",
    "TINY",
    "Run",
    "cells",
    "put",
    "snapshot",
]


TINY = ["--channels", "8", "--layers", "1", "--genes", "16", "--epochs", "1", "--set", "model.rank=4"]
TINY += ["--set", "train.batch_size=8", "--device", "cpu"]
COUNTS = ["--set", "model.cell_head=true", "--set", "train.count_loss=1"]
BENCH = [*TINY, "--seeds", "1", "--set", "components=5", "--uses", "none", "--set", "baselines=[majority, pca+logreg]"]
Run = Callable[..., str]


def cells(n: int = 40, genes: int = 30, seed: int = 0) -> anndata.AnnData:
    """Counts with symbols, Ensembl ids, two classes and three donors."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1.0, size=(n, genes)).astype(np.float32)
    counts[:, 0] += 1
    counts[::2, 1:6] += 3
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical((["T cell", "B cell"] * n)[:n]),
            "donor": (["d1", "d1", "d2", "d2", "d3", "d3"] * n)[:n],
            "n_genes": np.arange(n),
        },
        index=[f"cell{at}" for at in range(n)],
    )
    ids = {"feature_id": [f"ENSG{at:011d}" for at in range(1, genes + 1)]}
    var = pd.DataFrame(ids, index=[f"GENE{at}" for at in range(1, genes + 1)])
    return anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)


def put(
    folder: Path,
    change: Callable[[anndata.AnnData], Any] = lambda _: None,
    edit: Callable[[h5py.File], Any] = lambda _: None,
    *,
    name: str = "cells.h5ad",
    **options: int,
) -> Path:
    """Write cells that were changed before, or in their file after."""
    adata = cells(**options)
    changed = change(adata)
    path = folder / name
    (adata if changed is None else changed).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def snapshot(folder: Path) -> dict[str, str]:
    """All that lies in a folder, and what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }
