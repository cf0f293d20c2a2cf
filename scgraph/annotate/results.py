"""What is written of labelled cells: columns of obs, and a record of how they came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.annotate.config import UNKNOWN
from scgraph.reporting.digits import four_digits

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from scgraph.annotate.classifier import CellClassifier, Predicted
    from scgraph.annotate.config import AnnotateConfig

__all__ = ["RECORD_FIELDS", "Limits", "choice_note", "flat_record", "label_columns", "query_record"]

RECORD_FIELDS = frozenset({"classifier", "classes", "threshold"})
"""Entries by which a record of labels is known."""


@dataclass(frozen=True)
class Limits:
    """Beyond which a cell is `UNKNOWN`.

    Attributes:
        threshold: least probability of its label.
        max_novelty: largest share of held-out cells of the reference that are less unlike its classes.
    """

    threshold: float
    max_novelty: float

    @classmethod
    def of(cls, classifier: CellClassifier, config: AnnotateConfig) -> Limits:
        """Return those of the options, or where they say nothing of the classifier."""
        return cls(
            classifier.threshold if config.threshold is None else config.threshold,
            classifier.max_novelty if config.max_novelty is None else config.max_novelty,
        )

    def unknown(self, probability: NDArray[np.float64], novelty: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which cells are unknown, from the probability of their best label and their novelty, `[n]` each.

        A cell that nothing is known of, with a probability of 0, is unknown whatever the limits are.
        """
        unknown: NDArray[np.bool_] = (probability < self.threshold) | (probability == 0) | (novelty > self.max_novelty)
        return unknown


def label_columns(
    predicted: Predicted,
    probability: NDArray[np.float64],
    classes: tuple[str, ...],
    config: AnnotateConfig,
    limits: Limits,
) -> dict[str, NDArray[np.float64] | pd.Categorical]:
    """Return the columns of obs: label, probability and novelty, and the next best where more are asked for.

    The second best and those after it are never unknown: they say what a cell might be.

    Args:
        predicted: what the classifier says.
        probability: of every class, `[n, K]`: its own, or what neighbours voted.
        classes: their names.
        config: names of the columns, and how many labels.
        limits: beyond which a cell is unknown.
    """
    import pandas as pd

    top = min(config.top, len(classes))
    order = np.argsort(-probability, axis=1, kind="stable")[:, :top]
    best = np.take_along_axis(probability, order, axis=1)
    columns: dict[str, NDArray[np.float64] | pd.Categorical] = {}
    for place in range(top):
        ending = "" if place == 0 else f"_{place + 1}"
        codes = order[:, place].copy()
        if place == 0:
            codes[limits.unknown(best[:, 0], predicted.novelty)] = len(classes)
        names = [*classes] if UNKNOWN in classes else [*classes, UNKNOWN]
        codes[codes == len(classes)] = names.index(UNKNOWN)
        columns[config.label_column + ending] = pd.Categorical(np.asarray(names, dtype=object)[codes])
        columns[config.probability_column + ending] = best[:, place]
        if place == 0:
            columns[config.novelty_column] = predicted.novelty
    return columns


def choice_note(record: dict[str, Any]) -> str:
    """Say which candidate was taken, by how much, and what its probabilities are worth."""
    rows = sorted(record["candidates"], key=lambda row: -row["macro_f1"])
    taken = next(row for row in rows if row["candidate"] == record["classifier"])
    others = [row for row in rows if row is not taken]
    behind = "".join(
        f", {row['candidate']} {four_digits(row['macro_f1'])} "
        f"({100 * (row['macro_f1'] - taken['macro_f1']):+.1f} points)"
        for row in others
    )
    said = (
        f"{taken['candidate']} is taken: macro-F1 {four_digits(taken['macro_f1'])}, accuracy "
        f"{four_digits(taken['accuracy'])} on {taken['cells']:,} held-out cells of the reference{behind}"
    )
    more = f" or above a novelty of {record['max_novelty']:.3g}" if record["max_novelty"] < 1 else ""
    said += (
        f". Calibration error {four_digits(taken['calibration_error'])}; below a probability of "
        f"{record['threshold']:.2f}{more} a cell is unknown: {taken['unknown']:.1%} of the held-out cells, and of the "
        "others "
        f"{taken['accuracy_known']:.1%} are right"
    )
    left_out = record["left_out"]
    if left_out:
        share = np.mean([row["unknown"] for row in left_out])
        mostly = sum(row["unknown"] > 0.5 for row in left_out)
        said += (
            f". Of a class that is left out of the reference {share:.0%} of the cells end as unknown (mean over "
            f"classes); most of its cells do so for {mostly} of {len(left_out)} classes"
        )
    return said


def query_record(
    classifier: CellClassifier, predicted: Predicted, labels: ArrayLike, config: AnnotateConfig, limits: Limits
) -> dict[str, Any]:
    """Return how the labels of a query came about and how many cells got each."""
    names, counts = np.unique(np.asarray(labels).astype(str), return_counts=True)
    return {
        **classifier.record,
        "classifier": classifier.name,
        "classes": list(classifier.classes),
        "temperature": classifier.temperature,
        "threshold": limits.threshold,
        "chosen_threshold": classifier.threshold,
        "max_novelty": limits.max_novelty,
        "chosen_max_novelty": classifier.max_novelty,
        "majority": config.majority,
        "cells": int(counts.sum()),
        "cells_without_counts": int((~predicted.counted).sum()),
        "labels": {str(name): int(count) for name, count in zip(names, counts, strict=True)},
    }


def flat_record(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as an .h5ad file can hold it: rows become arrays of their columns, counts of names two arrays."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            flat[key] = {name: np.asarray([row[name] for row in value]) for name in value[0]}
        elif isinstance(value, list):
            flat[key] = np.asarray(value, dtype=np.str_) if value else np.asarray([], dtype=np.float64)
        elif key == "labels":
            flat[key] = {"label": np.asarray([*value], np.str_), "cells": np.asarray([*value.values()], np.int64)}
        elif value is not None:
            flat[key] = value
    return flat
