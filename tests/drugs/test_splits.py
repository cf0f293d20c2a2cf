"""What a fold tests is unseen in the way its name says."""

from __future__ import annotations

import numpy as np
import pytest

from scgraph.drugs.screen import read_drug_screen
from scgraph.drugs.splits import drug_folds, wrong_lines
from scgraph.errors import DataError
from tests.drugs.forms import small_screen


def test_a_tested_pair_is_in_no_other_part_in_either_order() -> None:
    table, cells, drugs = small_screen()
    # Half of the rows name their drugs in the other order: it is the same pair.
    flipped = np.arange(len(table)) % 2 == 0
    table.loc[flipped, ["drug_a", "drug_b"]] = table.loc[flipped, ["drug_b", "drug_a"]].to_numpy()
    screen = read_drug_screen(table, cells, drugs)
    seen: list[int] = []
    for fold in drug_folds(screen, "pair", folds=4):
        parts = [{frozenset(pair) for pair in screen.pairs[part].tolist()} for part in (fold.learn, fold.test)]
        assert not parts[0] & parts[1]
        assert not set(screen.pair[fold.train]) & set(screen.pair[fold.validation])
        # The lines of a test row are known: that is what this split does not avoid.
        assert set(screen.line[fold.test]) == set(screen.line[fold.learn])
        seen += fold.test.tolist()
    assert sorted(seen) == list(range(len(screen)))


def test_a_tested_drug_is_in_no_training_row() -> None:
    screen = read_drug_screen(*small_screen())
    tested: set[int] = set()
    for fold in drug_folds(screen, "drug", folds=4):
        known = set(screen.pairs[fold.learn].ravel())
        assert all(not known >= set(pair) for pair in screen.pairs[fold.test].tolist())
        hidden = set(range(len(screen.drugs))) - known
        assert len(hidden) == 2
        validation = set(screen.pairs[fold.validation].ravel()) - set(screen.pairs[fold.train].ravel())
        assert all(validation & set(pair) for pair in screen.pairs[fold.validation].tolist())
        tested |= hidden
    assert tested == set(range(len(screen.drugs)))


def test_a_tested_line_is_in_no_training_row() -> None:
    screen = read_drug_screen(*small_screen())
    tested: list[int] = []
    for fold in drug_folds(screen, "line", folds=3):
        own = set(screen.line[fold.test])
        assert not own & set(screen.line[fold.learn])
        assert not set(screen.line[fold.train]) & set(screen.line[fold.validation])
        assert set(screen.pair[fold.test]) == set(screen.pair[fold.learn])
        tested += own
    assert sorted(tested) == list(range(len(screen.lines)))


@pytest.mark.parametrize("split", ["pair", "drug", "line"])
def test_folds_are_a_function_of_the_seed(split: str) -> None:
    screen = read_drug_screen(*small_screen())
    one, same, other = (drug_folds(screen, split, seed=seed) for seed in (1, 1, 2))
    assert all(
        np.array_equal(a.test, b.test) and np.array_equal(a.train, b.train) for a, b in zip(one, same, strict=True)
    )
    assert any(not np.array_equal(a.test, b.test) for a, b in zip(one, other, strict=True))
    for fold in one:
        rows = np.concatenate([fold.train, fold.validation, fold.test])
        assert len(rows) == len(set(rows.tolist())) == len(screen)


def test_too_few_to_divide() -> None:
    screen = read_drug_screen(*small_screen(lines=4))
    with pytest.raises(DataError, match="4 cell lines cannot be divided into 5 folds"):
        drug_folds(screen, "line")


def test_no_line_keeps_its_own_expression() -> None:
    for seed in range(20):
        wrong = wrong_lines(7, seed=seed)
        assert sorted(wrong) == list(range(7))
        assert (wrong != np.arange(7)).all()
