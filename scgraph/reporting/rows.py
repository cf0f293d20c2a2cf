"""Which rows a table of models has, of which kind they are, and in which order they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BASELINES",
    "BESIDE",
    "CONTROLS",
    "FINE_TUNED",
    "PAIR",
    "REGRESSION",
    "UNTRAINED",
    "WITH_MODEL",
    "model_order",
    "row_kind",
]

REGRESSION = "pca+logreg"
"""Components of log values: the baseline that everyone runs, and the one that every table is compared with."""

PAIR = "pca-sqrt+pearson"
BASELINES = (
    "majority",
    REGRESSION,
    "pca-sqrt",
    "pca-scaled",
    "pca-pearson",
    "pca-pearson-hvg",
    PAIR,
    "logreg",
)
WITH_MODEL = "pca+model"
"""How a list of baselines asks for `PAIR` beside the vectors of the first model; its row is called `BESIDE` + model."""

BESIDE = "pca+"
UNTRAINED = " untrained"
FINE_TUNED = " fine-tuned"
CONTROLS = {"mean": "no gene-gene weights (mean)", "none": "no messages between genes (none)"}
"""Models without what the claim of a graph network rests on, and how a sentence names them."""


def row_kind(name: str) -> Literal["baseline", "untrained", "trained", "fine-tuned", "combined"]:
    """What a row is: a baseline, a model untrained, pretrained or fine-tuned, or components beside its vectors."""
    if name in BASELINES:
        return "baseline"
    if name.endswith(UNTRAINED):
        return "untrained"
    if name.endswith(FINE_TUNED):
        return "fine-tuned"
    return "combined" if name.startswith(BESIDE) else "trained"


def model_order(models: Iterable[str]) -> list[str]:
    """Baselines first, then every model as it first appears: untrained, pretrained, fine-tuned, `pca+` it."""
    names = list(dict.fromkeys(models))
    ordered = [name for name in BASELINES if name in names]
    for name in names:
        base = name.removesuffix(UNTRAINED).removesuffix(FINE_TUNED)
        if row_kind(name) == "combined":
            base = name.removeprefix(BESIDE)
        ordered += [
            n for n in (base + UNTRAINED, base, base + FINE_TUNED, BESIDE + base) if n in names and n not in ordered
        ]
    return ordered
