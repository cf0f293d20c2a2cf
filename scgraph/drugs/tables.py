"""The summary of a run on drug combinations as people read it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scgraph.drugs.scores import FLOOR, METRICS, WRONG
from scgraph.reporting.digits import four_digits
from scgraph.reporting.escape import for_markdown
from scgraph.reporting.tables import environment_lines, markdown_table
from scgraph.reporting.wording import NOTHING, records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

__all__ = [
    "METRIC_NAMES",
    "UNSEEN",
    "differences_table",
    "headline",
    "results_table",
    "short_rows",
    "summary_markdown",
    "with_interval",
]

METRIC_NAMES = {"pearson": "Pearson", "auroc": "AUROC", "auprc": "AUPRC", "within_pair": "r within pair"}
UNSEEN = {"pair": "pairs of drugs", "drug": "drugs", "line": "cell lines"}


def short_rows(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for a terminal: means over folds, and what the right lines add to wrong ones."""
    return [
        {
            "model": row["model"],
            **{METRIC_NAMES[metric]: four_digits(row[f"{metric}_mean"]) for metric in METRICS},
            "r within pair minus wrong lines [95 %]": with_interval(row, "within_pair_wrong"),
        }
        for row in records(summary)
    ]


def headline(summary: pd.DataFrame, model: str, split: str) -> str:
    """Say in a few sentences how the network does against the best baseline and against wrong lines."""
    row = next(row for row in records(summary) if row["model"] == model)
    claims = [
        f"{METRIC_NAMES[metric]} {row[f'{metric}_mean']:.3f}, {with_interval(row, f'{metric}_difference')} to "
        f"{row[f'{metric}_reference']}"
        for metric in METRICS
        if math.isfinite(row[f"{metric}_mean"])
    ]
    text = (
        f"{model} on unseen {UNSEEN[split]}, {row['folds']} folds: {'; '.join(claims)} (paired difference to the best "
        "baseline, 95 % interval over folds)."
    )
    if math.isfinite(row["within_pair_wrong"]):
        low, high = row["within_pair_wrong_low"], row["within_pair_wrong_high"]
        kind = "more than" if low > 0 else "less than" if high < 0 else "no more than"
        text += f" Of a line its expression tells {model} {kind} that of a wrong line does."
    return text


def results_table(summary: pd.DataFrame) -> list[str]:
    """Lines of the table of all methods and scores."""
    header = ["model", *(f"{METRIC_NAMES[metric]} [95 %]" for metric in METRICS), "r within pair minus wrong lines"]
    body = [
        [
            row["model"],
            *(_mean(row, metric) for metric in METRICS),
            with_interval(row, "within_pair_wrong"),
        ]
        for row in records(summary)
    ]
    return markdown_table(header, body)


def differences_table(summary: pd.DataFrame) -> list[str]:
    """Lines of the table of differences to the best baseline of each score."""
    rows = records(summary)
    header = ["model minus the best baseline"]
    header += [
        f"{METRIC_NAMES[metric]} minus {for_markdown(str(rows[0][f'{metric}_reference']))}" for metric in METRICS
    ]
    body = [
        [
            row["model"],
            *(
                "reference"
                if row["model"] == row[f"{metric}_reference"]
                else with_interval(row, f"{metric}_difference")
                for metric in METRICS
            ),
        ]
        for row in rows
    ]
    return markdown_table(header, body)


def summary_markdown(
    summary: pd.DataFrame,
    *,
    split: str,
    model: str,
    labels: tuple[float, float],
    notes: Sequence[str] = (),
    environment: Mapping[str, object] | None = None,
) -> str:
    """Return the text of `summary.md`.

    Args:
        summary: of `scgraph.drugs.scores.summarise`.
        split: what is unseen.
        model: name of the network.
        labels: scores above the first are labelled 1, those below the second 0.
        notes: said as they are.
        environment: of the run.
    """
    lines = [f"# Drug combinations, unseen {UNSEEN[split]}", "", for_markdown(headline(summary, model, split)), ""]
    lines += [*results_table(summary), "", *differences_table(summary), ""]
    lines += [
        "Means over folds with 95 % t intervals; folds share most of their training rows. AUROC and AUPRC: scores "
        f"above {labels[0]:g} against those below {labels[1]:g}. r within pair: correlation across the lines of a "
        "pair, mean over pairs; the only column that the expression of a line can raise by itself. "
        f"{FLOOR.capitalize()}: the same for all rows. {WRONG.strip(', ').capitalize()}: every line has the expression "
        "of another, in training and test alike. The best baseline of a column is chosen on the test rows, which "
        "favours it.",
    ]
    if notes:
        lines += ["", "## Notes", "", *(f"- {for_markdown(note)}" for note in notes)]
    if environment:
        lines += ["", "## Environment", "", *(f"- {k}: {for_markdown(v)}" for k, v in environment_lines(environment))]
    return "\n".join(lines) + "\n"


def with_interval(row: Mapping[str, Any], key: str) -> str:
    """`+0.012 [-0.007, +0.031]`, the difference alone where there is no interval, `-` where there is none."""
    mean, low, high = (row[f"{key}{end}"] for end in ("", "_low", "_high"))
    if not math.isfinite(mean):
        return NOTHING
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" if math.isfinite(low) else f"{mean:+.3f}"


def _mean(row: Mapping[str, Any], metric: str) -> str:
    mean, low, high = (row[f"{metric}_{end}"] for end in ("mean", "low", "high"))
    if not math.isfinite(mean):
        return NOTHING
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" if math.isfinite(low) and low < high else f"{mean:.3f}"
