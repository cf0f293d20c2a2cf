"""What the vector of a thinned cell is drawn to: the start of the whole cell, and of the cells most like it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from scgraph.nn.bag import GeneBag
from scgraph.train.integration import LEAST_CELLS, correct_batches, extend_correction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from scgraph.config import ModelConfig, TrainConfig
    from scgraph.data import CellStore
    from scgraph.nn import CellModel

__all__ = ["integrated_model", "integrates", "integration_note", "linear_vectors", "neighbor_targets", "targets_of"]

MOST_CELLS = 20_000
"""Cells among which neighbors are looked for, drawn where there are more."""

_BLOCK = 1024


def linear_vectors(model: CellModel, store: CellStore) -> NDArray[np.float32]:
    """Return the pooled input of all cells of a store, float32 `[n, C]`, on the CPU.

    Raises:
        ConfigError: the readout is not the pooled one.
    """
    result = np.empty((len(store), model.channels), dtype=np.float32)
    for first in range(0, len(store), _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, len(store)))
        with torch.no_grad():
            result[rows] = model.linear_vector(GeneBag.of_rows(*store.entries(rows))).numpy()
    return result


def targets_of(
    model: CellModel, config: TrainConfig, train: CellStore, validation: CellStore | None
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Return `neighbor_targets` as the settings of a training say; None where they do not ask for any."""
    if config.neighbor_loss == 0:
        return None, None
    return neighbor_targets(
        model, train, validation, neighbors=config.neighbors, seed=config.seed, integrate=integrates(config, train)
    )


def integrates(config: TrainConfig, train: CellStore) -> bool:
    """Tell whether the targets of a training are corrected for batches."""
    return _asks(config) and _batches(train) > 1 and len(train) >= LEAST_CELLS


def integrated_model(model: ModelConfig, config: TrainConfig, train: CellStore) -> ModelConfig:
    """Return the settings of a network without a linear part in front of its vectors, if its training integrates.

    The linear part is of the cell as it is, batch and all; what is trained beside it is drawn away from the batch.
    """
    if model.readout == "linear+pooled" and integrates(config, train):
        return model.model_copy(update={"readout": "pooled"})
    return model


def integration_note(configs: Iterable[TrainConfig], train: CellStore, *, batches_named: bool, corpus: bool) -> str:
    """Say, before the work, what the settings of trainings make of batches; "" where there is nothing to say.

    Args:
        configs: settings of the trainings.
        train: cells to learn from.
        batches_named: whether a column of batches was named.
        corpus: whether `train` are cells of a corpus, of which no batches are read.
    """
    asking = [config for config in configs if _asks(config)]
    if not asking or not batches_named:
        return ""
    none = "train.integration (harmony) makes no difference"
    if corpus:
        return f"{none}: models learn from the corpus, and of its cells no batches are read"
    if _batches(train) < 2:
        return f"{none}: all cells to learn from are of one batch"
    if len(train) < LEAST_CELLS:
        return f"{none}: of {len(train)} cells to learn from none are corrected, as it takes {LEAST_CELLS}"
    return (
        f"what cells are drawn to in pretraining is corrected for their {_batches(train)} batches (Harmony), and no "
        "linear part, which is not, stands in front of it; train.integration=none leaves them as they are"
    )


def _asks(config: TrainConfig) -> bool:
    return config.neighbor_loss > 0 and config.integration == "harmony"


def _batches(train: CellStore) -> int:
    return 0 if train.batches is None else len(np.unique(train.batches))


def neighbor_targets(
    model: CellModel,
    train: CellStore,
    validation: CellStore | None,
    *,
    neighbors: int,
    seed: int,
    integrate: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    r"""Return where the vectors of the cells are drawn to, a pure function of the first weights and the cells.

    .. math:: t_c = \tfrac{1}{2} \Big( h_c + \frac{1}{k} \sum_{d \in N_k(c)} h_d \Big)

    with :math:`h = z^0`, the pooled input of the whole cell as the training starts from it, and the k nearest training
    cells :math:`N_k(c)` by Euclidean distance of h, a training cell itself among them. A model that reaches
    :math:`t_c` from few of the counts of c has learned what depth and noise do to a vector, and what cells like it
    agree on.

    Integrated, h are these vectors corrected for the batches of the training cells, see
    `scgraph.train.integration.correct_batches`: the model, which is shown no batch, learns from a cell alone where
    it would lie without its batch. Neighbors within batches alone would teach it to tell batches apart.

    Args:
        model: the network as its training begins, on the CPU.
        train: cells to learn from.
        validation: cells to measure the loss on, whose neighbors are training cells too.
        neighbors: number k.
        seed: of the draw of 20,000 cells, where there are more training cells.
        integrate: correct for the batches of the cells.
    """
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    vectors = linear_vectors(model, train)
    others = None if validation is None else linear_vectors(model, validation)
    drawn = np.arange(len(vectors))
    if len(vectors) > MOST_CELLS:
        drawn = np.random.default_rng(seed).choice(len(vectors), MOST_CELLS, replace=False)
    if integrate:
        assert train.batches is not None
        start, batches = vectors[drawn], train.batches[drawn]
        corrected = correct_batches(start, batches, seed=seed)
        extend = partial(extend_correction, among=start, among_batches=batches, corrected=corrected)
        if others is not None and validation is not None and validation.batches is not None:
            others = extend(others, validation.batches)
        rest = np.setdiff1d(np.arange(len(vectors)), drawn)
        vectors = vectors.copy()
        vectors[rest] = extend(vectors[rest], train.batches[rest])
        vectors[drawn] = corrected
    among = vectors if len(drawn) == len(vectors) else vectors[drawn]
    index = NearestNeighbors(n_neighbors=min(neighbors, len(among)), algorithm="brute").fit(among)

    def targets(own: NDArray[np.float32]) -> NDArray[np.float32]:
        result = np.empty_like(own)
        with threadpool_limits(1):
            for first in range(0, len(own), _BLOCK):
                part = own[first : first + _BLOCK]
                nearest = index.kneighbors(part, return_distance=False)
                result[first : first + _BLOCK] = (part + among[nearest].mean(axis=1)) / 2
        return result

    return targets(vectors), None if others is None else targets(others)
