"""Vectors of cells: a file and its pieces give the same, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scgraph.errors import DataError
from scgraph.nn import GeneModel
from scgraph.train import embed, embedding
from tests.train import helpers


@pytest.fixture(params=["gnn", "gnn-linear", "gcn", "gat", "tf", "hybrid"])
def model(request: pytest.FixtureRequest) -> GeneModel:
    torch.manual_seed(0)
    # Sizes that no vector register divides: kernels treat the ends of arrays differently.
    return GeneModel(40, conv=request.param, channels=24, layers=2, rank=5)


def test_pieces_in_any_order_and_any_number_of_threads_give_the_same_bits(model: GeneModel) -> None:
    store = helpers.small_store()
    whole = embed(model, store, genes=13, device="cpu")
    assert whole.shape == (120, 24)
    assert whole.dtype == np.float32
    order = np.random.default_rng(0).permutation(120)
    for cuts in ([1, 8, 45], [119], [37, 38, 39]):
        pieces = [embed(model, store.subset(part), genes=13, device="cpu") for part in np.split(order, cuts)]
        assert np.array_equal(np.concatenate(pieces), whole[order])
    torch.set_num_threads(2)
    try:
        assert np.array_equal(embed(model, store, genes=13, device="cpu"), whole)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_batches_give_the_same_up_to_rounding(model: GeneModel) -> None:
    store = helpers.small_store()
    exact = embed(model, store, genes=13, device="cpu")
    plain = embed(model, store, genes=13, device="cpu", form="batches", batch_size=17)
    np.testing.assert_allclose(plain, exact, rtol=0, atol=1e-5)
    assert np.ptp(exact, axis=0).min() > 0


def test_all_genes_of_every_cell_are_seen_in_batches_that_fit(
    model: GeneModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = helpers.small_store()
    lengths = np.diff(store.indptr)
    whole = embed(model, store, genes=None, device="cpu")
    assert np.array_equal(whole, embed(model, store, genes=int(lengths.max()), device="cpu"))
    monkeypatch.setattr(embedding, "_PAIRS", 5 * int(lengths.max()) ** 2)
    rows = np.arange(len(store))
    parts = list(embedding.batches_by_length(rows, lengths, 17))
    assert sorted(np.concatenate(parts)) == rows.tolist()
    assert all(len(part) * lengths[part].max() ** 2 <= 5 * lengths.max() ** 2 for part in parts)
    assert 5 < max(map(len, parts)) <= 17
    plain = embed(model, store, genes=None, device="cpu", form="batches", batch_size=17)
    np.testing.assert_allclose(plain, whole, rtol=0, atol=1e-5)


def test_which_genes_are_seen_depends_on_the_seed_alone() -> None:
    store, model = helpers.small_store(), GeneModel(40, channels=8, layers=1, rank=4)
    first = embed(model, store, genes=5, seed=1, device="cpu")
    assert np.array_equal(first, embed(model, store, genes=5, seed=1, device="cpu"))
    assert not np.array_equal(first, embed(model, store, genes=5, seed=2, device="cpu"))


def test_a_cell_without_genes_gets_zeros() -> None:
    store, model = helpers.small_store(), GeneModel(40, channels=8, layers=1, rank=4)
    ends = np.concatenate([store.indptr[:4], store.indptr[3:]])
    keys = np.insert(store.keys, 3, np.uint64(0))
    with_empty = type(store).from_arrays(ends, store.genes.array, store.values.array, keys, store.vocabulary)
    vectors = embed(model, with_empty, genes=13, device="cpu")
    assert vectors[3].tolist() == [0.0] * 8
    assert np.array_equal(np.delete(vectors, 3, axis=0), embed(model, store, genes=13, device="cpu"))


def test_a_vector_that_is_not_finite_names_its_row() -> None:
    store, model = helpers.small_store(), GeneModel(40, channels=8, layers=1, rank=4)
    store.values.array[store.indptr[7]] = np.inf
    with pytest.raises(DataError, match=r"The vectors of 1 cells are not finite, first that of row 7\."):
        embed(model, store, genes=40, device="cpu")
