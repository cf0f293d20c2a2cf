"""Nearest neighbours: among train cells for the classifier, among all others for purity."""

from __future__ import annotations

import numpy as np
import pytest

from scgraph.bench.uses import neighbors
from scgraph.bench.uses.neighbors import NEIGHBORS, purity
from tests.bench.uses.helpers import GeneValues, make_context, with_features
from tests.helpers import make_cells


def test_test_cells_ask_train_cells_alone() -> None:
    context = make_context(make_cells(n=150))
    test = np.isin(np.arange(150), context.split.test)
    # Test cells lie with their class, far from all train cells, of which those of class 0 are the nearest.
    features = np.where(test, 1000.0 * context.codes, -10.0 * context.codes)[:, None]
    rows = NEIGHBORS.measure(GeneValues(), with_features(context, features))
    assert {row["metric"]: row["value"] for row in rows}["macro_f1"] < 0.4
    separate = np.eye(3)[context.codes]
    values = {row["metric"]: row["value"] for row in NEIGHBORS.measure(GeneValues(), with_features(context, separate))}
    assert values == {"macro_f1": 1.0, "purity": 1.0}


def test_a_cell_is_not_its_own_neighbour() -> None:
    line = np.arange(3, dtype=np.float32)[:, None]
    assert purity(line, np.array([0, 1, 2]), seed=0) == 0.0
    assert purity(line, np.array([0, 1, 1]), seed=0) == pytest.approx(1 / 3)
    same = np.zeros((40, 2), dtype=np.float32)  # a cell need not be the first of its own neighbours
    assert purity(same, np.zeros(40, dtype=int), seed=0) == 1.0
    assert purity(same, np.arange(40), seed=0) == 0.0


def test_distances_are_euclidean_on_the_features_as_they_are() -> None:
    """Four cells of a class differ in a narrow feature; the wide one is noise that outweighs it."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], 50)
    narrow, wide = codes + 0.0, 1000 * rng.normal(size=100)
    assert purity(np.column_stack([narrow, wide]).astype(np.float32), codes, seed=0) < 0.7
    assert purity(np.column_stack([narrow, 0.001 * wide / 1000]).astype(np.float32), codes, seed=0) == 1.0


def test_of_many_cells_some_are_asked_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], 400)
    x = (codes[:, None] + 0.8 * rng.normal(size=(800, 2))).astype(np.float32)
    whole = purity(x, codes, seed=0)
    monkeypatch.setattr(neighbors, "MOST_ASKED", 400)
    assert purity(x, codes, seed=0) != whole
    assert purity(x, codes, seed=0) == pytest.approx(whole, abs=0.05)
