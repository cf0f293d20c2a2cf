"""The control cells of a screen, to pretrain on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np

from scgraph.perturb.names import find_column, find_controls

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["control_cells", "some_cells"]


def control_cells(data: Path, perturbation: str | None = None) -> anndata.AnnData:
    """Return the cells whose label is that of controls.

    Args:
        data: the screen.
        perturbation: column of obs with the labels; found where there is one of a usual name.

    Raises:
        DataError: no column or no label can be found.
    """
    adata = anndata.read_h5ad(data)
    column = find_column([str(name) for name in adata.obs.columns], perturbation, str(data))
    labels = adata.obs[column].astype(str).to_numpy()
    controls = find_controls(np.unique(labels).tolist(), (), lambda _: False, str(data))
    return adata[np.isin(labels, controls)].copy()


def some_cells(adata: anndata.AnnData, most: int, *, seed: int) -> anndata.AnnData:
    """Return at most so many cells, drawn by chance."""
    if adata.n_obs <= most:
        return adata
    return adata[np.sort(np.random.default_rng(seed).choice(adata.n_obs, most, replace=False))].copy()
