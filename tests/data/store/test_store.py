"""The store: rows on a vocabulary, and what batches may depend on."""

from __future__ import annotations

from collections.abc import Callable

import anndata
import numpy as np
import pytest

from scgraph.data import CellStore, Vocabulary, read_cells

Make = Callable[..., anndata.AnnData]


@pytest.fixture
def store(make_adata: Make) -> CellStore:
    cells = read_cells(make_adata(cells=60, genes=80))
    return CellStore.from_cells(cells, Vocabulary.from_cells([cells]))


def test_rows_hold_the_normalised_values_of_the_whole_cell(make_adata: Make) -> None:
    cells = read_cells(make_adata())
    # Genes in another order, and not all of them: values must not change.
    vocabulary = Vocabulary.from_cells([cells]).subset(np.array([9, 2, 30, 17]))
    store = CellStore.from_cells(cells, vocabulary, min_matched=1.0)
    columns = [cells.symbols.tolist().index(symbol) for symbol in vocabulary.symbols]
    np.testing.assert_array_equal(store.matrix().toarray(), cells.normalized().toarray()[:, columns])
    assert all((np.diff(store.matrix()[row].indices) > 0).all() for row in range(40))
    assert store.match_note.startswith("4 of 4 genes matched by Ensembl id")
    assert (store.indptr.dtype, store.genes.array.dtype, store.values.array.dtype, store.keys.dtype) == (
        np.int64,
        np.int32,
        np.float32,
        np.uint64,
    )


def test_keys_are_of_the_content_not_of_the_place(store: CellStore, make_adata: Make) -> None:
    rows = np.array([41, 7, 7, 0])
    part = store.subset(rows)
    np.testing.assert_array_equal(part.keys, store.keys[rows])
    np.testing.assert_array_equal(part.matrix().toarray(), store.matrix().toarray()[rows])
    assert len(np.unique(store.keys)) == 60
    cells = read_cells(make_adata(cells=60, genes=80)).subset(rows)
    np.testing.assert_array_equal(CellStore.from_cells(cells, store.vocabulary).keys, store.keys[rows])


def test_any_order_grouping_and_padding_gives_a_cell_the_same_genes(store: CellStore) -> None:
    whole, values = store.batch(np.arange(60), genes=20, seed=3, epoch=2, pad_to=64)
    assert whole.shape == (60, 64)
    rng = np.random.default_rng(0)
    for rows in np.split(rng.permutation(60), [1, 4, 30]):
        genes, some = store.batch(rows, genes=20, seed=3, epoch=2)
        width = genes.shape[1]
        np.testing.assert_array_equal(genes, whole[rows, :width])
        np.testing.assert_array_equal(some, values[rows, :width])
    joined = CellStore.concat([store.subset(np.arange(30, 60)), store.subset(np.arange(30))])
    np.testing.assert_array_equal(
        joined.batch(np.arange(60), genes=20, seed=3, epoch=2)[0], np.roll(whole, 30, 0)[:, :20]
    )


def test_batch_holds_the_values_of_its_genes_and_pads_on_the_right(store: CellStore) -> None:
    genes, values = store.batch(np.arange(60), genes=45, seed=0, epoch=0)
    assert genes.dtype == np.int64
    assert values.dtype == np.float32
    counts = np.diff(store.indptr)
    assert counts.min() < 45 < counts.max()
    np.testing.assert_array_equal((genes > 0).sum(axis=1), np.minimum(counts, 45))
    dense = store.matrix().toarray()
    for row in range(60):
        n = min(int(counts[row]), 45)
        assert (np.diff(genes[row, :n]) > 0).all()
        assert not genes[row, n:].any()
        assert not values[row, n:].any()
        np.testing.assert_array_equal(values[row, :n], dense[row, genes[row, :n] - 1])


def test_another_epoch_or_seed_gives_other_genes(store: CellStore) -> None:
    one, again, epoch, seed = (
        store.batch(np.arange(60), genes=20, seed=seed, epoch=epoch)[0]
        for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    np.testing.assert_array_equal(one, again)
    assert (one != epoch).any(axis=1).all()
    assert (one != seed).any(axis=1).all()
    assert (epoch != seed).any(axis=1).all()


def test_cells_without_a_gene_of_the_vocabulary_are_counted(make_adata: Make) -> None:
    adata = make_adata()
    counts = adata.X.toarray()
    counts[:2, 1] = 0
    counts[2:, 1] = 1
    adata.X = counts
    cells = read_cells(adata)
    store = CellStore.from_cells(cells, Vocabulary(("GENE2",), ("ENSG00000000002",)))
    assert "2 cells express none of them" in store.match_note
    genes, _ = store.batch(np.arange(3), genes=5, seed=0, epoch=0)
    assert genes.tolist() == [[0], [0], [1]]
    assert store.batch(np.array([0, 1]), genes=5, seed=0, epoch=0)[0].shape == (2, 1)


def test_wrong_requests_are_refused(store: CellStore, make_adata: Make) -> None:
    for rows in ([60], [-1], np.ones(60, dtype=bool), [0.5]):
        with pytest.raises(IndexError):
            store.batch(np.asarray(rows), genes=5, seed=0, epoch=0)
    with pytest.raises(ValueError, match="genes must be 1"):
        store.batch(np.arange(2), genes=0, seed=0, epoch=0)
    with pytest.raises(ValueError, match="pad_to=4"):
        store.batch(np.arange(2), genes=5, seed=0, epoch=0, pad_to=4)
    other = read_cells(make_adata())
    with pytest.raises(ValueError, match="same vocabulary"):
        CellStore.concat([store, CellStore.from_cells(other, Vocabulary.from_cells([other]))])
    assert store.batch(np.array([], dtype=int), genes=5, seed=0, epoch=0)[0].shape == (0, 1)
