"""Held-out parts, calibration, thresholds, and the vectors of a model as a classifier that is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scgraph.annotate.calibration import (
    expected_calibration_error,
    fit_temperature,
    held_out_probabilities,
    probabilities,
    unknown_threshold,
)
from scgraph.annotate.candidates import FineTuned, Fixed, model_candidates
from scgraph.annotate.classifier import CellClassifier
from scgraph.annotate.folds import make_folds
from scgraph.annotate.measure import hold_out
from scgraph.annotate.saved import load_classifier, save_classifier
from scgraph.data import CellStore, read_cells
from scgraph.models import load_model
from scgraph.train.finetuning import FinetuneConfig, finetune
from tests.annotate.conftest import reference_cells

if TYPE_CHECKING:
    from pathlib import Path


def test_batches_stay_whole_and_a_class_of_one_batch_is_not_scored() -> None:
    codes = np.r_[np.arange(60) % 3, np.full(6, 3)]
    batches = np.asarray([*(f"d{at // 3 % 4}" for at in range(60)), *["d0"] * 6])
    folds = make_folds(["a", "b", "c", "d"], codes, batches, seed=0)
    assert all(len(np.unique(folds.number[batches == one])) == 1 for one in np.unique(batches))
    assert np.array_equal(folds.known, codes != 3)
    assert "not scored" in folds.how
    assert "'d'" in folds.how
    held_out = np.concatenate([rows for _, rows in folds])
    assert np.array_equal(np.sort(held_out), np.arange(66))
    assert all(not set(train) & set(rows) for train, rows in folds)


def test_one_batch_or_none_is_held_out_at_random_and_small_classes_stand_in_two_parts() -> None:
    codes = np.r_[np.zeros(20, int), np.ones(20, int), np.full(2, 2)]
    folds = make_folds(["a", "b", "c"], codes, np.full(42, "only"), seed=0)
    assert folds.known.all()
    assert len(np.unique(folds.number)) == 5
    assert "one batch only" in folds.how


def calibrated(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the truth, and classes drawn from it."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 3)) * 2
    chances = probabilities(logits, 1.0).cumsum(axis=1)
    return logits, (rng.random(n)[:, None] > chances).sum(axis=1)


def test_the_temperature_undoes_a_factor_and_leaves_probabilities_that_mean_what_they_say() -> None:
    logits, codes = calibrated()
    assert fit_temperature(3 * logits, codes) == pytest.approx(3, rel=0.1)
    wrong = probabilities(3 * logits, 1.0)
    mended = held_out_probabilities(3 * logits, codes, np.arange(len(codes)) % 5)
    errors = [expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == codes) for p in (wrong, mended)]
    assert errors[0] > 0.1
    assert errors[1] < 0.03


def test_calibration_error_and_threshold_are_what_they_are_defined_as() -> None:
    probability = np.repeat([0.95, 0.55], 10)
    right = np.r_[np.ones(10, bool), np.arange(10) < 3]
    assert expected_calibration_error(probability, right) == pytest.approx((0.05 + 0.25) / 2)
    assert unknown_threshold(np.linspace(0, 1, 101), np.ones(101, bool)) == pytest.approx(0.01)
    assert unknown_threshold(probability, np.zeros(20, bool)) == 0


def test_no_cell_is_labelled_by_a_classifier_that_has_seen_it() -> None:
    """Labels of noise can be learned by heart, and are not told on held-out cells."""
    rng = np.random.default_rng(0)
    x, codes = rng.normal(size=(120, 60)).astype(np.float32), np.arange(120) % 2
    folds = make_folds(["a", "b"], codes, None, seed=0)
    measured = hold_out("noise", lambda train: x, codes, folds, classes=2)
    fitted = measured.fit(x, codes)
    assert measured.scores["accuracy"] < 0.7
    assert (fitted.predict(x) == codes).mean() > measured.scores["accuracy"]


def test_fine_tuning_moves_the_last_layers_alone_and_the_same_way_each_time(folder: Path) -> None:
    saved = load_model(folder / "model")
    cells = read_cells(reference_cells(), label="cell_type")
    store, codes = CellStore.from_cells(cells, saved.vocabulary), np.asarray(cells.labels.codes, dtype=np.int64)
    before = {name: weights.clone() for name, weights in saved.model.state_dict().items()}
    rows = np.arange(len(codes))
    tuned = [
        finetune(
            saved.model,
            store,
            codes,
            train=rows[:150],
            validation=rows[150:],
            classes=3,
            training=saved.training(),
            config=FinetuneConfig(max_steps=9, learning_rate=1e-2),
            device="cpu",
        ).state_dict()
        for _ in range(2)
    ]
    assert all(torch.equal(weights, before[name]) for name, weights in saved.model.state_dict().items())
    assert all(torch.equal(weights, tuned[1][name]) for name, weights in tuned[0].items())
    moved = {name.split(".")[0] for name, weights in tuned[0].items() if not torch.equal(weights, before[name])}
    assert "blocks" in moved
    assert moved <= {"blocks", "norm", "readout", "pooled_readout", "cell_layers"}


def test_a_classifier_on_a_fine_tuned_model_is_saved_with_it(folder: Path, tmp_path: Path) -> None:
    saved = load_model(folder / "model")
    cells = read_cells(reference_cells(), label="cell_type")
    codes = np.asarray(cells.labels.codes, dtype=np.int64)
    frozen, tuned = model_candidates(saved, cells, codes, own_totals=False, seed=0, device="cpu")
    assert isinstance(frozen, Fixed)
    assert isinstance(tuned, FineTuned)
    folds = make_folds(["a", "b\tc", "d"], codes, None, seed=0)
    measured = hold_out(frozen.name, frozen.features, codes, folds, classes=3)
    features, x = tuned.final()
    assert not np.array_equal(x, frozen.x)
    classifier = CellClassifier(
        tuned.name,
        features,
        measured.fit(x, codes),
        ("a", "b\tc", "d"),
        measured.temperature,
        0.5,
        measured.novelty(x, codes),
        0.9,
        {},
    )
    save_classifier(tmp_path / "classifier", classifier, model=saved)
    again = load_classifier(tmp_path / "classifier", device="cpu")
    ours, theirs = (one.predict([cells], len(cells)) for one in (classifier, again))
    assert np.array_equal(ours.probability, theirs.probability)
    assert np.array_equal(ours.novelty, theirs.novelty)
    assert again.max_novelty == 0.9
    assert again.classes == ("a", "b\tc", "d")
    assert {path.suffix for path in (tmp_path / "classifier").rglob("*") if path.is_file()} == {
        ".json",
        ".md",
        ".safetensors",
        ".tsv",
    }
