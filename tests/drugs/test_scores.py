"""Scores of predictions, and what folds say together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scgraph.drugs.scores import FLOOR, WRONG, score_rows, summarise


def test_scores_by_hand() -> None:
    score = np.asarray([20.0, -5.0, 5.0, 12.0, -1.0, 3.0])
    guess = np.asarray([3.0, 1.0, 9.0, 0.5, 0.0, -9.0])
    found = score_rows(score, guess, np.asarray([0, 0, 0, 1, 1, 1]))
    # Labels 1, 0, none, 1, 0, none: of the four pairs of a one and a zero three are in order.
    assert found["auroc"] == pytest.approx(0.75)
    # In the order of the guesses 3, 1, .5, 0: one, zero, one, zero.
    assert found["auprc"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["pearson"] == pytest.approx(np.corrcoef(score, guess)[0, 1])
    parts = [np.corrcoef(score[rows], guess[rows])[0, 1] for rows in (slice(3), slice(3, 6))]
    assert found["within_pair"] == pytest.approx(np.mean(parts))


def test_the_level_of_a_pair_does_not_enter_within_it() -> None:
    rng = np.random.default_rng(0)
    pair = np.repeat(np.arange(30), 6)
    score = 50.0 * pair + rng.normal(size=len(pair))
    found = score_rows(score, 50.0 * pair, pair)
    assert found["pearson"] > 0.999
    assert found["within_pair"] == 0.0


def test_a_guess_that_does_not_vary_and_one_label() -> None:
    score = np.asarray([20.0, -5.0, 15.0])
    found = score_rows(score, np.full(3, 0.1 + 0.2), np.zeros(3, dtype=int))
    assert (found["pearson"], found["auroc"], found["within_pair"]) == (0.0, 0.5, 0.0)
    alone = score_rows(np.asarray([20.0, 30.0]), np.asarray([1.0, 2.0]), np.asarray([0, 1]))
    assert np.isnan([alone["auroc"], alone["auprc"], alone["within_pair"]]).all()


def test_a_model_stands_beside_the_best_baseline_and_beside_wrong_lines() -> None:
    values = {FLOOR: [0.0, 0.0, 0.0], "ridge": [0.2, 0.3, 0.4], "gnn": [0.5, 0.5, 0.8], f"gnn{WRONG}": [0.4, 0.5, 0.6]}
    rows = [
        {"fold": fold, "model": name, **dict.fromkeys(("pearson", "auroc", "auprc", "within_pair"), own[fold])}
        for name, own in values.items()
        for fold in range(3)
    ]
    found = summarise(pd.DataFrame(rows), (FLOOR, "ridge")).set_index("model")
    assert found.loc["gnn", "pearson_mean"] == pytest.approx(0.6)
    assert found.loc["gnn", "pearson_reference"] == "ridge"
    assert found.loc["gnn", "pearson_difference"] == pytest.approx(0.3)
    assert found.loc["gnn", "within_pair_wrong"] == pytest.approx(0.1)
    assert found.loc["gnn", "within_pair_wrong_low"] < 0 < found.loc["gnn", "within_pair_wrong_high"]
    assert np.isnan(found.loc["ridge", "pearson_difference"])
    assert np.isnan(found.loc["ridge", "within_pair_wrong"])
