"""The kernels against their plain references, and the statistics of what they choose."""

from __future__ import annotations

import multiprocessing
from itertools import pairwise

import numpy as np
import pytest

from scgraph.data import CellStore, Vocabulary, mask_values
from scgraph.data.sampling.genes import mask_reference, sample_reference
from scgraph.data.sampling.hashing import row_hashes
from scgraph.data.sampling.zeros import zeros_reference


def _store(lengths: np.ndarray, genes: int, seed: int = 0) -> CellStore:
    rng = np.random.default_rng(seed)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = [np.sort(rng.choice(genes, size=n, replace=False)) + 1 for n in lengths]
    ids = np.concatenate(rows).astype(np.int32)
    values = rng.random(len(ids), dtype=np.float32) + 0.5
    names = tuple(f"GENE{at}" for at in range(genes))
    vocabulary = Vocabulary(names, ("",) * genes)
    return CellStore.from_arrays(indptr, ids, values, row_hashes(indptr, ids, values.view(np.uint32)), vocabulary)


@pytest.mark.parametrize("limit", [1, 2, 7, 64, 500])
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (2**63, 5), (-3, 1)])
def test_sampling_equals_the_reference(limit: int, seed: int, epoch: int) -> None:
    store = _store(np.array([1, 2, 7, 8, 65, 700, 3000]), 4000)
    genes, _ = store.batch(np.arange(7), genes=limit, seed=seed, epoch=epoch)
    for row, (first, last) in enumerate(pairwise(store.indptr.tolist())):
        expected = sample_reference(store.genes.array[first:last], store.keys[row], limit=limit, seed=seed, epoch=epoch)
        np.testing.assert_array_equal(genes[row, : len(expected)], expected)
        assert not genes[row, len(expected) :].any()


@pytest.mark.parametrize("limit", [0, 1, 5, 64, 500, 4000])
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (-3, 1)])
def test_sampling_zeros_equals_the_reference(limit: int, seed: int, epoch: int) -> None:
    store = _store(np.array([0, 1, 7, 400, 693, 699, 700]), 700)
    zeros = store.zeros(np.arange(7), genes=limit, seed=seed, epoch=epoch)
    assert zeros.shape == (7, min(limit, 700))
    for row, (first, last) in enumerate(pairwise(store.indptr.tolist())):
        expected = zeros_reference(
            store.genes.array[first:last], store.keys[row], vocabulary_size=700, limit=limit, seed=seed, epoch=epoch
        )
        np.testing.assert_array_equal(zeros[row, : len(expected)], expected)
        assert not zeros[row, len(expected) :].any()
        assert not np.isin(expected, store.genes.array[first:last]).any()


def test_zeros_depend_on_the_cell_and_the_epoch_alone() -> None:
    store = _store(np.full(900, 60), 1000)
    whole = store.zeros(np.arange(900), genes=50, seed=0, epoch=0)
    pieces = [store.zeros(np.arange(at, at + 100), genes=50, seed=0, epoch=0) for at in range(0, 900, 100)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    other = store.zeros(np.arange(900), genes=50, seed=0, epoch=1)
    seen = np.bincount(np.concatenate([whole, other]).ravel(), minlength=1001)[1:]
    # 1,800 rows of 50 out of 940: every gene is as likely, chi² over 1,000 genes.
    expected = seen.mean()
    assert abs(((seen - expected) ** 2).sum() / expected - 1000) < 5 * np.sqrt(2 * 1000)
    shared = np.mean([len(np.intersect1d(one, two)) for one, two in zip(whole[:200], other[:200], strict=True)])
    assert abs(shared - 50 * 50 / 940) < 0.6
    with pytest.raises(IndexError):
        store.zeros(np.array([900]), genes=3, seed=0, epoch=0)


@pytest.mark.parametrize("at_least", [0, 1])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.15, 1.0])
def test_masking_equals_the_reference(share: float, at_least: int) -> None:
    store = _store(np.array([1, 2, 3, 40, 300]), 500)
    genes, _ = store.batch(np.arange(5), genes=200, seed=1, epoch=1)
    mask = mask_values(genes, store.keys, share=share, seed=1, epoch=1, at_least=at_least)
    assert mask[1:].any(axis=1).all() or share == 0 or at_least == 0
    for row in range(5):
        expected = mask_reference(genes[row], store.keys[row], share=share, seed=1, epoch=1, at_least=at_least)
        np.testing.assert_array_equal(mask[row], expected)


def test_large_batches_in_threads_equal_small_ones() -> None:
    store = _store(np.full(900, 600), 1000)
    whole, values = store.batch(np.arange(900), genes=512, seed=0, epoch=0)
    pieces = [store.batch(np.arange(at, at + 100), genes=512, seed=0, epoch=0) for at in range(0, 900, 100)]
    np.testing.assert_array_equal(whole, np.concatenate([genes for genes, _ in pieces]))
    np.testing.assert_array_equal(values, np.concatenate([some for _, some in pieces]))
    mask = mask_values(whole, store.keys, share=0.15, seed=0, epoch=0)
    np.testing.assert_array_equal(mask[:100], mask_values(whole[:100], store.keys[:100], share=0.15, seed=0, epoch=0))


def test_every_gene_of_a_cell_is_as_likely_as_any_other() -> None:
    cell = _store(np.array([300]), 2000)
    epochs, limit = 3000, 60
    seen = np.zeros(2001)
    together = 0
    first, last = cell.genes.array[0], cell.genes.array[1]
    for epoch in range(epochs):
        genes, _ = cell.batch(np.array([0]), genes=limit, seed=11, epoch=epoch)
        seen[genes[0]] += 1
        together += int(first in genes[0] and last in genes[0])
    counts = seen[cell.genes.array]
    assert counts.sum() == epochs * limit
    # Without replacement the variance of a count is epochs · p · (1 - p); chi² has 299 degrees of freedom.
    p = limit / 300
    chi2 = ((counts - epochs * p) ** 2).sum() / (epochs * p * (1 - p)) * 299 / 300
    assert abs(chi2 - 299) < 4 * np.sqrt(2 * 299)
    # Neighbouring ids are chosen independently: expected share p · (limit - 1) / (300 - 1).
    expected = epochs * p * (limit - 1) / 299
    assert abs(together - expected) < 4 * np.sqrt(expected)


def test_share_of_masked_values() -> None:
    store = _store(np.full(400, 300), 500)
    genes, _ = store.batch(np.arange(400), genes=300, seed=0, epoch=0)
    mask = mask_values(genes, store.keys, share=0.15, seed=0, epoch=0)
    sd = np.sqrt(0.15 * 0.85 / mask.size)
    assert abs(mask.mean() - 0.15) < 4 * sd
    by_gene = np.bincount(genes[mask], minlength=501)[1:] / np.bincount(genes.ravel(), minlength=501)[1:]
    assert abs(by_gene.std() / np.sqrt(0.15 * 0.85 / 240) - 1) < 0.15
    other = mask_values(genes, store.keys, share=0.15, seed=0, epoch=1)
    assert abs((mask & other).mean() - 0.15**2) < 0.002


@pytest.mark.parametrize("zeros", [False, True])
def test_what_is_masked_does_not_depend_on_what_was_sampled(zeros: bool) -> None:
    """A gene is seen where its hash is small: masking by the same hash would hide nearly all that is seen."""
    store = _store(np.full(300, 300), 600)
    sample = store.zeros if zeros else lambda rows, **at: store.batch(rows, **at)[0]
    genes = sample(np.arange(300), genes=60, seed=0, epoch=0)
    assert genes.shape == (300, 60)
    mask = mask_values(genes, store.keys, share=0.15, seed=0, epoch=0)
    assert abs(mask.mean() - 0.15) < 5 * np.sqrt(0.15 * 0.85 / mask.size)


def test_masking_never_touches_padding_and_does_not_depend_on_it() -> None:
    store = _store(np.array([2, 5, 30]), 100)
    genes, _ = store.batch(np.arange(3), genes=50, seed=0, epoch=0)
    mask = mask_values(genes, store.keys, share=1.0, seed=0, epoch=0)
    np.testing.assert_array_equal(mask, genes > 0)
    wide, _ = store.batch(np.arange(3), genes=50, seed=0, epoch=0, pad_to=64)
    some = mask_values(genes, store.keys, share=0.3, seed=0, epoch=0)
    np.testing.assert_array_equal(mask_values(wide, store.keys, share=0.3, seed=0, epoch=0)[:, :30], some)


def test_cells_of_two_genes_always_have_one_masked() -> None:
    store = _store(np.full(500, 2), 2000)
    genes, _ = store.batch(np.arange(500), genes=10, seed=0, epoch=0)
    mask = mask_values(genes, store.keys, share=0.001, seed=0, epoch=0)
    assert (mask.sum(axis=1) >= 1).all()
    assert 0.35 < mask[:, 0].mean() < 0.65
    assert not mask_values(genes[:, :1], store.keys, share=1e-9, seed=0, epoch=0).any()
    assert not mask_values(genes, store.keys, share=0.0, seed=0, epoch=0).any()


def test_masking_refuses_nonsense() -> None:
    store = _store(np.array([3, 3]), 10)
    genes, _ = store.batch(np.arange(2), genes=3, seed=0, epoch=0)
    with pytest.raises(ValueError, match="share"):
        mask_values(genes, store.keys, share=1.5, seed=0, epoch=0)
    with pytest.raises(ValueError, match="2 rows of genes but 1 keys"):
        mask_values(genes, store.keys[:1], share=0.5, seed=0, epoch=0)


def test_hash_of_a_cell_tells_its_genes_and_values_but_not_their_order() -> None:
    def hashed(genes: list[int], values: list[float]) -> int:
        bits = np.asarray(values, dtype=np.float32).view(np.uint32)
        return int(row_hashes(np.array([0, len(genes)]), np.asarray(genes, dtype=np.int32), bits)[0])

    one = hashed([1, 2, 3], [0.5, 1.0, 2.0])
    assert one == hashed([3, 1, 2], [2.0, 0.5, 1.0])
    others = {
        hashed([1, 2, 4], [0.5, 1.0, 2.0]),
        hashed([2, 1, 3], [0.5, 1.0, 2.0]),
        hashed([1, 2, 3], [0.5, 1.0, 2.5]),
        hashed([1, 2], [0.5, 1.0]),
    }
    assert len(others | {one}) == 5


def _batch_sum(store: CellStore) -> int:
    return int(store.batch(np.arange(len(store)), genes=512, seed=0, epoch=0)[0].sum())


def test_workers_that_begin_with_a_fork_sample_too() -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no fork")
    store = _store(np.full(900, 600), 1000)
    expected = _batch_sum(store)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_batch_sum, (store,)).get(timeout=30) == expected
