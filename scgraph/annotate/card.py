"""The card of a saved classifier, see `scgraph.models.card`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph._version import __version__
from scgraph.models.card import ADDRESS, LIBRARY, card_text, name_of, table, usage, version_lines
from scgraph.reporting.escape import for_markdown

if TYPE_CHECKING:
    from scgraph.annotate.classifier import CellClassifier

__all__ = ["classifier_card"]


def classifier_card(classifier: CellClassifier, *, license: str) -> str:
    """Return the card of a classifier.

    Args:
        classifier: what is saved.
        license: name of the licence.
    """
    record, regression = classifier.record, classifier.regression
    name, genes = for_markdown(classifier.name), len(classifier.features.vocabulary)
    lines = [
        f"# Labels for single cells: {name}",
        "",
        f"A classifier of {LIBRARY} with {len(classifier.classes):,} classes, on {genes:,} genes. A cell whose best "
        f"class stays below a probability of {classifier.threshold:.2f} is `unknown`.",
        "",
        "## Use",
        "",
        *usage(
            f"scgraph annotate cells.h5ad --model {ADDRESS}",
            [f'scgraph.annotate(adata, model="{ADDRESS}")  # or the folder; writes adata.obs["scgraph_label"]'],
        ),
        "## Classes",
        "",
        ", ".join(for_markdown(one) for one in classifier.classes),
        "",
        *_data_lines(record),
        *_score_lines(record),
        "## Costs",
        "",
        *table(("cost", ""), [("weights of the classifier", f"{regression.weights.size + regression.bias.size:,}")]),
        "",
        "## Settings",
        "",
        *table(
            ("setting", "value"),
            [
                ("features", classifier.name),
                ("inverse penalty", f"{regression.inverse_penalty:g}"),
                ("temperature", f"{classifier.temperature:.4g}"),
                ("threshold", f"{classifier.threshold:.4g}"),
            ],
        ),
        "",
        *version_lines(record.get("versions") or {"scgraph": __version__}),
    ]
    return card_text(lines, license=license, tags=["cell-type-annotation", classifier.name])


def _data_lines(record: dict[str, Any]) -> list[str]:
    if "reference" not in record:
        return []
    row = (name_of(record["reference"]), f"{record.get('reference_cells', 0):,}", str(record.get("label", "")))
    held_out = record.get("held_out")
    return [
        "## Data",
        "",
        *table(("reference", "cells", "column of the labels"), [row]),
        "",
        *([f"Held out in turn: {for_markdown(str(held_out))}.", ""] if held_out else []),
    ]


def _score_lines(record: dict[str, Any]) -> list[str]:
    tried = record.get("candidates") or []
    if not tried:
        return []
    names = {
        "macro_f1": "macro-F1",
        "accuracy": "accuracy",
        "calibration_error": "calibration error",
        "unknown": "share unknown",
    }
    shown = [key for key in names if all(isinstance(row.get(key), int | float) for row in tried)]
    rows = [(str(row["candidate"]), *(f"{row[key]:.3f}" for key in shown)) for row in tried]
    header = ("features", *(names[key] for key in shown))
    return ["## Scores", "", "On held-out cells of the reference:", "", *table(header, rows), ""]
