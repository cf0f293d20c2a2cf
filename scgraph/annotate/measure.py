"""What a candidate reaches on held-out cells of the reference, and what becomes of classes that nobody taught it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.annotate.calibration import (
    GIVEN_UP_AS_NEW,
    expected_calibration_error,
    fit_temperature,
    held_out_probabilities,
    probabilities,
    unknown_threshold,
)
from scgraph.annotate.novelty import ClassDensities, NoveltyScale
from scgraph.errors import DataError
from scgraph.reporting.statistics import score
from scgraph.representations.classifier import INVERSE_PENALTIES, SCALINGS, fit_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from scgraph.annotate.folds import Folds
    from scgraph.representations.classifier import Classifier, Scaling

__all__ = ["Measured", "expanded", "hold_out", "leave_classes_out"]

_MOST_CELLS = 5000
"""Cells that a classifier learns from where a class is left out, drawn where there are more."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A candidate on the held-out cells of the reference.

    Attributes:
        name: of the candidate.
        scaling: of its features, that with the best macro-F1, as is the penalty.
        inverse_penalty: C of scikit-learn.
        scores: accuracy, balanced accuracy and macro-F1 of all labels.
        temperature: of its logits.
        threshold: probability below which a cell is unknown.
        ratios: how unlike its classes each rightly labelled held-out cell is, see `ClassDensities`.
        calibration_error: of probabilities at temperatures that other cells asked for.
        cells: how many were scored.
        unknown: share of these cells that end as unknown.
        accuracy_known: share of right labels among the others.
    """

    name: str
    scaling: Scaling
    inverse_penalty: float
    scores: dict[str, float]
    temperature: float
    threshold: float
    ratios: NDArray[np.float64]
    calibration_error: float
    cells: int
    unknown: float
    accuracy_known: float

    def fit(self, x: NDArray[np.floating], codes: NDArray[np.int64]) -> Classifier:
        """Fit the chosen regression on features `[n, C]`."""
        return fit_path(x, codes, scaling=self.scaling, penalties=[self.inverse_penalty])[0]

    def novelty(self, x: NDArray[np.floating], codes: NDArray[np.int64]) -> NoveltyScale:
        """Fit densities of the classes to features `[n, C]`, on the scale of the held-out cells."""
        return NoveltyScale.fit(x, codes, self.ratios)

    def row(self) -> dict[str, Any]:
        """Return what is written of it."""
        return {
            "candidate": self.name,
            **self.scores,
            "calibration_error": self.calibration_error,
            "unknown": self.unknown,
            "accuracy_known": self.accuracy_known,
            "cells": self.cells,
        }


def hold_out(
    name: str,
    features: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    codes: NDArray[np.int64],
    folds: Folds,
    *,
    classes: int,
) -> Measured:
    """Label every cell by a classifier that has seen no cell of its fold, and choose scaling and penalty.

    Args:
        name: of the candidate.
        features: of all cells `[n, C]`, given the rows that may be learned from.
        codes: class of every cell, `[n]`.
        folds: what is held out together.
        classes: number of classes K.

    Raises:
        DataError: the folds leave nothing to tell apart, or a feature is not finite.
    """
    settings = [(scaling, penalty) for penalty in INVERSE_PENALTIES for scaling in SCALINGS]
    logits = {one: np.full((len(codes), classes), -np.inf) for one in settings}
    ratios = np.zeros(len(codes))
    for train, held_out in folds:
        x = features(train)
        if not np.isfinite(x).all():
            raise DataError(f"{name}: the features of row {int(np.argwhere(~np.isfinite(x))[0, 0])} are not finite.")
        ratios[held_out] = ClassDensities.fit(x[train], codes[train])(x[held_out])
        for scaling in SCALINGS:
            for fitted in fit_path(x[train], codes[train], scaling=scaling):
                logits[scaling, fitted.inverse_penalty][held_out] = expanded(fitted, x[held_out], classes)
    known = folds.known
    if len(np.unique(codes[known])) < 2:
        raise DataError(
            "The reference: fewer than two classes stand in more than one batch, so nothing can be held out. Leave "
            "the batch column out for parts at random."
        )
    reached = {one: score(codes[known], logits[one][known].argmax(axis=1)) for one in settings}
    # The first of equals stands: stronger penalties first, then the order of the scalings.
    scaling, penalty = max(settings, key=lambda one: reached[one]["macro_f1"])
    best, truth, fold = logits[scaling, penalty][known], codes[known], folds.number[known]
    probability = held_out_probabilities(best, truth, fold)
    top, right = probability.max(axis=1), probability.argmax(axis=1) == truth
    threshold = unknown_threshold(top, right)
    ratios = ratios[known]
    scale = ratios[right] if right.any() else ratios
    said = (top >= threshold) & (ratios <= np.quantile(scale, 1 - GIVEN_UP_AS_NEW))
    return Measured(
        name,
        scaling,
        penalty,
        reached[scaling, penalty],
        fit_temperature(best, truth),
        threshold,
        scale,
        expected_calibration_error(top, right),
        int(known.sum()),
        float(1 - said.mean()),
        float(right[said].mean()) if said.any() else float("nan"),
    )


def leave_classes_out(
    measured: Measured,
    x: NDArray[np.float32],
    codes: NDArray[np.int64],
    classes: Sequence[str],
    *,
    seed: int,
) -> list[dict[str, Any]]:
    """Leave each class out in turn, and say which share of its cells ends as unknown; nothing for two classes.

    Args:
        measured: the candidate, whose penalty, temperature and thresholds hold.
        x: its features of all cells, `[n, C]`.
        codes: class of every cell, `[n]`.
        classes: their names.
        seed: of the draw where there are more cells than are learned from.

    Returns:
        One row a class: ``class``, ``cells``, ``unknown``, and ``taken_for``, what its cells are taken for most often.
    """
    if len(classes) < 3:
        return []
    order = np.random.default_rng(seed).permutation(len(codes))
    rows = []
    for left_out, name in enumerate(classes):
        train = np.sort(order[codes[order] != left_out][:_MOST_CELLS])
        own = np.flatnonzero(codes == left_out)
        fitted = measured.fit(x[train], codes[train])
        probability = probabilities(fitted.logits(x[own]), measured.temperature)
        novelty = measured.novelty(x[train], codes[train])(x[own])
        unknown = (probability.max(axis=1) < measured.threshold) | (novelty > 1 - GIVEN_UP_AS_NEW)
        taken = fitted.codes[np.bincount(probability.argmax(axis=1)).argmax()]
        rows.append(
            {
                "class": name,
                "cells": len(own),
                "unknown": float(unknown.mean()),
                "taken_for": classes[taken],
            }
        )
    return rows


def expanded(fitted: Classifier, x: NDArray[np.floating], classes: int) -> NDArray[np.float64]:
    """Return logits `[n, K]` of all classes, -inf for those that the classifier has never seen."""
    logits = np.full((len(x), classes), -np.inf)
    logits[:, fitted.codes] = fitted.logits(x)
    return logits
