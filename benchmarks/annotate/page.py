"""The table of labels: every pair, every method, and the means over the pairs of a case."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmarks.harness.text import markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["annotate_markdown"]

HEADER = (
    "pair",
    "method",
    "taken",
    "accuracy",
    "macro-F1",
    "calibration error",
    "unknown",
    "accuracy of the others",
    "unknown, foreign classes",
    "macro-F1 on the reference",
    "unknown, left out",
)


def annotate_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The text of `summary.md`."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    body = [_line(row) for row in sorted(rows, key=lambda row: methods.index(row["method"]))]
    body.sort(key=lambda line: list(dict.fromkeys(row["pair"] for row in rows)).index(line[0]))
    means = [
        [method, str(len(own)), *(number(_mean(own, key)) for key in ("accuracy", "macro_f1", "calibration_error"))]
        for method in methods
        if (own := [row for row in rows if row["method"] == method])
    ]
    return "\n".join(
        [
            "# Labels for cells of another study, condition, chemistry or patient\n",
            "Scores are of the best label of every cell whose class the reference has, whatever its probability; "
            "*unknown* is the share of these cells below the least probability or above the largest novelty, "
            "*foreign classes* those of the query that the "
            "reference lacks, *on the reference* what the held-out cells of the reference let expect, *left out* the "
            "share of unknown cells of a class that was left out of the reference, mean over classes.\n",
            markdown_table(HEADER, body),
            "Means over pairs:\n",
            markdown_table(("method", "pairs", "accuracy", "macro-F1", "calibration error"), means),
        ]
    )


def _line(row: dict[str, Any]) -> list[str]:
    numbers = [number(_value(row[key])) for key in ("accuracy", "macro_f1", "calibration_error")]
    shares = [number(_value(row[key]), ".1%") for key in ("unknown", "accuracy_known", "unknown_foreign")]
    rest = [number(_value(row["reference_macro_f1"])), number(_value(row["unknown_left_out"]), ".1%")]
    return [row["pair"], f"`{row['method']}`", f"`{row['chosen']}`", *numbers, *shares, *rest]


def _value(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float:
    return sum(_value(row[key]) for row in rows) / len(rows)
