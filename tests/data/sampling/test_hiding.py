"""Which genes a cell is shown without: shares, independence of order, and what the draws depend on."""

from __future__ import annotations

import numpy as np

from scgraph.data.sampling.hiding import hidden_genes, hidden_shares

CELLS, GENES = 400, 300
KEYS = np.random.default_rng(0).integers(0, 2**63, CELLS).astype(np.uint64)


def _hidden(rows: np.ndarray, shares: np.ndarray, genes: np.ndarray, **at: int) -> np.ndarray:
    starts = np.arange(len(rows) + 1) * len(genes)
    return hidden_genes(starts, np.tile(genes, len(rows)), KEYS[rows], shares[rows], **at).reshape(len(rows), -1)


def test_shares_are_uniform_in_the_cells_that_lose_genes_and_0_in_the_others() -> None:
    shares = hidden_shares(KEYS, (0.2, 0.6), cells=0.3, seed=0, epoch=0)
    some = shares > 0
    assert 0.2 < some.mean() < 0.4
    assert 0.2 <= shares[some].min() < 0.25
    assert 0.55 < shares[some].max() < 0.6
    assert abs(shares[some].mean() - 0.4) < 0.05
    other = hidden_shares(KEYS, (0.2, 0.6), cells=0.3, seed=0, epoch=1) > 0
    assert 0.02 < (some & other).mean() < 0.16, "another epoch takes other cells"
    assert not hidden_shares(KEYS, (0.2, 0.6), cells=0.0, seed=0, epoch=0).any()


def test_a_gene_is_hidden_with_the_share_of_its_cell_whatever_stands_beside_it() -> None:
    shares = np.linspace(0, 0.9, CELLS)
    rows, genes = np.arange(CELLS), np.arange(1, GENES + 1, dtype=np.int32)
    hidden = _hidden(rows, shares, genes, seed=0, epoch=0)
    error = hidden.mean(axis=1) - shares
    assert np.abs(error).max() < 0.15
    assert abs(error.mean()) < 0.01
    assert np.abs(hidden.mean(axis=0) - shares.mean()).max() < 0.12, "no gene is hidden in all cells"
    some = rows[::-7]
    np.testing.assert_array_equal(
        _hidden(some, shares, genes[::3], seed=0, epoch=0), hidden[np.ix_(some, genes[::3] - 1)]
    )
    for seed, epoch in ((1, 0), (0, 1)):
        assert (_hidden(rows, shares, genes, seed=seed, epoch=epoch) != hidden).mean() > 0.2
