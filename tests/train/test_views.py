"""What a step sees of its cells."""

from __future__ import annotations

import numpy as np
import pytest

from scgraph.config import TrainConfig
from scgraph.data import CellStore
from scgraph.data.sampling.thinning import counts_of
from scgraph.errors import ConfigError, DataError
from scgraph.train import pretrain
from scgraph.train.views import check_counts, view_cells
from tests.train import helpers

ROWS = np.arange(30)


def _dense(starts: np.ndarray, genes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    dense = np.zeros((len(starts) - 1, helpers.GENES + 1))
    dense[np.repeat(np.arange(len(starts) - 1), np.diff(starts)), genes] = numbers
    return dense


def _config(thinning: tuple[float, float] | None, **settings: object) -> TrainConfig:
    return TrainConfig(thinning=thinning, **settings)


def test_what_is_shown_and_what_is_left_are_the_counts_of_the_cell() -> None:
    store = helpers.counted_store()
    starts, genes, values = store.entries(ROWS)
    counts = _dense(starts, genes, counts_of(starts, values))
    view = view_cells(store, ROWS, _config((0.3, 0.7)), seed=0, epoch=1)
    shown = _dense(view.starts, view.genes, counts_of(view.starts, view.values))
    left = counts - shown
    assert (left >= 0).all()
    shares = _dense(view.target_starts, view.target_genes, view.target_shares)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(shares, left / left.sum(axis=1, keepdims=True), rtol=1e-5)
    part = shown.sum(axis=1) / counts.sum(axis=1)
    assert 0.15 < part.min() < part.max() < 0.85
    assert part.std() > 0.05
    # Values are those of a shallower run: they add up to 10,000 in the cell.
    np.testing.assert_allclose(_dense(view.starts, view.genes, np.expm1(view.values)).sum(axis=1), 1e4, rtol=1e-4)


def test_a_view_is_a_function_of_seed_epoch_and_cell() -> None:
    store = helpers.counted_store()
    view = view_cells(store, ROWS, _config((0.1, 1.0)), seed=0, epoch=0)
    alone = view_cells(store, ROWS[7:8], _config((0.1, 1.0)), seed=0, epoch=0)
    here = slice(view.starts[7], view.starts[8])
    np.testing.assert_array_equal(view.genes[here], alone.genes)
    np.testing.assert_array_equal(view.values[here], alone.values)
    for seed, epoch in ((1, 0), (0, 1)):
        other = view_cells(store, ROWS, _config((0.1, 1.0)), seed=seed, epoch=epoch)
        assert len(other.genes) != len(view.genes) or (other.values != view.values).any()


def test_hidden_genes_are_predicted_with_all_their_counts() -> None:
    store = helpers.counted_store()
    starts, genes, values = store.entries(ROWS)
    counts = _dense(starts, genes, counts_of(starts, values))
    thinned = view_cells(store, ROWS, _config((0.5, 0.9)), seed=0, epoch=0)
    view = view_cells(store, ROWS, _config((0.5, 0.9), hidden_genes=(0.6, 0.8), hidden_cells=0.5), seed=0, epoch=0)
    expected = _dense(thinned.starts, thinned.genes, counts_of(thinned.starts, thinned.values))
    shown = _dense(view.starts, view.genes, counts_of(view.starts, view.values))
    # A gene is shown with the counts that thinning keeps, or not at all.
    hidden = (expected > 0) & (shown == 0)
    np.testing.assert_array_equal(shown, np.where(hidden, 0, expected))
    share = hidden.sum(axis=1) / (expected > 0).sum(axis=1)
    assert 0.2 < (share > 0).mean() < 0.8
    assert 0.55 < share[share > 0].mean() < 0.85
    left = counts - shown
    np.testing.assert_allclose(
        _dense(view.target_starts, view.target_genes, view.target_shares),
        left / left.sum(axis=1, keepdims=True),
        rtol=1e-5,
    )
    np.testing.assert_allclose(_dense(view.starts, view.genes, np.expm1(view.values)).sum(axis=1), 1e4, rtol=1e-4)
    alone = view_cells(
        store, ROWS[7:8], _config((0.5, 0.9), hidden_genes=(0.6, 0.8), hidden_cells=0.5), seed=0, epoch=0
    )
    np.testing.assert_array_equal(view.genes[view.starts[7] : view.starts[8]], alone.genes)


def test_without_thinning_all_is_shown_and_predicted() -> None:
    store = helpers.small_store()
    view = view_cells(store, ROWS, _config(None), seed=0, epoch=0)
    starts, genes, values = store.entries(ROWS)
    np.testing.assert_array_equal(view.values, values)
    shares = _dense(view.target_starts, view.target_genes, view.target_shares)
    x = _dense(starts, genes, np.expm1(values))
    np.testing.assert_allclose(shares, x / x.sum(axis=1, keepdims=True), rtol=1e-5)


def test_cells_without_counts_are_named_before_anything_is_trained() -> None:
    store = helpers.counted_store()
    values = store.values.array.copy()
    here = slice(store.indptr[3], store.indptr[4])
    values[here] = np.sqrt(values[here]) * 1.3
    broken = CellStore.from_arrays(store.indptr, store.genes.array, values, store.keys, store.vocabulary)
    check_counts(store)
    for act in (check_counts, lambda store: view_cells(store, ROWS, _config((0.3, 0.7)), seed=0, epoch=0)):
        with pytest.raises(DataError, match=r"train\.thinning needs counts.*rows 3 of"):
            act(broken)
    with pytest.raises(DataError, match=r"train\.thinning needs counts"):
        pretrain(helpers.pooled_model(), helpers.counts_training(), broken)


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({"cell_head": False}, {}, "count_loss needs a model with a cell head"),
        ({"readout": "mean"}, {"neighbor_loss": 1.0, "start": "pca"}, "set model.readout to pooled"),
    ],
)
def test_losses_need_what_they_are_taken_on(model: dict, training: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrain(helpers.pooled_model(**model), helpers.counts_training(**training), helpers.counted_store())


def test_shares_that_run_backwards_are_refused() -> None:
    with pytest.raises(ValueError, match=r"hidden_genes goes from a lower to a higher share, not from 0\.7 to 0\.2"):
        TrainConfig(hidden_genes=(0.7, 0.2))
