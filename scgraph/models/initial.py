"""What a pretraining starts from: weights drawn at random, or value tables at the principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from scgraph.data.components import fitted_rows
from scgraph.errors import ConfigError
from scgraph.models.build import build_model
from scgraph.models.loadings import component_loadings, component_reliability, transformed_values
from scgraph.models.network import network_parts
from scgraph.nn.bag import GeneBag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray

    from scgraph.config import ModelConfig, TrainConfig
    from scgraph.data import CellStore, Network
    from scgraph.nn import CellModel

__all__ = ["initial_model"]

MOST_CELLS = 20_000
GENE_SHARE = 0.1
"""Size of the gene embedding beside the value embedding: alone it only says which genes are expressed."""

DECODER_SHARE = 0.5
"""Size of the decoder's table beside the loadings: what a step of one standard deviation changes of log shares."""

_RAREST = 1e-9
_BLOCK = 2048

_of_stores: WeakKeyDictionary[CellStore, dict[tuple[Any, ...], list[NDArray[np.float64]]]] = WeakKeyDictionary()


def initial_model(
    model_config: ModelConfig, train_config: TrainConfig, train: CellStore, *, network: Network | None = None
) -> CellModel:
    """Return the network as its pretraining begins, a pure function of the settings and the training cells.

    With ``start="pca"`` the value table ``E'`` of the product encoding holds the loadings of the principal
    components of the training cells (of 20,000 of them at most), of each kind of values in its half of the channels,
    scaled to the standard deviation of the tables. With the mean readout the gene embedding gets a tenth of its usual
    size: the mean of ``v_i E'[g_i]`` over the genes of a cell is then the cell's scores divided by the number of its
    genes, and the blocks add to it from there. Channels beyond the number of components stay random.

    The pooled readout is centred at the training cells and scaled so that the channels of each kind of values have a
    mean variance of 1: with that start the vector of a cell is its principal components; with
    ``component_weights="reliability"`` each times the root of its `component_reliability`, so that it keeps the share
    of its variance that is reliable. Where counts are predicted, the decoder starts at half the loadings and the
    logarithm of the mean shares of the genes.

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
    needs_cells = "pearson" in model.encoder.transform.kinds or model.pooled_readout is not None
    if train_config.start == "random" and not needs_cells:
        return model
    rows = fitted_rows(len(train), seed=train_config.seed, most=MOST_CELLS)
    cells = train if len(rows) == len(train) else train.subset(rows)
    shares = _mean_shares(cells)
    if "pearson" in model.encoder.transform.kinds:
        model.encoder.transform.fit(torch.from_numpy(shares), len(cells))
    table = model.encoder.value
    if train_config.start == "pca":
        if not isinstance(table, nn.Embedding):
            raise ConfigError("train.start: pca sets the table of the product encoding; use value_encoding product.")
        _set_components(model, table, train, cells, shares, train_config, sd=model_config.embedding_sd)
    if model.pooled_readout is not None:
        _centre_readout(model, train, cells, train_config)
    return model


def _set_components(
    model: CellModel,
    table: torch.nn.Embedding,
    train: CellStore,
    cells: CellStore,
    shares: NDArray[np.float64],
    config: TrainConfig,
    *,
    sd: float,
) -> None:
    import torch

    kinds = model.encoder.transform.kinds
    width = model.channels // len(kinds)

    def decompose() -> list[NDArray[np.float64]]:
        transformed = transformed_values(model.encoder.transform, cells)
        return [component_loadings(matrix, width, seed=config.seed) for matrix in transformed]

    tables = _once(train, ("loadings", kinds, width, config.seed), decompose)
    with torch.no_grad():
        for number, one in enumerate(tables):
            loadings = torch.from_numpy(one.astype(np.float32))
            columns = slice(number * width, number * width + loadings.shape[1])
            table.weight[1:, columns] = loadings * (sd / loadings.std(correction=0))
            if config.count_loss > 0 and model.cell_head is not None:
                model.cell_head.table[1:, columns] = DECODER_SHARE * loadings
        if config.count_loss > 0 and model.cell_head is not None:
            model.cell_head.bias[1:] = torch.from_numpy(np.log(np.maximum(shares, _RAREST)))
        if model.pooled_readout is None:
            model.encoder.gene.weight.mul_(GENE_SHARE)


def _centre_readout(model: CellModel, train: CellStore, cells: CellStore, config: TrainConfig) -> None:
    import torch

    assert model.pooled_readout is not None
    transform = model.encoder.transform
    sums = []
    with torch.no_grad():
        for entries in _entries(cells):
            sums.append(model.encoder.sums(GeneBag.of_rows(*entries)).double())
        whole = torch.cat(sums)
        kinds = len(transform.kinds)
        variance = whole.var(dim=0, correction=0).view(kinds, -1).mean(dim=1, keepdim=True)
        scale = torch.where(variance > 0, variance, 1.0).rsqrt().expand(kinds, model.channels // kinds).flatten()
        if config.component_weights == "reliability":
            width = model.channels // kinds
            weights = _once(
                train,
                ("reliability", transform.kinds, width, config.seed),
                lambda: component_reliability(transform, cells, width, seed=config.seed),
            )
            scale = scale * torch.from_numpy(np.concatenate(weights)).sqrt()
        model.pooled_readout.fit(whole.mean(dim=0), scale)


def _once(
    train: CellStore, key: tuple[Any, ...], compute: Callable[[], list[NDArray[np.float64]]]
) -> list[NDArray[np.float64]]:
    """Return what was computed of a store before, for as long as the store is there.

    The models of a bench and the trials of a search start at the same components, whose decomposition takes longer
    than all else of a start.
    """
    known = _of_stores.setdefault(train, {})
    if key not in known:
        known[key] = compute()
    return known[key]


def _mean_shares(cells: CellStore) -> NDArray[np.float64]:
    """Return the mean share of its counts that a cell has in every gene `[V]`."""
    total = np.zeros(len(cells.vocabulary) + 1)
    for _, genes, values in _entries(cells):
        total += np.bincount(genes, weights=np.expm1(values.astype(np.float64)) / 10_000, minlength=len(total))
    return total[1:] / len(cells)


def _entries(cells: CellStore) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]]:
    for first in range(0, len(cells), _BLOCK):
        yield cells.entries(np.arange(first, min(first + _BLOCK, len(cells))))
