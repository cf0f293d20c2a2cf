"""The summary of a perturbation run as people read it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scgraph.perturb.scores import ALL, CEILING, HIGHER_IS_BETTER, MEAN, METRICS
from scgraph.reporting.digits import four_digits
from scgraph.reporting.escape import for_markdown
from scgraph.reporting.tables import environment_lines, markdown_table
from scgraph.reporting.wording import records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

__all__ = ["headline", "metric_names", "short_rows", "summary_markdown", "verdict"]

NOTHING = "-"
SHORT = ("pearson", "pearson_top", "mse", "discrimination")


def metric_names(top: int) -> dict[str, str]:
    """What the metrics are called in tables."""
    return {
        "pearson": "Pearson",
        "pearson_top": f"Pearson, top {top}",
        "mse": "MSE",
        "mse_top": f"MSE, top {top}",
        "mae": "MAE",
        "discrimination": "discrimination",
        "overlap": f"overlap of top {top}",
    }


def headline(summary: pd.DataFrame, model: str, top: int) -> str:
    """Say in one sentence how the network does against the best baseline."""
    row = _row(summary, ALL, model)
    names = metric_names(top)
    claims = [
        f"{names[metric]} {_mean(row, metric)}, {_difference(row, metric)} to {row[f'{metric}_reference']}"
        for metric in ("pearson_top", "pearson", "mse")
    ]
    return (
        f"{model}, {row['perturbations']} unseen perturbations, {row['seeds']} "
        f"seed{'s' * (row['seeds'] != 1)}: {'; '.join(claims)} (paired difference to the best baseline, 95 % interval "
        f"over perturbations). {verdict(summary, model)}"
    )


def verdict(summary: pd.DataFrame, model: str) -> str:
    """Say in which scores the network is better, no better or worse than the mean of the other perturbations."""
    row = _row(summary, ALL, model)
    names = metric_names(0)
    kinds: dict[str, list[str]] = {"better than": [], "no better than": [], "worse than": []}
    for metric in ("pearson", "mse", "discrimination"):
        sign = 1 if metric in HIGHER_IS_BETTER else -1
        low, high = sorted(sign * row[f"{metric}_floor_{end}"] for end in ("low", "high"))
        kinds["better than" if low > 0 else "worse than" if high < 0 else "no better than"].append(names[metric])
    said = [f"{kind} the mean change in {', '.join(found)}" for kind, found in kinds.items() if found]
    return f"{model} is {'; '.join(said)}."


def short_rows(summary: pd.DataFrame, top: int) -> list[dict[str, Any]]:
    """Rows for a terminal: means over all test perturbations, and the difference to the best baseline."""
    names = metric_names(top)
    return [
        {
            "model": row["model"],
            **{names[metric]: four_digits(row[f"{metric}_mean"]) for metric in SHORT},
            "Pearson minus the mean change [95 %]": _short_above(row),
        }
        for row in records(summary[summary["group"] == ALL])
    ]


def _short_above(row: Mapping[str, Any]) -> str:
    if row["model"] == MEAN:
        return "floor"
    ends = [four_digits(row[f"pearson_floor{end}"], sign=True) for end in ("", "_low", "_high")]
    return ends[0] if NOTHING in ends else f"{ends[0]} [{ends[1]}, {ends[2]}]"


def summary_markdown(
    summary: pd.DataFrame,
    *,
    model: str,
    top: int,
    targets: bool,
    notes: Sequence[str] = (),
    environment: Mapping[str, object] | None = None,
) -> str:
    """The text of `summary.md`.

    Args:
        summary: of `scgraph.perturb.scores.summarise`.
        model: the network of the trained model.
        top: number of the most changed genes.
        targets: whether perturbed genes count themselves.
        notes: what must be said aloud.
        environment: of `scgraph.reporting.environment.environment`.
    """
    names = metric_names(top)
    lines = ["# Perturbation summary", "", f"- {headline(summary, model, top)}"]
    for group in dict.fromkeys(summary["group"]):
        rows = records(summary[summary["group"] == group])
        count = f"{rows[0]['perturbations']} perturbations, {rows[0]['seeds']} seeds"
        title = "All test perturbations" if group == ALL else f"{str(group).capitalize()}"
        lines += ["", f"## {title}", "", f"{count}.", ""]
        header = ["model", *(f"{name} [95 %]" for name in names.values())]
        lines += markdown_table(header, [[row["model"], *(_mean(row, metric) for metric in METRICS)] for row in rows])
        header = ["model minus the mean change [95 %]", *names.values()]
        lines += [
            "",
            *markdown_table(header, [[row["model"], *(_above(row, metric) for metric in METRICS)] for row in rows]),
        ]
        header = ["model minus the best baseline"]
        for metric in ("pearson_top", "mse"):
            reference = rows[0][f"{metric}_reference"]
            header += [f"{names[metric]} minus {reference}, over perturbations [95 %]", "over seeds [95 %]"]
        body = [
            [row["model"], *(text for metric in ("pearson_top", "mse") for text in _both(row, metric))] for row in rows
        ]
        lines += ["", *markdown_table(header, body)]
    counted = "are among the genes" if targets else "are left out"
    lines += [
        "",
        "Change: mean of the perturbed cells minus mean of the control cells, of log1p of counts per 10,000. "
        f"{CEILING.capitalize()}: the change of one half of the cells against that of the other, each with its own "
        f"half of the controls; a whole set of cells is measured better than a half. {MEAN.capitalize()} (floor): the "
        "mean of the other perturbations. Genes of "
        "the test part stand in no training perturbation, but for those of doubles that are marked as seen. Means are "
        "over perturbations, each first averaged over the seeds that tested it. Intervals over perturbations speak of "
        "new perturbations of this kind, those over seeds of new splits of this file (t intervals). "
        "Discrimination: share of the other perturbations that are farther from the prediction, 0.5 by chance. "
        f"The {top} genes are those with the largest measured change; the perturbed genes themselves {counted}. "
        "A prediction that is the same for all genes has Pearson 0. The best baseline of a column is chosen on the "
        "test part, which favours it. The additive prediction takes the mean change in place of a single that "
        "training has not seen.",
    ]
    if notes:
        lines += ["", "## Notes", "", *(f"- {for_markdown(note)}" for note in notes)]
    if environment:
        lines += ["", "## Environment", "", *(f"- {k}: {for_markdown(v)}" for k, v in environment_lines(environment))]
    return "\n".join(lines) + "\n"


def _row(summary: pd.DataFrame, group: str, model: str) -> dict[str, Any]:
    return records(summary[(summary["group"] == group) & (summary["model"] == model)])[0]


def _number(value: float, metric: str, *, sign: bool = False) -> str:
    form = ("+" if sign else "") + (".4f" if metric.startswith("m") else ".3f")
    return format(value, form) if math.isfinite(value) else NOTHING


def _mean(row: Mapping[str, Any], metric: str) -> str:
    text = _number(row[f"{metric}_mean"], metric)
    low, high = (_number(row[f"{metric}_{end}"], metric) for end in ("low", "high"))
    return text if NOTHING in (low, high) else f"{text} [{low}, {high}]"


def _difference(row: Mapping[str, Any], metric: str, over: str = "difference") -> str:
    mean = _number(row[f"{metric}_{over}"], metric, sign=True)
    low, high = (_number(row[f"{metric}_{over}_{end}"], metric, sign=True) for end in ("low", "high"))
    return mean if NOTHING in (mean, low, high) else f"{mean} [{low}, {high}]"


def _above(row: Mapping[str, Any], metric: str) -> str:
    return "floor" if row["model"] == MEAN else _difference(row, metric, "floor")


def _both(row: Mapping[str, Any], metric: str) -> list[str]:
    if row["model"] == CEILING:
        return [NOTHING, NOTHING]
    if row["model"] == row[f"{metric}_reference"]:
        return ["reference", "reference"]
    return [_difference(row, metric), _difference(row, metric, "seeds")]
