"""A small model whose adjacency holds a planted family, and cells of its genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from scgraph.cli import main
from scgraph.config import ModelConfig
from scgraph.data import Vocabulary
from scgraph.models import SavedModel, load_model, save_model
from scgraph.nn import GeneModel

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ENSEMBL",
    "FAMILY",
    "NAMES",
    "UNSEEN",
    "cells",
    "planted",
    "run",
    "small_config",
]


FAMILY = ("RPL3", "RPL4", "RPL5", "RPS2", "RPS3")


NAMES = (*FAMILY, "CD3D", "CD3E", "CD3G", *(f"GENE{at}" for at in range(52)))


ENSEMBL = tuple(f"ENSG{at:011d}" for at in range(1, 61))


UNSEEN = NAMES.index("GENE51")


def small_config(conv: str = "gnn", **options: Any) -> ModelConfig:
    return ModelConfig(conv=conv, channels=8, layers=2, rank=6, **options)


def planted(folder: Path, config: ModelConfig, *, decay: float = 0.7, seed: int = 3) -> SavedModel:
    """Save a model as a training would have left it: all rows shrunk, and all but two of them moved.

    The genes of the family listen to RPL3 first, to the rest of the family next.
    """
    vocabulary = Vocabulary(NAMES, ENSEMBL)
    torch.manual_seed(seed)
    model = GeneModel(len(vocabulary), **config.model_kwargs())
    generator = torch.Generator().manual_seed(seed - 3)
    family = torch.tensor([NAMES.index(name) + 1 for name in FAMILY])
    with torch.no_grad():
        for table in model.adjacencies:
            for rows in (table.target, table.source):
                rows.mul_(decay)
                moved = torch.ones(len(rows), dtype=torch.bool)
                moved[[0, UNSEEN + 1]] = False
                rows[moved] += 0.3 * torch.randn(int(moved.sum()), rows.shape[1], generator=generator)
            table.target[family, 0] = table.source[family, 0] = 3.0
            table.source[family[0], 0] = 4.0
    save_model(folder, model, vocabulary, config, metadata={"seed": seed, "training": {"seed": seed}, "data": {}})
    return load_model(folder)


def cells(n: int = 120) -> ad.AnnData:
    """Counts in which the family rises and falls together; GENE50 is in two cells only, GENE51 in none."""
    rng = np.random.default_rng(0)
    rate = np.full((n, len(NAMES)), 2.0)
    rate[:, : len(FAMILY)] *= rng.gamma(2.0, 1.0, size=(n, 1))
    counts = rng.poisson(rate).astype(np.float32)
    counts[2:, NAMES.index("GENE50")] = 0
    counts[:2, NAMES.index("GENE50")] = 3
    counts[:, UNSEEN] = 0
    return ad.AnnData(counts, var=pd.DataFrame({"gene_ids": ENSEMBL}, index=NAMES))


def run(*words: str) -> int:
    """Run `scgraph graph` and return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main(["graph", *words])
    return int(stop.value.code or 0)
