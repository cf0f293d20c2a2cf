"""One classifier for every representation: what it chooses, on what, and that it reaches what scikit-learn does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from scgraph.config import ProbeConfig
from scgraph.errors import ConfigError, DataError
from scgraph.reporting.statistics import score
from scgraph.representations.classifier import INVERSE_PENALTIES, fit_classifier, fit_probe
from scgraph.train import linear_probe

if TYPE_CHECKING:
    from numpy.typing import NDArray


def classes_of(count: int, *, classes: int = 3, channels: int = 8, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Noisy classes in features whose columns differ a hundredfold in width."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, count)
    x = rng.normal(size=(count, channels)) + 2.0 * np.eye(channels)[y]
    return (x * np.geomspace(10, 0.1, channels) + 5).astype(np.float32), y


def test_it_is_the_regression_of_the_chosen_penalty_and_scaling() -> None:
    x, y = classes_of(900)
    fitted = fit_classifier(x[:300], y[:300], x[300:600], y[300:600], classes=3)
    scale = x[:300].std(0) if fitted.scaling == "columns" else np.sqrt(x[:300].var(0).mean())
    alone = LogisticRegression(C=fitted.inverse_penalty, solver="newton-cholesky", tol=1e-8)
    alone.fit((x[:300] - x[:300].mean(0)) / scale, y[:300])
    expected = alone.predict((x[600:] - x[:300].mean(0)) / scale)
    assert (fitted.predict(x[600:]) == expected).mean() > 0.99
    reached = score(y[300:600], fitted.predict(x[300:600]))["macro_f1"]
    assert fitted.validation_macro_f1 == reached
    assert f"C = {fitted.inverse_penalty:g}, {fitted.scaling} scaling" == fitted.note


def test_the_validation_part_chooses_the_penalty() -> None:
    """Validation cells labelled with the probabilities of one penalty make it the likeliest."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 120)
    x = rng.normal(size=(4120, 20)) + 0.6 * np.eye(20)[rng.integers(0, 3, 4120)]
    z = (x - x[:120].mean(0)) / x[:120].std(0)
    for penalty in (1e-4, 0.1, 1e3):
        drawing = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-8).fit(z[:120], y)
        chances = drawing.predict_proba(z[120:]).cumsum(axis=1)
        labels = (rng.random((4000, 1)) > chances).sum(axis=1)
        fitted = fit_classifier(x[:120], y, x[120:], labels, classes=3)
        if penalty < 1e3:
            assert fitted.inverse_penalty == pytest.approx(penalty)
        else:  # hardly any penalty is like none
            assert fitted.inverse_penalty >= 100


def test_the_likelihood_is_that_of_scikit_learn_without_classes_never_seen() -> None:
    x, y = classes_of(400, classes=4)
    known = y[:200] != 1
    fitted = fit_classifier(x[:200][known], y[:200][known], x[200:], y[200:], classes=4)
    probabilities = softmax(fitted.logits(x[200:]), axis=1)
    usable = y[200:] != 1
    expected = -log_loss(y[200:][usable], probabilities[usable], labels=[0, 2, 3])
    assert fitted.validation_log_likelihood == pytest.approx(expected)
    assert fitted.log_likelihood(x[200:], y[200:]) == pytest.approx(expected)
    assert np.isnan(fitted.log_likelihood(x[:1], [1]))


@pytest.mark.parametrize("wide", [True, False])
def test_the_validation_part_chooses_the_scaling(wide: bool) -> None:
    """Classes in the wide one of two hundred columns need one scale for all; in a narrow one, a scale a column."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1500)
    x = rng.normal(size=(1500, 200 if wide else 4))
    x[:, 0] += 3.0 * y
    x[:, 0] *= 30 if wide else 1e-4
    fitted = fit_classifier(x[:100], y[:100], x[100:900], y[100:900], classes=2)
    assert fitted.scaling == ("global" if wide else "columns")
    assert score(y[900:], fitted.predict(x[900:]))["accuracy"] > 0.9


def test_ties_go_to_the_strongest_penalty_then_to_one_scale() -> None:
    x, y = classes_of(200, classes=2)
    fitted = fit_classifier(x, np.zeros(200, int), x[:9], y[:9] * 0, classes=2)  # of one class all are sure
    assert fitted.validation_macro_f1 == 1
    assert fitted.validation_log_likelihood == 0
    assert fitted.inverse_penalty == min(INVERSE_PENALTIES)
    assert fitted.scaling == "global"


def test_strong_and_weak_penalties_are_both_chosen() -> None:
    """Labels that follow a faint direction need a weak penalty, labels that are mostly noise a strong one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 20))
    base = x[:, 0] + 0.01 * x[:, 1]
    sharp = (x[:, 0] + x[:, 1:5].sum(axis=1) > 0).astype(int)
    noisy = np.where(rng.random(600) < 0.4, rng.integers(0, 2, 600), (base > 0).astype(int))
    chosen = {
        name: fit_classifier(x[:60], y[:60], x[60:], y[60:], classes=2).inverse_penalty
        for name, y in (("sharp", sharp), ("noisy", noisy))
    }
    assert chosen["noisy"] < chosen["sharp"]


def test_classes_may_lack_in_the_train_part() -> None:
    x, y = classes_of(300, classes=4)
    known = y[:200] != 1
    fitted = fit_classifier(x[:200][known], y[:200][known], x[200:], y[200:], classes=4)
    assert set(fitted.predict(x)) == {0, 2, 3}
    only = np.zeros(20, dtype=int)
    assert set(fit_classifier(x[:20], only, x[200:], y[200:], classes=4).predict(x)) == {0}


def test_a_feature_that_varies_by_rounding_alone_changes_nothing() -> None:
    x, y = classes_of(600)
    constant = np.full((600, 1), 1e3, np.float32)
    constant[::7] = np.nextafter(constant[0], np.float32(2e3))
    constant[300:] += 0.05  # a thousand times as much
    wider = np.concatenate([x, constant], axis=1)
    plain, other = (fit_classifier(v[:200], y[:200], v[200:300], y[200:300], classes=3) for v in (x, wider))
    assert (plain.predict(x[300:]) == other.predict(wider[300:])).mean() > 0.99


def test_what_cannot_be_probed_is_refused() -> None:
    x, y = classes_of(60)
    for config in (ProbeConfig(), ProbeConfig(kind="adam", epochs=1)):
        with pytest.raises(ConfigError, match="two classes"):
            fit_probe(x, y * 0, x, y * 0, x, config, classes=1, seed=0)
        with pytest.raises(DataError, match="validation part of the probe has the shape"):
            fit_probe(x, y, x[:0], y[:0], x, config, classes=3, seed=0)
        with pytest.raises(DataError, match="test part of the probe holds NaN"):
            fit_probe(x, y, x, y, np.full_like(x, np.nan), config, classes=3, seed=0)


def test_the_paper_probe_can_be_asked_for() -> None:
    x, y = classes_of(300)
    known = (x[:100], y[:100], x[100:200], y[100:200], x[200:])
    config = ProbeConfig(kind="adam", epochs=4)
    found = fit_probe(*known, config, classes=3, seed=1)
    alone = linear_probe(*known, config, classes=3, seed=1)
    assert np.array_equal(found.test_predictions, alone.test_predictions)
    assert found.validation_macro_f1 == alone.history["validation_macro_f1"].max()
    assert found.chosen == {}
    assert set(fit_probe(*known, ProbeConfig(), classes=3, seed=1).chosen) == {"inverse_penalty", "scaling"}


def test_a_choice_takes_no_time() -> None:
    x, y = classes_of(2400, classes=10, channels=64)
    start = time.process_time()
    fit_classifier(x[:2000], y[:2000], x[2000:], y[2000:], classes=10)
    assert time.process_time() - start < 5  # about .3 s; a minute with steps of the whole Hessian at each penalty
