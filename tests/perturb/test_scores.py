"""Scores, baselines and what the summary makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scgraph.perturb.baselines import additive, kernel_ridge, nearest, ridge, summed
from scgraph.perturb.scores import METRICS, score_changes, summarise
from scgraph.reporting.statistics import paired_difference


def test_scores_are_those_of_scipy() -> None:
    from scipy.stats import pearsonr

    rng = np.random.default_rng(0)
    measured, predicted = rng.normal(size=(2, 3, 50))
    found = score_changes(predicted, measured, top=7)
    for row in range(3):
        most = np.argsort(-abs(measured[row]))[:7]
        assert found["pearson"][row] == pytest.approx(pearsonr(measured[row], predicted[row])[0])
        assert found["pearson_top"][row] == pytest.approx(pearsonr(measured[row, most], predicted[row, most])[0])
        assert found["mse"][row] == pytest.approx(((measured[row] - predicted[row]) ** 2).mean())
        assert found["mae"][row] == pytest.approx(abs(measured[row] - predicted[row]).mean())
        same = set(most) & set(np.argsort(-abs(predicted[row]))[:7])
        assert found["overlap"][row] == pytest.approx(len(same) / 7)
        assert found["mse_top"][row] == pytest.approx(((measured[row, most] - predicted[row, most]) ** 2).mean())


def test_no_change_correlates_with_nothing_and_targets_can_be_left_out() -> None:
    measured = np.asarray([[5.0, 1.0, -1.0, 0.5], [0.0, 2.0, 1.0, 0.0]])
    nothing = score_changes(np.zeros((2, 4)), measured, top=2)
    assert nothing["pearson"].tolist() == [0, 0]
    assert nothing["mse_top"].tolist() == [13, 2.5]
    target = np.zeros((2, 4), dtype=bool)
    target[0, 0] = target[1, 1] = True
    without = score_changes(np.zeros((2, 4)), measured, top=2, left_out=target)
    assert without["mse_top"].tolist() == [1.0, 0.5]


def test_additive_adds_singles_and_falls_back_on_the_mean() -> None:
    genes = [(0,), (1,), (0, 1), (0, 2), (2, 3), (2,)]
    change = np.asarray([[1, 0], [0, 2], [9, 9], [9, 9], [9, 9], [9, 9]], dtype=np.float32)
    predicted = additive(genes, np.asarray([0, 1]), change)
    mean = [0.5, 1.0]
    assert predicted.tolist() == [[1, 0], [0, 2], [1, 2], [1.5, 1.0], mean, mean]


def test_a_double_is_described_by_the_sum_of_its_genes() -> None:
    table = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    found = summed([(0,), (1,), (0, 1), (2,), (2, 3)], table, np.array([0, 1, 3]))
    assert found[:, -1].tolist() == [1, 1, 2, 1, 2]
    assert np.allclose(found[2], found[0] + found[1])
    known = found[[0, 1, 3], :-1]  # the genes of training: centred, and of size 1 on average
    assert np.allclose(known.mean(axis=0), 0)
    assert np.isclose(np.square(known).sum(axis=1).mean(), 1)


def test_ridge_finds_a_linear_map_and_gives_up_on_noise() -> None:
    rng = np.random.default_rng(0)
    table, truth = rng.normal(size=(40, 4)), rng.normal(size=(4, 30))
    genes = [(gene,) for gene in range(40)]
    learn, test = np.arange(30), np.arange(30, 40)
    x = summed(genes, table.astype(np.float32), learn)
    change = (table @ truth + 3).astype(np.float32)
    predicted, penalty = ridge(x, change, learn)
    assert penalty == 0.01
    assert np.corrcoef(predicted[test].ravel(), change[test].ravel())[0, 1] > 0.999
    noise = rng.normal(size=(40, 3000)).astype(np.float32)
    for fit in (ridge, kernel_ridge):
        predicted, penalty = fit(x, noise, learn)
        assert penalty > 10
        assert np.allclose(predicted[test], noise[learn].mean(axis=0), atol=0.1)


def test_descriptions_add_up_over_genes() -> None:
    table = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    x = summed([(1,), (2,), (1, 2), (8,)], table, np.asarray([0, 1]))
    assert np.allclose(x[0] + x[1], x[2])
    assert x[:, -1].tolist() == [1, 1, 2, 1]
    moved = table.copy()
    moved[8] += 100  # not of the training part: it changes nothing for the others
    assert np.array_equal(summed([(1,), (2,), (1, 2), (8,)], moved, np.asarray([0, 1]))[:3], x[:3])


def test_the_summary_compares_with_the_best_baseline() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for seed, names in enumerate((["A", "B", "C"], ["B", "C", "D"])):
        for model, level in (("weak", 0.2), ("strong", 0.5), ("mine", 0.6)):
            for name in names:
                value = level + rng.normal(scale=0.05)
                scores = dict.fromkeys(METRICS, value) | {"mse": 1 - value, "mse_top": 1 - value}
                rows.append({"seed": seed, "model": model, "perturbation": name, "group": "single", **scores})
    results = pd.DataFrame(rows)
    summary = summarise(results, ["weak", "strong"]).set_index("model")
    assert set(summary["pearson_reference"]) == set(summary["mse_reference"]) == {"strong"}
    table = results.pivot_table("pearson", ["perturbation", "seed"], "model")
    means = table.groupby("perturbation").mean()
    expected = paired_difference(means["mine"], means["strong"])
    assert summary.loc["mine", "pearson_difference"] == pytest.approx(expected.mean)
    assert summary.loc["mine", "pearson_difference_low"] == pytest.approx(expected.low)
    assert summary.loc["mine", "pearson_mean"] == pytest.approx(means["mine"].mean())
    assert summary.loc["mine", "perturbations"] == 4
    assert np.isnan(summary.loc["strong", "mse_difference"])
    own = results.pivot_table("pearson", "seed", "model")
    of_seeds = paired_difference(own["mine"], own["strong"])
    assert summary.loc["mine", "pearson_seeds"] == pytest.approx(of_seeds.mean)
    assert summary.loc["mine", "pearson_seeds_high"] == pytest.approx(of_seeds.high)


def test_kernel_ridge_is_that_of_scikit_learn_and_bends_where_ridge_is_straight() -> None:
    from scipy.spatial.distance import pdist
    from sklearn.kernel_ridge import KernelRidge

    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 2)).astype(np.float32)
    x = summed([(gene,) for gene in range(60)], table, np.arange(50))
    change = np.sin(3 * x[:, :1]) * rng.normal(size=(1, 20)) + 0.01 * rng.normal(size=(60, 20))
    learn, test = np.arange(50), np.arange(50, 60)
    predicted, penalty = kernel_ridge(x, change.astype(np.float32), learn)
    centre = change[learn].mean(axis=0)
    by_sklearn = KernelRidge(alpha=penalty, kernel="rbf", gamma=1 / np.median(pdist(x[learn], "sqeuclidean")))
    own = by_sklearn.fit(x[learn], change[learn] - centre).predict(x) + centre
    assert np.corrcoef(own[test].ravel(), predicted[test].ravel())[0, 1] > 0.99
    straight = ridge(x, change.astype(np.float32), learn)[0]
    errors = [float(np.square(one[test] - change[test]).mean()) for one in (predicted, straight)]
    assert errors[0] < errors[1] / 2


def test_the_nearest_perturbation_has_as_many_genes() -> None:
    genes = [(0,), (1,), (2, 3), (4, 5), (6,), (7,)]
    table = np.asarray([[1, 0], [0, 1], [1, 0], [0, 0.1], [0.1, 0], [1, 0.1], [0.1, 1], [0, 0]], dtype=np.float32)
    learn, change = np.arange(3), np.diag([1, 2, 3, 4, 5, 6]).astype(np.float32)
    known = np.asarray([True] * 7 + [False])
    predicted = nearest(summed(genes, table, learn, known), change, learn)
    assert [row.argmax() for row in predicted[[3, 4]]] == [2, 1]
    assert np.allclose(predicted[5], change[learn].mean(axis=0))


def test_discrimination_ranks_the_own_change() -> None:
    changes = np.eye(5) * 3
    found = score_changes(changes[[0, 2]] * 0.9, changes[[0, 2]], among=changes, own=np.asarray([0, 2]))
    assert found["discrimination"].tolist() == [1, 1]
    wrong = score_changes(changes[[1]], changes[[0]], among=changes, own=np.asarray([0]))
    assert wrong["discrimination"].tolist() == [pytest.approx(1.5 / 4)]
    mean = score_changes(np.tile(changes.mean(axis=0), (5, 1)), changes)
    assert mean["discrimination"].tolist() == [0.5] * 5
