"""The deviance of hidden counts that a prediction explains, against sums written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scgraph.bench.deviance import deviance, explained, shared_out

COUNTS = np.array([[3.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
HIDDEN = np.array([[True, True, True, False], [True, False, True, True], [True, True, True, True]])


def test_shares_are_of_the_hidden_genes_alone() -> None:
    shares = shared_out(np.array([2.0, 1.0, 1.0, 4.0]), HIDDEN)
    np.testing.assert_allclose(shares[0], [0.5, 0.25, 0.25, 0])
    np.testing.assert_allclose(shares[1], [2 / 7, 0, 1 / 7, 4 / 7])
    assert shared_out(np.zeros((3, 4)), HIDDEN).sum() == 0


def test_deviance_is_twice_the_log_likelihood_ratio_to_the_saturated_model() -> None:
    shares = shared_out(np.ones(4), HIDDEN)
    by_hand = 2 * (3 * math.log(3 / (4 / 3)) + 1 * math.log(1 / (4 / 3)))
    np.testing.assert_allclose(deviance(COUNTS, shares), [by_hand, 2 * 2 * math.log(2 / (2 / 3)), 0.0])
    assert deviance(COUNTS, np.zeros((3, 4)))[0] == math.inf


def test_the_gene_means_explain_nothing_and_the_counts_themselves_all() -> None:
    means = shared_out(COUNTS.sum(axis=0) + 0.1, HIDDEN)
    assert explained(COUNTS, means, means) == 0
    assert explained(COUNTS, shared_out(COUNTS, HIDDEN), means) == pytest.approx(1)
    assert explained(COUNTS, shared_out(np.ones(4), HIDDEN), means) < 0
    assert math.isnan(explained(COUNTS[2:], means[2:], means[2:]))
