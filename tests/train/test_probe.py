"""The linear probe: it learns, it is fair, and it refuses what it cannot use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from scgraph.config import ProbeConfig
from scgraph.errors import ConfigError, DataError
from scgraph.train import linear_probe
from scgraph.train.probe import _macro_f1

CLASSES = 3
Parts = dict[str, Any]


@pytest.fixture
def parts() -> Parts:
    """Three overlapping clouds."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, 400)
    x = (2.0 * rng.normal(size=(CLASSES, 8))[y] + rng.normal(size=(400, 8))).astype(np.float32)
    return {
        "train_x": x[:200], "train_y": y[:200], "validation_x": x[200:300], "validation_y": y[200:300],
        "test_x": x[300:], "test_y": y[300:],
    }  # fmt: skip


def probe(parts: Parts, *, seed: int = 0, **config: Any) -> Any:
    given = {key: value for key, value in parts.items() if key != "test_y"}
    return linear_probe(
        **given, config=ProbeConfig(**{"kind": "adam", "epochs": 15} | config), classes=CLASSES, seed=seed
    )


def test_it_finds_the_classes_and_says_when(parts: Parts) -> None:
    result = probe(parts)
    assert (result.test_predictions == parts["test_y"]).mean() > 0.7  # .98 here, .81 to 1 for seven other clouds
    assert result.history.columns.tolist() == ["epoch", "train_loss", "validation_loss", "validation_macro_f1"]
    best = result.history["validation_macro_f1"] == result.history["validation_macro_f1"].max()
    assert result.best_epoch == result.history[best]["validation_loss"].idxmin()


def test_the_weights_are_those_of_the_best_epoch(parts: Parts) -> None:
    # What the train part teaches is wrong for these validation cells: the less is learned of it, the better.
    turned = parts | {"validation_y": (parts["validation_y"] + 1) % CLASSES}
    result = probe(turned)
    assert result.best_epoch < 10
    assert probe(parts).best_epoch > 0
    for given in (turned, parts):
        longer = probe(given)
        shorter = probe(given, epochs=longer.best_epoch + 1)
        assert shorter.best_epoch == longer.best_epoch
        assert np.array_equal(shorter.test_predictions, longer.test_predictions)
    assert (result.test_predictions == probe(parts).test_predictions).mean() < 0.9


def test_weight_decay_shrinks_the_weights(parts: Parts) -> None:
    free, decayed = (probe(parts, weight_decay=decay).history.iloc[-1] for decay in (0.0, 100.0))
    # At 5e-3 · 100 every step halves the weights, so all classes stay about as likely.
    assert free["train_loss"] < 0.6 * np.log(CLASSES)
    assert decayed["train_loss"] > 0.9 * np.log(CLASSES)


def test_the_seed_decides_and_nothing_else(parts: Parts) -> None:
    torch.manual_seed(1)
    first = probe(parts, seed=1)
    state = torch.get_rng_state()
    second, other = probe(parts, seed=1), probe(parts, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.history.equals(second.history)
    assert not first.history.equals(other.history)


def test_scale_and_shift_of_the_features_do_not_matter(parts: Parts) -> None:
    moved = parts | {key: parts[key] * 1000 + 5000 for key in ("train_x", "validation_x", "test_x")}
    np.testing.assert_allclose(probe(moved).history["train_loss"], probe(parts).history["train_loss"], rtol=1e-3)


def test_a_constant_feature_does_no_harm(parts: Parts) -> None:
    wide = {key: np.hstack([parts[key], np.ones((len(parts[key]), 1))]) for key in parts if key.endswith("x")}
    assert np.isfinite(probe(parts | wide).history.to_numpy()).all()


def test_the_test_part_has_no_influence(parts: Parts) -> None:
    assert probe(parts).history.equals(probe(parts | {"test_x": parts["test_x"] * -3}).history)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for classes in (2, 5, 9):
        true, guess = rng.integers(0, classes - 1, 30), rng.integers(0, classes, 30)
        assert _macro_f1(true, guess, classes) == pytest.approx(f1_score(true, guess, average="macro"))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"train_x": np.zeros((0, 8))}, DataError, "train part"),
        ({"validation_x": np.zeros((100, 7))}, DataError, "validation part"),
        (
            {"test_x": np.full((5, 8), np.nan)},
            DataError,
            "test part of the probe holds NaN or Inf, first in row 0",
        ),
        ({"validation_y": np.zeros(3, int)}, DataError, "100 cells and 3 classes"),
        ({"train_y": np.full(200, 3)}, ConfigError, "outside 0 to 2"),
    ],
)
def test_what_it_cannot_use_is_named(parts: Parts, change: Parts, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        probe(parts | change)
