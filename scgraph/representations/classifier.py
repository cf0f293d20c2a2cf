"""The classifier of every representation: logistic regression, scaling and penalty chosen on the validation part."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from scgraph.display import short_repr
from scgraph.reporting.statistics import score
from scgraph.train.probe import check_parts, linear_probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from scgraph.config import ProbeConfig

__all__ = [
    "INVERSE_PENALTIES",
    "SCALINGS",
    "Classifier",
    "Probed",
    "Scaling",
    "fit_classifier",
    "fit_path",
    "fit_probe",
    "mean_log_probability",
]

INVERSE_PENALTIES = tuple(10.0**power for power in range(-4, 5))
"""C of scikit-learn, from the strongest penalty to hardly any; above, on few validation cells, only chance decides."""

Scaling = Literal["global", "columns"]
SCALINGS: tuple[Scaling, ...] = ("global", "columns")
"""In the order that ties are decided in."""


@short_repr
@dataclass(frozen=True, eq=False)
class Classifier:
    """A linear classifier of features: the code of the largest of ``((x - m) / s) W + b``.

    Attributes:
        centre: m, means of the train part `[C]`.
        scale: s, one number a column `[C]`.
        weights: W, float64 `[C, K]`.
        bias: b, `[K]`.
        codes: class codes of the K columns, those that the train part has.
        inverse_penalty: C of scikit-learn that was chosen.
        scaling: "columns" where s are the standard deviations of the columns, "global" where it is one number.
        validation_macro_f1: what the choice reached on the validation part; NaN where nothing was chosen.
        validation_log_likelihood: mean over its cells, in nats; what the choice was made by.
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    codes: NDArray[np.int64]
    inverse_penalty: float
    scaling: Scaling
    validation_macro_f1: float = math.nan
    validation_log_likelihood: float = math.nan

    @property
    def note(self) -> str:
        """One phrase on what was chosen."""
        return f"C = {self.inverse_penalty:g}, {self.scaling} scaling"

    def predict(self, x: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the class code of every cell, `[n]`, from features `[n, C]`."""
        predictions: NDArray[np.int64] = self.codes[self.logits(x).argmax(axis=1)]
        return predictions

    def logits(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return ``((x - m) / s) W + b`` of every cell, `[n, K]`, a column a class of `codes`."""
        logits: NDArray[np.float64] = ((x - self.centre) / self.scale) @ self.weights + self.bias
        return logits

    def log_likelihood(self, x: NDArray[np.floating], y: ArrayLike) -> float:
        """Return the mean of ``log softmax(logits)_y`` over cells, in nats.

        Cells of a class that `codes` lacks are left out: no classifier of the same train part gives them a
        probability. NaN where no other cell is left.
        """
        from scipy.special import log_softmax

        return mean_log_probability(log_softmax(self.logits(np.asarray(x)), axis=1), self.codes, y)


def mean_log_probability(log_probabilities: NDArray[np.float64], codes: NDArray[np.int64], y: ArrayLike) -> float:
    """Return the mean log probability of the right class over cells, in nats.

    Args:
        log_probabilities: a row a cell, a column a class `[n, K]`.
        codes: class codes of the columns, ascending `[K]`.
        y: class code of every cell `[n]`; cells of another class are left out. NaN is returned where no cell is left.
    """
    y = np.asarray(y, np.int64)
    usable = np.isin(y, codes)
    if not usable.any():
        return math.nan
    own = log_probabilities[usable, np.searchsorted(codes, y[usable])]
    return float(own.mean())


def fit_classifier(
    train_x: NDArray[np.floating],
    train_y: ArrayLike,
    validation_x: NDArray[np.floating],
    validation_y: ArrayLike,
    *,
    classes: int,
    penalties: Sequence[float] = INVERSE_PENALTIES,
) -> Classifier:
    """Fit a multinomial logistic regression on features, whatever they come from.

    Features are centred on the train part and divided by one number a column (its standard deviation) or by one
    number in all (the root of the mean variance): the first listens to every column alike, the second to the wide
    ones more. The scaling and the penalty with the highest likelihood of the validation part are taken
    (`Classifier.log_likelihood`); on a tie the strongest penalty, then the one number. The regression is fitted on the
    train part alone. Macro-F1 would be the criterion of the test part, but it moves by whole cells: on the hundred or
    two of a validation part, one cell of a small class decides, and equal features come out points apart.

    Every penalty starts where the stronger one ended (Newton's method, its steps solved by conjugate gradients): the
    whole choice takes .35 s for 2,000 cells, 64 features and 10 classes on one core.

    Args:
        train_x: features `[n_train, C]`.
        train_y: class codes, 0 to ``classes - 1``, `[n_train]`; a class may lack.
        validation_x: features `[n_validation, C]`.
        validation_y: class codes `[n_validation]`.
        classes: number of classes.
        penalties: C of scikit-learn to choose among, ascending.

    Raises:
        ConfigError: fewer than two classes, or a code outside of them.
        DataError: a part is empty, lengths differ, or a feature is not finite.
    """
    check_parts({"train": (train_x, train_y), "validation": (validation_x, validation_y)}, classes)
    fitted = [
        replace(one, validation_log_likelihood=one.log_likelihood(validation_x, validation_y))
        for scaling in SCALINGS
        for one in fit_path(train_x, train_y, scaling=scaling, penalties=penalties)
    ]
    # The first of equals stands: stronger penalties first, then the order of the scalings.
    best = max(
        sorted(fitted, key=lambda one: (one.inverse_penalty, SCALINGS.index(one.scaling))),
        key=lambda one: one.validation_log_likelihood,
    )
    return replace(best, validation_macro_f1=score(validation_y, best.predict(validation_x))["macro_f1"])


def fit_path(
    x: NDArray[np.floating], y: ArrayLike, *, scaling: Scaling, penalties: Sequence[float] = INVERSE_PENALTIES
) -> list[Classifier]:
    """Fit one regression a penalty, as `fit_classifier` does, and choose none.

    Args:
        x: features `[n, C]`, finite.
        y: class codes `[n]`.
        scaling: how the features are scaled.
        penalties: C of scikit-learn, ascending.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    x, y = np.array(x, np.float64), np.asarray(y, np.int64)  # a copy, that is scaled in place
    centre = x.mean(axis=0)
    deviations = x.std(axis=0)
    scale = np.full_like(deviations, np.sqrt(np.mean(deviations**2))) if scaling == "global" else deviations
    # What varies by less than the rounding of its values is constant: divided by it, noise would be a feature.
    scale = np.where(scale > np.finfo(np.float32).eps * np.abs(centre), scale, 1.0)
    x -= centre
    x /= scale
    codes = np.unique(y)
    regression = LogisticRegression(solver="newton-cg", warm_start=True, max_iter=500)
    fitted = []
    # These products are small: threads of the linear algebra library cost ten times what they give.
    with threadpool_limits(1):
        for penalty in penalties:
            if len(codes) == 1:
                weights, bias = np.zeros((x.shape[1], 1)), np.zeros(1)
            else:
                regression.set_params(C=penalty).fit(x, y)
                weights, bias = regression.coef_.T.copy(), regression.intercept_.copy()
                if len(codes) == 2:  # one column, of the second class against the first
                    weights = np.concatenate([np.zeros_like(weights), weights], axis=1)
                    bias = np.concatenate([np.zeros_like(bias), bias])
            fitted.append(Classifier(centre, scale, weights, bias, codes, penalty, scaling))
    return fitted


@dataclass(frozen=True, eq=False)
class Probed:
    """What a probe of features found: predicted codes of the test part `[n_test]`, and how its choice was made.

    Attributes:
        test_predictions: class codes.
        validation_macro_f1: what the choice reached on the validation part.
        chosen: columns of a row of results that say what was chosen.
        classifier: what predicts; None for the paper's probe, which keeps no weights.
    """

    test_predictions: NDArray[np.int64]
    validation_macro_f1: float
    chosen: dict[str, float | str]
    classifier: Classifier | None


def fit_probe(
    train_x: NDArray[np.floating],
    train_y: ArrayLike,
    validation_x: NDArray[np.floating],
    validation_y: ArrayLike,
    test_x: NDArray[np.floating],
    config: ProbeConfig,
    *,
    classes: int,
    seed: int,
) -> Probed:
    """Fit the probe that the settings name on frozen features: `fit_classifier`, or the paper's `linear_probe`.

    Args and errors are those of `linear_probe`.
    """
    known = (train_x, train_y, validation_x, validation_y)
    if config.kind == "adam":
        found = linear_probe(*known, test_x, config, classes=classes, seed=seed)
        return Probed(found.test_predictions, float(found.history["validation_macro_f1"].max()), {}, None)
    check_parts({"train": (train_x, train_y), "test": (test_x, None)}, classes)
    fitted = fit_classifier(*known, classes=classes)
    chosen: dict[str, float | str] = {"inverse_penalty": fitted.inverse_penalty, "scaling": fitted.scaling}
    return Probed(fitted.predict(test_x), fitted.validation_macro_f1, chosen, fitted)
