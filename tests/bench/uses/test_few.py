"""Few labels: which cells are learned from, and that the others are not looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.linear_model

from scgraph.bench.uses.few import DRAWS, FEW, LABELS, draw_labelled
from tests.bench.uses.helpers import GeneValues, make_context, with_features
from tests.helpers import make_cells


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """Features and codes that regressions learned from, in order."""
    seen: list[tuple[Any, Any]] = []

    class Watched(sklearn.linear_model.LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            seen.append((np.array(X), np.array(y)))
            return super().fit(X, y, sample_weight)

    monkeypatch.setattr(sklearn.linear_model, "LogisticRegression", Watched)
    return seen


def test_a_regression_learns_from_so_many_train_cells_of_each_class(fitted: list[tuple[Any, Any]]) -> None:
    context = make_context(make_cells(n=150))
    fitted.clear()
    # Every cell is told from the others by its first feature, which is its number.
    features = np.column_stack([np.arange(150), np.random.default_rng(0).normal(size=150)])
    rows = FEW.measure(GeneValues(), with_features(context, features))
    assert [(row["level"], row["draw"]) for row in rows] == [
        (str(labels), str(draw)) for labels in LABELS for draw in range(DRAWS)
    ]
    train = features[context.split.train]
    scale = np.sqrt(train.var(0).mean())
    picked = [np.rint(x[:, 0] * scale + train[:, 0].mean()).astype(int) for x, _ in fitted]
    for cells, (_, codes), row in zip(picked, fitted, rows, strict=True):
        assert set(cells) <= set(context.split.train)
        assert np.bincount(codes).tolist() == [int(row["level"])] * 3
        assert np.array_equal(codes, context.codes[cells])
    assert len({tuple(cells) for cells in picked}) == len(picked)  # each draw another one


def test_neither_features_nor_labels_of_the_test_part_change_what_is_learned(fitted: list[tuple[Any, Any]]) -> None:
    context = make_context(make_cells(n=150))
    fitted.clear()
    FEW.measure(GeneValues(), context)
    before, other = fitted[:], context.features.copy()
    fitted.clear()
    other[context.split.test] *= 1000
    other[context.split.validation] *= -7
    codes = context.probe.codes.copy()
    codes[context.split.test] = 0
    context.probe.codes[:] = codes
    FEW.measure(GeneValues(), with_features(context, other))
    for (x, y), (again_x, again_y) in zip(before, fitted, strict=True):
        assert np.array_equal(x, again_x)
        assert np.array_equal(y, again_y)


def test_one_scale_for_all_features_keeps_the_small_ones_small(fitted: list[tuple[Any, Any]]) -> None:
    context = make_context(make_cells())
    fitted.clear()
    narrow = context.features * np.where(np.arange(context.features.shape[1]) == 0, 1e-3, 1)
    FEW.measure(GeneValues(), with_features(context, narrow))
    assert max(float(np.abs(x[:, 0]).max()) for x, _ in fitted) < 0.01 * min(float(x.std()) for x, _ in fitted)


def test_a_class_with_fewer_cells_gives_all_and_more_labels_hold_the_cells_of_fewer() -> None:
    codes = np.repeat([0, 1, 2], [40, 7, 30])
    five, ten, twenty = (draw_labelled(codes, labels, seed=3, draw=1) for labels in (5, 10, 20))
    assert [np.bincount(codes[rows]).tolist() for rows in (five, ten, twenty)] == [[5] * 3, [10, 7, 10], [20, 7, 20]]
    assert set(five) < set(ten) < set(twenty)
    assert not np.array_equal(five, draw_labelled(codes, 5, seed=3, draw=2))
    assert not np.array_equal(five, draw_labelled(codes, 5, seed=4, draw=1))


def test_labels_that_can_be_told_apart_are() -> None:
    rows = FEW.measure(GeneValues(), make_context(make_cells(n=150)))
    assert np.mean([row["value"] for row in rows]) > 0.9
    shuffled = make_cells(n=150)
    shuffled.obs["cell_type"] = np.random.default_rng(0).permutation(shuffled.obs["cell_type"])
    rows = FEW.measure(GeneValues(), make_context(shuffled))
    assert np.mean([row["value"] for row in rows]) < 0.5
