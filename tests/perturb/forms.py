"""Small screens with the labels that real files have, and small networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MEASURED", "PATHWAY", "labelled_screen", "write_edges"]

PATHWAY = ("STAT1", "JAK2", "IRF1", "IFNGR1", "SPI1", "MYC")
MEASURED = ("LYZ", "CD3D", "CD3E", "NKG7", "MS4A1", "GNLY", "S100A8", "S100A9", "FCN1", "CD79A", "IL7R", "CCL5")


def labelled_screen(
    labels: Sequence[str], *, column: str = "perturbation", each: int = 12, seed: int = 0
) -> ad.AnnData:
    """Counts of a few genes that stand apart from those that the labels perturb."""
    rng = np.random.default_rng(seed)
    rates = 3.0 * np.exp(rng.normal(scale=0.4, size=(len(labels), len(MEASURED))))
    counts = rng.poisson(np.repeat(rates, each, axis=0)).astype(np.float32) + 1
    obs = pd.DataFrame({column: np.repeat(list(labels), each)}, index=[f"c{at}" for at in range(len(counts))])
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=list(MEASURED)))


def write_edges(folder: object, edges: Sequence[tuple[str, str]]) -> Path:
    """Write edges as a table and return the file."""
    path = Path(str(folder)) / "edges.tsv"
    path.write_text("source\ttarget\n" + "".join(f"{one}\t{other}\n" for one, other in edges))
    return path
