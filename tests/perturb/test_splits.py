"""Perturbations divided by genes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from scgraph.errors import DataError
from scgraph.perturb.splits import GROUPS, leave_one_out, split_perturbations

GENES = [*((gene,) for gene in range(20)), *list(combinations(range(20), 2))[::4]]


def test_genes_of_the_test_part_are_new() -> None:
    met: set[str] = set()
    for seed in range(5):
        split = split_perturbations(GENES, seed=seed)
        parts = [split.train, split.validation, split.test]
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(GENES)))
        learned = {gene for at in split.train for gene in GENES[at]}
        seen = learned | {gene for at in split.validation for gene in GENES[at]}
        for known, part in ((learned, split.validation), (seen, split.test)):
            assert not known & {GENES[at][0] for at in part if len(GENES[at]) == 1}
        for at, group in zip(split.test, split.groups, strict=True):
            times = sum(gene in seen for gene in GENES[at])
            assert group == ("single" if len(GENES[at]) == 1 else f"double, {times}/2 seen")
        singles = sum(len(GENES[at]) == 1 for at in split.test)
        assert singles == 5
        met |= set(split.groups)
    assert met == set(GROUPS)


def test_a_split_is_a_function_of_its_seed() -> None:
    one, same, other = (split_perturbations(GENES, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.test, same.test)
    assert np.array_equal(one.validation, same.validation)
    assert not np.array_equal(one.test, other.test)


def test_what_cannot_be_divided_is_refused() -> None:
    star = [(0, gene) for gene in range(1, 4)]
    with pytest.raises(DataError, match="3 perturbations of 4 genes cannot be divided"):
        split_perturbations(star, seed=0)
    least = split_perturbations([(gene,) for gene in range(5)], seed=0)
    assert (len(least.train), len(least.validation), len(least.test)) == (3, 1, 1)


def test_every_perturbation_is_left_out_once_and_a_double_for_all_that_can_be_seen() -> None:
    genes = [(0,), (1,), (2,), (3,), (4,), (0, 1), (2, 5), (6, 7)]
    splits = leave_one_out(genes, seed=0)
    groups: dict[int, list[str]] = {}
    for split in splits:
        (at,) = split.test
        groups.setdefault(int(at), []).append(split.groups[0])
        learn = np.concatenate([split.train, split.validation])
        assert len(split.train) >= 2
        assert len(split.validation) >= 1
        assert len(set(learn.tolist()) | {int(at)}) == len(learn) + 1
        seen = {gene for other in learn for gene in genes[other]}
        known = sum(gene in seen for gene in genes[at])
        assert split.groups[0] == ("single" if len(genes[at]) == 1 else f"double, {known}/2 seen")
        if len(genes[at]) == 1:
            assert not known
    assert sorted(groups) == list(range(8))
    assert groups[0] == ["single"]
    assert sorted(groups[5]) == ["double, 0/2 seen", "double, 1/2 seen", "double, 1/2 seen", "double, 2/2 seen"]
    assert sorted(groups[6]) == ["double, 0/2 seen", "double, 1/2 seen"]
    assert groups[7] == ["double, 0/2 seen"]
    again = leave_one_out(genes, seed=0)
    assert all(np.array_equal(one.validation, other.validation) for one, other in zip(splits, again, strict=True))
    with pytest.raises(DataError, match="nothing is left"):
        leave_one_out([(0,), (1,)], seed=0)
