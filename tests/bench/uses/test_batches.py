"""Held-out batches: whole, each in turn, and unseen by the classifier."""

from __future__ import annotations

import numpy as np

from scgraph.bench.uses.batches import BATCHES, folds
from scgraph.data.sets.labelled import read_probe_sets
from tests.bench.uses.helpers import GeneValues, make_context, with_features
from tests.helpers import make_cells


def test_every_batch_is_held_out_whole() -> None:
    codes = np.arange(120) % 3
    batches = np.array([f"d{i // 3 % 4}" for i in range(120)])
    found = list(folds(codes, batches, seed=0, share=0.1))
    assert [name for name, *_ in found] == ["d0", "d1", "d2", "d3"]
    for name, train, validation, test in found:
        assert np.array_equal(test, np.flatnonzero(batches == name))
        assert not set(batches[train]) & {name}
        assert not set(batches[validation]) & {name}
        assert sorted([*train, *validation, *test]) == list(range(120))
        assert np.bincount(codes[validation]).tolist() == [3, 3, 3]


def test_cells_of_classes_that_no_other_batch_has_are_not_scored() -> None:
    batches = np.repeat(["a", "b", "c"], 40)
    codes = np.r_[np.tile([0, 1, 2, 3], 10), np.tile([0, 1], 20), np.zeros(40, dtype=int)]
    found = {name: codes[test] for name, _, _, test in folds(codes, batches, seed=0, share=0.1)}
    assert {name: sorted(set(kinds)) for name, kinds in found.items()} == {"a": [0, 1], "b": [0, 1]}  # c has one class


def test_what_holds_in_one_batch_alone_is_not_learned_from_it() -> None:
    """Features that name the class in a way of each batch's own: with cells of the batch, everything would be right."""
    adata = make_cells(n=120)
    context = make_context(adata, batch_key="donor", split="random")
    donors = np.asarray(context.batches).astype(str)
    number = np.unique(donors, return_inverse=True)[1]
    own = np.eye(12)[3 * number + context.codes]
    rows = BATCHES.measure(GeneValues(), with_features(context, own))
    assert [row["draw"] for row in rows] == ["d0", "d1", "d2", "d3"]
    assert max(row["value"] for row in rows) < 0.4
    shared = np.eye(3)[context.codes]
    assert [row["value"] for row in BATCHES.measure(GeneValues(), with_features(context, shared))] == [1.0] * 4


def test_a_set_without_batches_or_classes_in_common_is_refused_with_the_reason() -> None:
    adata = make_cells()
    settings = make_context(adata).settings
    plain = read_probe_sets([adata])[0]
    assert "batch_key" in str(BATCHES.refuse(plain, settings))
    adata.obs["sorted"] = [f"batch of {name}" for name in adata.obs["cell_type"]]
    confounded = read_probe_sets([adata], batch_key="sorted")[0]
    assert "two classes" in str(BATCHES.refuse(confounded, settings))
    assert BATCHES.refuse(read_probe_sets([adata], batch_key="donor")[0], settings) is None
