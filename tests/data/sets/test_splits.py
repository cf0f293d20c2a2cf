"""The parts are disjoint, complete, a function of the seed, and fair to rare classes and whole batches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scgraph.data.sets.splits import make_split
from scgraph.errors import ConfigError, DataError


def _labels(n: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.choice(["B", "T", "NK"], size=n, p=[0.7, 0.25, 0.05])


@pytest.mark.parametrize("by_batch", [False, True])
def test_parts_cover_every_cell_once(by_batch: bool) -> None:
    labels = _labels()
    batches = np.arange(400) % 10 if by_batch else None
    split = make_split(labels, batches=batches, seed=3)
    together = np.concatenate([split.train, split.validation, split.test])
    assert sorted(together.tolist()) == list(range(400))
    assert abs(len(split.test) / 400 - 0.3) < 0.02
    assert abs(len(split.validation) / 400 - 0.1) < 0.02


def test_same_seed_same_split_other_seed_other_split() -> None:
    labels = _labels()
    first, again, other = (make_split(labels, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.test, again.test)
    assert np.array_equal(first.validation, again.validation)
    assert not np.array_equal(first.test, other.test)


def test_random_split_is_stratified_and_says_so() -> None:
    labels = _labels()
    split = make_split(pd.Categorical(labels), seed=0)
    for name in np.unique(labels):
        assert abs((labels[split.test] == name).sum() - 0.3 * (labels == name).sum()) <= 1
    assert split.kind == "random"
    assert "random" in split.how
    assert f"{len(split.train)} / {len(split.validation)} / {len(split.test)}" in split.how


def test_a_class_of_two_cells_is_learned_and_tested() -> None:
    labels = np.array(["a"] * 50 + ["rare"] * 2)
    split = make_split(labels, seed=0)
    assert "rare" in labels[split.train]
    assert "rare" in labels[split.test]


def test_batches_stay_whole_and_are_named() -> None:
    batches = np.repeat([f"donor{i}" for i in range(8)], 50)
    split = make_split(_labels(), batches=batches, seed=5)
    homes = [set(batches[part]) for part in (split.train, split.validation, split.test)]
    assert not homes[0] & homes[1]
    assert not homes[0] & homes[2]
    assert not homes[1] & homes[2]
    assert all(homes)
    assert "donor3" in split.how
    assert split.kind == "batch"


def test_batch_split_avoids_an_unseen_class_where_it_can() -> None:
    batches = np.repeat(np.arange(6), 30)
    labels = np.where(batches == 0, "only here", np.where(np.arange(180) % 2, "x", "y"))
    for seed in range(12):
        split = make_split(labels, batches=batches, seed=seed)
        assert "only here" not in labels[split.test]
    assert "not scored: 'only here'" in split.how


def test_few_batches_of_unequal_size_still_differ_by_seed() -> None:
    # Of four batches of 29, 19, 32 and 20 % only one assignment comes closest to 60/10/30.
    batches = np.repeat(["a", "b", "c", "d"], [290, 190, 320, 200])
    labels = np.arange(1000) % 3
    tests = {tuple(np.unique(batches[make_split(labels, batches=batches, seed=s).test])) for s in range(6)}
    assert len(tests) > 1


def test_shares_of_batches_of_unequal_size_are_close_to_those_asked_for() -> None:
    """Half of the cells in one batch, which can only be learned from, and twenty of a fortieth each."""
    batches = np.repeat(np.arange(21), [800, *[40] * 20])
    for seed in range(10):
        split = make_split(np.arange(1600) % 3, batches=batches, seed=seed)
        shares = np.array([len(part) for part in (split.train, split.validation, split.test)]) / 1600
        assert np.abs(shares - (0.6, 0.1, 0.3)).sum() <= 0.1 + 1e-9
        assert 0 in batches[split.train]


def test_class_only_in_test_is_refused_with_its_name() -> None:
    batches = np.repeat(["p1", "p2", "p3"], 20)
    with pytest.raises(DataError, match=r"'c\d' only in 'p\d'.*Leave these classes out"):
        make_split(np.char.replace(batches.astype(str), "p", "c"), batches=batches, seed=0)


def test_too_few_batches() -> None:
    with pytest.raises(DataError, match=r"at least 3 batches.*there are 2 \('0', '1'\)"):
        make_split(_labels(), batches=np.arange(400) % 2, seed=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 30, "one class only"),
        (["a"] * 30 + ["b"], "single cell .'b'."),
        (["a"] * 30 + ["b"] * 9 + [None], "1 of 40 cells have no label"),
    ],
)
def test_labels_that_cannot_be_split(labels: list[str | None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_split(np.array(labels, dtype=object), seed=0)


def test_fractions_must_add_up() -> None:
    with pytest.raises(ConfigError, match="add up to 1"):
        make_split(_labels(), seed=0, fractions=(0.6, 0.3, 0.3))
