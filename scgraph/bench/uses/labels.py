"""All labels: the main row again, so that the tables of uses begin with what everything else is compared to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph.bench.uses.base import Column, Use, use_row
from scgraph.reporting.statistics import score

if TYPE_CHECKING:
    from scgraph.bench.uses.base import UseContext
    from scgraph.representations.base import Representation

__all__ = ["LABELS"]


def measure(representation: Representation, context: UseContext) -> list[dict[str, Any]]:
    """Return macro-F1 on the test part of the classifier that learned from all labels of the train part."""
    test = context.split.test
    predicted = context.classifier.predict(context.features[test])
    return [use_row("labels", score(context.codes[test], predicted)["macro_f1"])]


LABELS = Use(
    name="labels",
    help="all labels of the train part; macro-F1",
    columns=(Column("", "macro_f1", "all labels"),),
    measure=measure,
)
