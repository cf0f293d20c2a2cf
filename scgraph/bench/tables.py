"""The summary of a bench as people read it: sentences, markdown, a table for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scgraph.bench.across_sets import trained_models
from scgraph.bench.findings import findings
from scgraph.bench.results import HEADLINE_METRIC
from scgraph.reporting.digits import DECIMALS, four_digits
from scgraph.reporting.escape import for_markdown
from scgraph.reporting.rows import row_kind
from scgraph.reporting.tables import environment_lines, markdown_table, number, quantity, rich_table
from scgraph.reporting.wording import NOTHING, interval, mean_and_sd, plus_minus, records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from rich.console import Group
    from rich.table import Table

__all__ = [
    "METRIC_NAMES",
    "findings",
    "headlines",
    "overall_cells",
    "overall_header",
    "overall_legend",
    "overall_sentences",
    "records",
    "rich_tables",
    "summary_markdown",
    "table_cells",
    "table_header",
    "verdicts",
]

METRIC_NAMES = {"macro_f1": "macro-F1", "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
CLAIMED = ("accuracy", "macro_f1")
"""What the claim of equivalence is stated in: the paper's metric, and one that small classes weigh in."""


def table_header(reference: str) -> list[str]:
    """Column titles of the results table, in the order of `table_cells`."""
    return [
        "model",
        *METRIC_NAMES.values(),
        f"macro-F1 minus {reference} [95 %]",
        f"accuracy minus {reference} [95 %]",
        "equivalent: macro-F1 / accuracy",
        "macro-F1 minus untrained [95 %]",
        "loss",
        "seeds",
    ]


def table_cells(row: Mapping[str, Any], reference: str) -> list[str]:
    """One row of the summary as text; `-` where there is no such number."""
    if row["model"] == reference:
        differences, verdict = ["reference", "reference"], ""
    else:
        differences = [interval(row, metric) for metric in ("macro_f1", "accuracy")]
        verdict = _equivalent(row, ("macro_f1", "accuracy"))
    return [
        str(row["model"]),
        *(mean_and_sd(row, metric) for metric in METRIC_NAMES),
        *differences,
        verdict,
        interval(row, "over_untrained"),
        number(_loss(row), ".4f"),
        str(int(row["n"])),
    ]


def _loss(row: Mapping[str, Any]) -> float:
    """The loss of the pretraining on the validation part; results of earlier versions have that of masked values."""
    loss = row.get("validation_loss", math.nan)
    return float(loss if math.isfinite(loss) else row["validation_mvp_loss"])


def verdicts(summary: pd.DataFrame, reference: str = "tf", *, margin: float = 0.01) -> list[str]:
    """One sentence a pretrained model of one set: difference and equivalence in accuracy and macro-F1."""
    trained = trained_models(summary)
    return [
        f"{row['model']} minus {reference}: {_claims(row, margin)}."
        for row in records(summary)
        if row["model"] in trained and row["model"] != reference and math.isfinite(row["accuracy_difference"])
    ]


def overall_header(reference: str) -> list[str]:
    """Column titles of the table over all sets, in the order of `overall_cells`."""
    names = [f"{name} minus {reference} [95 %]" for name in METRIC_NAMES.values()]
    return ["model", "over", *names, "equivalent: " + " / ".join(METRIC_NAMES.values())]


def overall_cells(row: Mapping[str, Any]) -> list[str]:
    """One row of `scgraph.bench.across_sets.across_sets` as text."""
    return [
        str(row["model"]),
        f"{row[row['over']]} {row['over']}",
        *(interval(row, metric) for metric in METRIC_NAMES),
        _equivalent(row, tuple(METRIC_NAMES)),
    ]


def overall_sentences(frame: pd.DataFrame, reference: str = "tf", *, margin: float = 0.01) -> list[str]:
    """What the sets together say: for every pretrained model one sentence over seeds and one over sets."""
    trained = trained_models(frame)
    sentences = []
    for row in records(frame):
        if row["model"] in trained:
            speaks = f"new seeds on these {row['sets']} sets" if row["over"] == "seeds" else "new sets"
            sentences.append(
                f"{row['model']} minus {reference}, {row['split']} splits, over {row[row['over']]} {row['over']} "
                f"({speaks}): {_claims(row, margin)}."
            )
    return sentences


def overall_legend(margin: float) -> str:
    """How to read the table over all sets."""
    return (
        "Over seeds: the difference is averaged over the sets for every seed, and the interval speaks of new seeds on "
        "these sets; differences of opposite sign on different sets cancel in it. Over sets: it is averaged over the "
        "seeds for every set, and the interval speaks of new sets, as far as these are a sample of them; with few "
        f"sets it is wide. Equivalent: two one-sided t tests within ± {margin:g}, each at level 0.05, not corrected "
        "for several models and metrics."
    )


def cost_header() -> list[str]:
    """Column titles of the short cost table, in the order of `cost_cells`."""
    return ["model", "parameters", "multiply-adds", "saved MB", "cells/s", "pretraining s"]


def cost_cells(row: Mapping[str, Any]) -> list[str]:
    """Costs of one row of the summary as text, for a file."""
    return [
        str(row["model"]),
        quantity(row["parameters"]),
        quantity(row["multiply_adds"]),
        number(row["saved_mb"], ".1f"),
        number(row["cells_per_second"], ",.0f"),
        number(row["seconds_pretrain"], ",.0f"),
    ]


def _terminal_costs(row: Mapping[str, Any]) -> list[str]:
    """The same in four digits."""
    return [
        str(row["model"]),
        *(quantity(row[name], digits=DECIMALS) for name in ("parameters", "multiply_adds")),
        *(four_digits(row[name]) for name in ("saved_mb", "cells_per_second", "seconds_pretrain")),
    ]


def headlines(summary: pd.DataFrame, reference: str = "tf", *, margin: float = 0.01) -> list[str]:
    """One sentence a dataset and split: the first model against the reference, in quality and in cost."""
    sentences = []
    for (dataset, split), group in summary.groupby(["dataset", "split"], sort=False):
        rows = {row["model"]: row for row in records(group)}
        trained = [name for name in rows if row_kind(name) == "trained"]
        if not trained:
            continue
        first = next((name for name in trained if name != reference), trained[0])
        where = f"On {dataset} ({split} split) {first} reaches macro-F1 {mean_and_sd(rows[first], HEADLINE_METRIC)}"
        if first == reference or reference not in rows:
            sentences.append(f"{where}.")
            continue
        verdict = _verdict(rows[first], margin, HEADLINE_METRIC)
        text = f"{where}, {reference} {mean_and_sd(rows[reference], HEADLINE_METRIC)}; {verdict}"
        ratio = rows[first]["multiply_adds"] / rows[reference]["multiply_adds"]
        if math.isfinite(ratio):
            text += f". {first} needs {ratio:.2f}x the multiply-adds of {reference}"
        sentences.append(text + ".")
    return sentences


def summary_markdown(
    summary: pd.DataFrame,
    overall: pd.DataFrame | None = None,
    *,
    uses: Sequence[str] = (),
    notes: Sequence[str] = (),
    environment: Mapping[str, object] | None = None,
    reference: str = "tf",
    margin: float = 0.01,
) -> str:
    """The text of `summary.md`; `overall`, of `across_sets`, adds what all sets say together, `uses` a section."""
    # Escaped once, so that every sentence about it is.
    summary = summary.assign(dataset=[for_markdown(str(name)) for name in summary["dataset"]])
    lines = ["# Bench summary", ""]
    lines += [f"- {text}" for text in (*headlines(summary, reference, margin=margin), *findings(summary))]
    if overall is not None and len(overall):
        lines += ["", "## All sets together", ""]
        lines += [f"- {text}" for text in overall_sentences(overall, reference, margin=margin)]
        for kind, group in overall.groupby("split", sort=False):
            lines += ["", f"{for_markdown(str(kind)).capitalize()} splits, {group['sets'].max()} sets:", ""]
            lines += markdown_table(overall_header(reference), [overall_cells(row) for row in records(group)])
        lines += ["", overall_legend(margin)]
    for (dataset, split), group in summary.groupby(["dataset", "split"], sort=False):
        rows = records(group)
        lines += ["", f"## {dataset!s}, {for_markdown(str(split))} split", ""]
        lines += markdown_table(table_header(reference), [table_cells(row, reference) for row in rows])
        claims = verdicts(group, reference, margin=margin)
        lines += ["", *(f"- {text}" for text in claims)] if claims else []
        costs = [row for row in rows if math.isfinite(row["multiply_adds"])]
        if costs:
            lines += ["", *markdown_table(cost_header(), [cost_cells(row) for row in costs])]
    lines += ["", *legend(reference, margin), *uses]
    if notes:
        lines += ["", "## Notes", "", *(f"- {for_markdown(note)}" for note in notes)]
    if environment:
        lines += [
            "",
            "## Environment",
            "",
            *(f"- {k}: {for_markdown(v)}" for k, v in environment_lines(environment)),
        ]
    return "\n".join(lines) + "\n"


def legend(reference: str, margin: float) -> list[str]:
    """How to read the table."""
    return [
        f"Mean ± standard deviation over seeds on the test part. Differences are paired by seed, model minus "
        f"{reference} or minus its own untrained row, with a 95 % t interval; the seeds share cells, so it speaks of "
        f"new seeds, not of new data. Equivalent: two one-sided t tests within ± {margin:g}, each at level 0.05. "
        f"Multiply-adds and memory saved for the backward pass are for one cell.",
    ]


def rich_tables(
    summary: pd.DataFrame,
    overall: pd.DataFrame | None = None,
    *,
    uses: Sequence[Table] = (),
    reference: str = "tf",
    margin: float = 0.01,
) -> Group:
    """The same for a terminal of 80 columns: scores and costs of a set, uses, all sets together, headlines below."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Table | Text] = []
    for (dataset, split), group in summary.groupby(["dataset", "split"], sort=False):
        rows = records(group)
        scores = rich_table(
            f"{dataset}, {split} split",
            [
                "model",
                "macro-F1",
                "accuracy",
                f"macro-F1 minus {reference}, ±\u00a095\u00a0%",
                "minus untrained, ±\u00a095\u00a0%",
            ],
        )
        for row in rows:
            cells = [
                str(row["model"]),
                mean_and_sd(row, "macro_f1", decimals=DECIMALS),
                four_digits(row["accuracy_mean"]),
                "reference" if row["model"] == reference else plus_minus(row, "macro_f1", decimals=DECIMALS),
                plus_minus(row, "over_untrained", decimals=DECIMALS),
            ]
            plain = row_kind(str(row["model"])) in ("baseline", "untrained")
            scores.add_row(*map(Text, cells), style="dim" if plain else "")
        costs = rich_table("", cost_header())
        trained = [row for row in rows if math.isfinite(row["seconds_pretrain"])]
        for row in trained:
            costs.add_row(*(Text(cell) for cell in _terminal_costs(row)))
        parts += [scores, *([costs] if trained else [])]
    parts += uses
    if overall is not None and len(overall):
        for kind, group in overall.groupby("split", sort=False):
            together = rich_table(
                f"all {group['sets'].max()} sets together, {kind!s} splits",
                ["model", "over", *(f"{METRIC_NAMES[metric]} minus {reference} [95 %]" for metric in CLAIMED)],
            )
            for row in records(group):
                model, over = overall_cells(row)[:2]
                style = "" if row["model"] in trained_models(group) else "dim"
                differences = [interval(row, metric, decimals=DECIMALS) for metric in CLAIMED]
                together.add_row(*(Text(cell) for cell in (model, over, *differences)), style=style)
            parts.append(together)
        parts += [Text(line) for line in overall_sentences(overall, reference, margin=margin)]
    parts += [Text(line) for line in (*headlines(summary, reference, margin=margin), *findings(summary))]
    return Group(*parts)


def _equivalent(row: Mapping[str, Any], metrics: Sequence[str]) -> str:
    return " / ".join({None: NOTHING, True: "yes", False: "not shown"}[_flag(row[f"{m}_equivalent"])] for m in metrics)


def _claims(row: Mapping[str, Any], margin: float) -> str:
    return "; ".join(f"{METRIC_NAMES[metric]} {_verdict(row, margin, metric)}" for metric in CLAIMED)


def _verdict(row: Mapping[str, Any], margin: float, metric: str) -> str:
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    if not math.isfinite(low):
        return "one pair, so no interval and nothing to say of a difference"
    text = f"paired difference {interval(row, metric)}"
    equivalent = _flag(row[f"{metric}_equivalent"])
    if equivalent is None:
        return text
    if equivalent:
        return f"{text}, equivalent within ± {margin:g}"
    if low > 0 or high < 0:
        return f"{text}, whose interval leaves out 0"
    return f"{text}, neither a difference nor equivalence within ± {margin:g} is shown"


def _flag(value: object) -> bool | None:
    """A column with None among booleans may come back from pandas as NaN."""
    return None if value is None or value != value else bool(value)
