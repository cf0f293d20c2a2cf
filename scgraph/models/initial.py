"""What a pretraining starts from: weights drawn at random, or value tables at the principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.errors import ConfigError
from scgraph.models.build import build_model
from scgraph.models.network import network_parts

if TYPE_CHECKING:
    from scgraph.config import ModelConfig, TrainConfig
    from scgraph.data import CellStore, Network
    from scgraph.nn import CellModel

__all__ = ["initial_model"]

MOST_CELLS = 20_000
GENE_SHARE = 0.1
"""Size of the gene embedding beside the value embedding: alone it only says which genes are expressed."""


def initial_model(
    model_config: ModelConfig, train_config: TrainConfig, train: CellStore, *, network: Network | None = None
) -> CellModel:
    """Return the network as its pretraining begins, a pure function of the settings and the training cells.

    With ``start="pca"`` the value table ``E'`` of the product encoding holds the loadings of the principal
    components of the training cells (of 20,000 of them at most), scaled to the standard deviation of the
    tables, and the gene embedding a tenth of its usual size. The mean of ``v_i E'[g_i]`` over the genes of a
    cell is then the cell's scores divided by the number of its genes, and the blocks add to it from there.
    Channels beyond the number of components stay random.

    Raises:
        ConfigError: the start asks for the product encoding, the settings for a gene network that is not given, or
            the network cannot be built.
    """
    import torch
    from torch import nn

    parts = network_parts(model_config, network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train_config.seed)
        model = build_model(len(train.vocabulary), **model_config.model_kwargs(), **parts)
    if train_config.start == "random":
        return model
    table = model.encoder.value
    if not isinstance(table, nn.Embedding):
        raise ConfigError("train.start: pca sets the table of the product encoding; use value_encoding product.")
    loadings = _loadings(train, model_config.channels, seed=train_config.seed)
    loadings *= model_config.embedding_sd / loadings.std()
    with torch.no_grad():
        table.weight[1:, : loadings.shape[1]] = torch.from_numpy(loadings.astype(np.float32))
        model.encoder.gene.weight.mul_(GENE_SHARE)
    return model


def _loadings(store: CellStore, components: int, *, seed: int) -> np.ndarray:
    """Return the loadings `[V, K]` of at most so many principal components."""
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    rows = np.arange(len(store))
    if len(rows) > MOST_CELLS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_CELLS, replace=False))
    matrix = store.subset(rows).matrix().astype(np.float64)
    kept = min(components, min(matrix.shape) - 1)
    if kept < 1:
        raise ConfigError("train.start: pca needs at least two cells and two genes.")
    with threadpool_limits(1):
        found: np.ndarray = PCA(kept, svd_solver="arpack", random_state=seed).fit(matrix).components_.T
    return found
