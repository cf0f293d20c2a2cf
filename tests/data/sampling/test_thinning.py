"""Counts from values, and their thinning: kernels against plain references, statistics, what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from scgraph.data import CellStore, Vocabulary
from scgraph.data.cells import Cells, log_normalized
from scgraph.data.sampling.hashing import row_hashes
from scgraph.data.sampling.thinning import (
    count_values,
    counts_of,
    counts_reference,
    kept_shares,
    thin_cells,
    thin_counts,
    thin_reference,
)
from scgraph.errors import DataError


def _counts(cells: int, genes: int, seed: int = 0) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    dense = rng.poisson(np.exp(rng.normal(-1, 2, genes)) * rng.lognormal(0, 0.5, (cells, 1)))
    dense[:, 0] += 1
    return sparse.csr_matrix(dense.astype(np.float32))


def _cells(matrix: sparse.csr_matrix, kind: str = "counts") -> Cells:
    n, genes = matrix.shape
    names = np.array([f"G{at}" for at in range(genes)])
    cell_names = np.array([f"cell{at}" for at in range(n)])
    rows = np.arange(n)
    blank = np.full(genes, "")
    return Cells("made", matrix, kind, names, blank, cell_names, rows, None, None, (), {})  # type: ignore[arg-type]


def _log(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    return log_normalized(matrix, matrix.data.astype(np.float64))


def test_counts_come_back_from_values_also_where_genes_are_left_out() -> None:
    counts = _counts(50, 400)
    for columns in (np.arange(400), np.arange(0, 400, 3)):
        part, values = counts[:, columns], _log(counts)[:, columns]
        indptr = values.indptr.astype(np.int64)
        back = counts_of(indptr, values.data)
        for first, last in pairwise(indptr.tolist()):
            np.testing.assert_array_equal(back[first:last], counts_reference(values.data[first:last]))
            # Where a cell has only even counts of these genes, halves are as good.
            ratio = part.data[first:last] / back[first:last]
            np.testing.assert_allclose(ratio, ratio[0])
        same = back == part.data
        assert same.mean() > 0.99


def test_the_smallest_value_may_be_worth_several_counts() -> None:
    values = np.log1p(np.array([2, 3, 7, 40, 3000]) * 1.7).astype(np.float32)
    np.testing.assert_array_equal(counts_of(np.array([0, 5]), values), [2, 3, 7, 40, 3000])


def test_rounded_logarithms_give_their_counts_too() -> None:
    counts = _counts(50, 400)
    values = _log(counts)
    values.data = np.round(values.data, 3)
    back = counts_of(values.indptr.astype(np.int64), values.data)
    small = counts.data < 50
    assert (back[small] == counts.data[small]).mean() > 0.99
    np.testing.assert_allclose(back[~small], counts.data[~small], rtol=0.01)
    for first, last in pairwise(values.indptr.tolist()):
        np.testing.assert_array_equal(back[first:last], counts_reference(values.data[first:last]))


def test_values_that_are_no_multiples_give_no_counts() -> None:
    values = np.log1p(np.array([1.0, 1.37, 2.61, 3.14, 5.55, 8.21])).astype(np.float32)
    whole = np.log1p(np.array([1.0, 2.0, 5.0])).astype(np.float32)
    counts = counts_of(np.array([0, 6, 6, 9]), np.concatenate([values, whole]))
    np.testing.assert_array_equal(counts, [0] * 6 + [1, 2, 5])


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_thinning_equals_the_reference(share: float) -> None:
    matrix = _counts(20, 300)
    indptr, genes = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32) + 1
    counts = matrix.data.astype(np.int32)
    keys = row_hashes(indptr, genes, matrix.data.view(np.uint32))
    kept = thin_counts(indptr, genes, counts, keys, np.full(20, share), seed=3, epoch=2)
    for row, (first, last) in enumerate(pairwise(indptr.tolist())):
        here = slice(first, last)
        expected = thin_reference(genes[here], counts[here], keys[row], share, seed=3, epoch=2)
        np.testing.assert_array_equal(kept[here], expected)
    assert (kept == (0 if share == 0 else counts)).all() or 0 < share < 1


def test_thinning_is_binomial_and_depends_on_seed_epoch_and_cell_alone() -> None:
    cells, share = 4000, 0.3
    indptr, genes = np.arange(cells + 1, dtype=np.int64), np.ones(cells, dtype=np.int32)
    counts, keys = np.full(cells, 10, dtype=np.int32), np.arange(cells, dtype=np.uint64)
    shares = np.full(cells, share)
    kept = thin_counts(indptr, genes, counts, keys, shares, seed=0, epoch=0)
    assert abs(kept.mean() - 3.0) < 4 * np.sqrt(2.1 / cells)
    assert abs(kept.var() - 2.1) < 0.3
    back = thin_counts(indptr, genes, counts, keys[::-1].copy(), shares, seed=0, epoch=0)
    np.testing.assert_array_equal(back[::-1], kept)
    for seed, epoch in ((1, 0), (0, 1)):
        other = thin_counts(indptr, genes, counts, keys, shares, seed=seed, epoch=epoch)
        assert abs(np.corrcoef(other, kept)[0, 1]) < 0.06


def test_shares_are_log_uniform() -> None:
    shares = kept_shares(np.arange(5000, dtype=np.uint64), (0.1, 1.0), seed=0, epoch=0)
    assert 0.1 <= shares.min() < 0.102
    assert 0.98 < shares.max() <= 1
    assert abs(np.median(np.log10(shares)) + 0.5) < 0.03
    assert (shares != kept_shares(np.arange(5000, dtype=np.uint64), (0.1, 1.0), seed=0, epoch=1)).all()


def test_values_of_counts_are_those_of_the_whole_cell() -> None:
    counts = _counts(30, 200)
    whole, panel = _log(counts), np.arange(0, 200, 2)
    part = whole[:, panel]
    indptr = part.indptr.astype(np.int64)
    within = np.asarray(counts[:, panel].sum(axis=1) / counts.sum(axis=1)).ravel()
    values = count_values(indptr, counts[:, panel].data.astype(np.int32), within)
    np.testing.assert_allclose(values, part.data, rtol=1e-5)


@pytest.mark.parametrize("kind", ["counts", "log1p"])
def test_thinned_cells_are_shallower_and_the_rest_stays(kind: str) -> None:
    matrix = _counts(40, 300)
    cells = _cells(matrix if kind == "counts" else _log(matrix), kind)
    thinned = thin_cells(cells, 0.2, seed=1)
    assert thinned.kind == "counts"
    assert (thinned.matrix.toarray() <= matrix.toarray()).all()
    assert abs(thinned.matrix.sum() / matrix.sum() - 0.2) < 0.02
    np.testing.assert_array_equal(thinned.obs_names, cells.obs_names)
    alone = thin_cells(cells.subset(np.array([7])), 0.2, seed=1)
    assert (alone.matrix != thinned.matrix[7]).nnz == 0


def test_a_cell_thinned_to_nothing_keeps_its_place() -> None:
    matrix = sparse.csr_matrix(np.array([[1, 0, 0], [40, 30, 30], [0, 1, 0]], dtype=np.float32))
    thinned = thin_cells(_cells(matrix), 0.01, seed=0)
    vocabulary = Vocabulary(("G0", "G1", "G2"), ("", "", ""))
    store = CellStore.from_cells(thinned, vocabulary)
    assert len(store) == 3
    assert np.isfinite(store.matrix().data).all()


def test_cells_without_counts_are_refused() -> None:
    matrix = _log(_counts(5, 50))
    matrix.data[matrix.indptr[2] : matrix.indptr[3]] **= 1.13
    with pytest.raises(DataError, match=r"made: 1 of 5 cells \(such as cell2\)"):
        thin_cells(replace(_cells(matrix, "log1p")), 0.5, seed=0)
