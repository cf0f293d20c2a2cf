"""Perturbations divided by genes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from scgraph.errors import DataError
from scgraph.perturb.splits import GROUPS, split_perturbations

GENES = [*((gene,) for gene in range(20)), *list(combinations(range(20), 2))[::4]]


def test_genes_of_the_test_part_are_new() -> None:
    met: set[str] = set()
    for seed in range(5):
        split = split_perturbations(GENES, seed=seed)
        parts = [split.train, split.validation, split.test]
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(GENES)))
        seen = {gene for at in split.train for gene in GENES[at]}
        for part in parts[1:]:
            assert not seen & {GENES[at][0] for at in part if len(GENES[at]) == 1}
        for at, group in zip(split.test, split.groups, strict=True):
            known = sum(gene in seen for gene in GENES[at])
            assert group == ("single" if len(GENES[at]) == 1 else f"double, {known}/2 seen")
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
