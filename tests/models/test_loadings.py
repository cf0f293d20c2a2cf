"""Principal components, and how reliable each is in cells it was not fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from scgraph.config_files import as_bench_config
from scgraph.data import CellStore, Vocabulary
from scgraph.data.sampling.hashing import row_hashes
from scgraph.errors import ConfigError
from scgraph.models import initial_model
from scgraph.models.loadings import LEAST_CELLS, component_loadings, component_reliability, transformed_values
from scgraph.nn.transforms import ValueTransform
from scgraph.train.neighbors import linear_vectors
from tests.train import helpers

GENES = 40


def programmes(cells: int = 600, *, alike: bool = False, odd: bool = False, each: int = 1) -> CellStore:
    """Counts of cells along one axis, or all alike, about `each` a gene; `odd`: one has ten genes that no other has."""
    rng = np.random.default_rng(0)
    place = np.full((cells, 1), 0.5) if alike else rng.random((cells, 1))
    rate = 2 * each * (place * np.linspace(0, 1, GENES) + (1 - place) * np.linspace(1, 0, GENES))
    counts = rng.poisson(rate)
    counts[:, 0] = 1  # what one count is worth is told by the smallest
    if odd:
        counts = np.hstack([counts, np.zeros((cells, 10), dtype=np.int64)])
        counts[0, -10:] = 30
    matrix = sparse.csr_matrix(np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).astype(np.float32))
    indptr, genes = matrix.indptr.astype(np.int64), (matrix.indices + 1).astype(np.int32)
    vocabulary = Vocabulary(tuple(f"G{at}" for at in range(matrix.shape[1])), ("",) * matrix.shape[1])
    keys = row_hashes(indptr, genes, matrix.data.view(np.uint32))
    return CellStore.from_arrays(indptr, genes, matrix.data, keys, vocabulary)


def fitted(values: str, store: CellStore) -> ValueTransform:
    transform = ValueTransform(values, len(store.vocabulary))
    if "pearson" in values:
        shares = np.expm1(store.matrix().toarray().astype(np.float64)).mean(axis=0) / 1e4
        transform.fit(torch.from_numpy(shares), len(store))
    return transform


def reliability(store: CellStore, values: str = "sqrt", components: int = 8) -> list[np.ndarray[Any, Any]]:
    return component_reliability(fitted(values, store), store, components, seed=0)


def test_the_axis_of_the_cells_is_reliable_and_noise_is_not() -> None:
    (weights,) = reliability(programmes(2000))
    assert weights[0] > 0.8
    assert (weights[1:] < 0.4).all()
    assert ((weights >= 0) & (weights <= 1)).all()


def test_reliability_is_that_of_whole_cells_by_spearman_and_brown() -> None:
    """Measured without splitting: two draws of the counts of the same cells, correlated."""
    rng = np.random.default_rng(1)
    place = rng.random((4000, 1))
    rate = 2 * (place * np.linspace(0, 1, GENES) + (1 - place) * np.linspace(1, 0, GENES))
    draws = [rng.poisson(rate) for _ in range(2)]
    roots = [np.sqrt(1000 * one / np.maximum(one.sum(axis=1, keepdims=True), 1)) for one in draws]
    loadings = component_loadings(sparse.csr_matrix(roots[0]), 1, seed=0)
    truth = np.corrcoef((roots[0] @ loadings)[:, 0], (roots[1] @ loadings)[:, 0])[0, 1]
    (weights,) = reliability(programmes(4000))
    assert weights[0] == pytest.approx(truth, abs=0.05)


def test_a_component_of_one_odd_cell_is_not_reliable_in_others() -> None:
    """In the cells it was fitted on it would be: their halves agree on which of them is odd."""
    store = programmes(alike=True, odd=True, each=50)
    transform = fitted("pearson", store)
    (matrix,) = transformed_values(transform, store)
    first = np.abs(component_loadings(matrix, 1, seed=0)[:, 0])
    assert first[-10:].min() > first[:-10].max()
    (weights,) = component_reliability(transform, store, 1, seed=0)
    assert weights[0] < 0.4


def test_few_cells_and_unknown_counts_leave_components_as_they_are() -> None:
    assert (reliability(programmes(LEAST_CELLS - 1))[0] == 1).all()
    assert (reliability(programmes(LEAST_CELLS))[0] < 1).any()
    store = programmes()
    values = store.matrix().data
    values += np.random.default_rng(0).uniform(0, 0.1, len(values)).astype(np.float32)
    genes = (store.matrix().indices + 1).astype(np.int32)
    lost = CellStore.from_arrays(store.indptr, genes, values, store.keys, store.vocabulary)
    assert (reliability(lost)[0] == 1).all()


def test_channels_beyond_the_components_keep_their_size() -> None:
    (weights,) = reliability(programmes(), components=64)
    assert (weights[GENES - 1 :] == 1).all()
    assert (weights[: GENES - 1] < 1).all()


def test_the_readout_starts_at_weighted_components() -> None:
    store = programmes()
    config = helpers.pooled_model(channels=16)
    training = helpers.counts_training(start="pca")
    equal = initial_model(config, training, store)
    model = initial_model(config, training.model_copy(update={"component_weights": "reliability"}), store)
    weights = np.concatenate(component_reliability(equal.encoder.transform, store, 8, seed=training.seed))
    assert weights.max() > 0.8
    assert weights.min() < 0.4
    weighted = linear_vectors(equal, store) * np.sqrt(weights)
    np.testing.assert_allclose(linear_vectors(model, store), weighted, rtol=1e-4, atol=1e-4)


def test_weights_without_components_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"component_weights weighs .* of the start: set start to pca\.$"):
        as_bench_config({"train": {"start": "random", "neighbor_loss": 0}})
