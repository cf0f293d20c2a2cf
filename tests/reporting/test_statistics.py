"""Scores against values worked out by hand, intervals against scipy's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from scgraph.reporting.statistics import mean_sd, paired_difference, score


def test_score_by_hand() -> None:
    # class 0: recall 1, precision 2/3, F1 0.8; class 1: recall 1/2, precision 1, F1 2/3; class 2 never predicted
    found = score([0, 0, 1, 1, 2], [0, 0, 1, 0, 1])
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found["macro_f1"] == pytest.approx((2 * 2 / 5 + 2 * 1 / 4 + 0) / 3)


def test_a_class_that_is_only_predicted_does_not_change_the_number_of_classes() -> None:
    found = score([0, 0, 1, 1], [0, 2, 1, 1])
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["balanced_accuracy"] == pytest.approx(3 / 4)


def test_score_refuses_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="equally long"):
        score([0, 1], [0])


def test_mean_sd() -> None:
    found = mean_sd([1.0, 2.0, 4.0, math.nan])
    assert (found.mean, found.n) == (pytest.approx(7 / 3), 3)
    assert found.sd == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert math.isnan(mean_sd([1.0]).sd)


def test_paired_interval_is_scipys() -> None:
    model, reference = np.array([0.81, 0.83, 0.79, 0.82]), np.array([0.80, 0.80, 0.80, 0.80])
    found = paired_difference(model, reference)
    interval = stats.ttest_rel(model, reference).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    lower = stats.ttest_1samp(model - reference, -0.01, alternative="greater").pvalue
    upper = stats.ttest_1samp(model - reference, 0.01, alternative="less").pvalue
    assert found.p_equivalence == pytest.approx(max(lower, upper))
    assert found.equivalent is False


def test_equivalent_where_differences_are_tiny() -> None:
    found = paired_difference([0.801, 0.799, 0.8005, 0.7995], [0.8] * 4)
    assert found.equivalent is True
    assert paired_difference([0.83, 0.831, 0.829], [0.8] * 3).equivalent is False


def test_one_seed_has_no_interval() -> None:
    found = paired_difference([0.9], [0.8])
    assert found.mean == pytest.approx(0.1)
    assert math.isnan(found.low)
    assert found.equivalent is None
    assert "n = 1" in found.note


def test_zero_variance_decides_by_the_margin() -> None:
    near, far = paired_difference([0.8, 0.8], [0.8, 0.8]), paired_difference([0.9, 0.9], [0.8, 0.8])
    assert (near.low, near.high, near.equivalent) == (0.0, 0.0, True)
    assert far.equivalent is False
    assert "no width" in far.note
