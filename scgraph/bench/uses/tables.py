"""The uses as people read them: tables of one set, of all sets, for the page, the file and the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from scgraph.bench.uses import USES
from scgraph.bench.uses.base import ANY_LEVEL, Column
from scgraph.bench.uses.summary import AGAINST
from scgraph.reporting.digits import four_digits
from scgraph.reporting.escape import for_markdown
from scgraph.reporting.rows import row_kind
from scgraph.reporting.tables import markdown_table, rich_table
from scgraph.reporting.wording import NOTHING, interval, mean_and_sd, records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from rich.table import Table

__all__ = ["INTRODUCTION", "UsesTable", "across_tables", "asked_uses", "rich_uses", "set_tables", "uses_markdown"]

INTRODUCTION = (
    "What else was asked of the same features, on the same cells for every row. Differences are paired, with a 95 % t "
    "interval: over seeds for one set, over sets for all."
)

Key = tuple[str, str, str]
"""Use, level, metric."""


@dataclass(frozen=True)
class UsesTable:
    """One table: what it shows, its header, and its rows, the model first."""

    title: str
    header: list[str]
    rows: list[list[str]]


def set_tables(summary: pd.DataFrame) -> list[UsesTable]:
    """Tables of one set and split: every use, then the differences to logistic regression and to the untrained row.

    Args:
        summary: rows of `scgraph.bench.uses.summary.summarise_uses` of one set and split.
    """
    tables = [_table(summary, "Mean ± standard deviation over seeds", partial(mean_and_sd, metric="value"))]
    for name, title in AGAINST.items():
        tables.append(_table(summary, f"{title.capitalize()} [95 %]", partial(interval, metric=name)))
    return [table for table in tables if table.rows]


def across_tables(overall: pd.DataFrame) -> list[UsesTable]:
    """Tables over all sets of one split: mean difference, its interval, and on how many sets it is above 0.

    Args:
        overall: rows of `scgraph.bench.uses.summary.uses_across_sets` of one split.
    """
    tables = [
        _table(overall, f"{title.capitalize()} [95 % over sets], sets ahead", partial(_over_sets, name=name))
        for name, title in AGAINST.items()
    ]
    return [table for table in tables if table.rows]


def asked_uses(summary: pd.DataFrame) -> list[tuple[str, str]]:
    """Name and one line of help of every use that was asked."""
    asked = set(summary["use"])
    return [(use.name, use.help) for use in USES if use.name in asked]


def uses_markdown(summary: pd.DataFrame, overall: pd.DataFrame) -> list[str]:
    """Lines of the section of `summary.md`; none where nothing was asked."""
    if summary.empty:
        return []
    lines = ["", "## Uses", "", INTRODUCTION, "", *(f"- {name}: {text}" for name, text in asked_uses(summary))]
    for kind, group in overall.groupby("split", sort=False) if len(overall) else ():
        lines += ["", f"### All sets, {kind!s} splits", *_lines(across_tables(group))]
    for (dataset, split), group in summary.groupby(["dataset", "split"], sort=False):
        lines += ["", f"### {for_markdown(str(dataset))}, {split!s} split", *_lines(set_tables(group))]
    return lines


def rich_uses(summary: pd.DataFrame) -> list[Table]:
    """Short tables for a terminal of 80 columns: one column a use, means over seeds."""
    from rich.text import Text

    tables: list[Table] = []
    for (dataset, split), group in summary.groupby(["dataset", "split"], sort=False) if len(summary) else ():
        columns = {key: column.short for key, column in _columns(group).items() if column.short}
        short = _table(group, f"{dataset!s}, {split!s} split, uses", _mean, columns)
        table = rich_table(short.title, short.header)
        for row in short.rows:
            table.add_row(*map(Text, row), style="" if row_kind(row[0]) in ("trained", "combined") else "dim")
        tables += [table] if columns else []
    return tables


def _mean(row: Mapping[str, Any]) -> str:
    return four_digits(row["value_mean"])


def _over_sets(row: Mapping[str, Any], name: str) -> str:
    text = interval(row, name)
    return text if text == NOTHING else f"{text}, {row[f'{name}_won']} of {row[f'{name}_sets']}"


def _lines(tables: list[UsesTable]) -> list[str]:
    return [line for table in tables for line in ("", f"{table.title}:", "", *markdown_table(table.header, table.rows))]


def _columns(frame: pd.DataFrame) -> dict[Key, Column]:
    there = set(zip(frame["use"], frame["level"], frame["metric"], strict=True))
    keys = {}
    for use in USES:
        for column in use.columns:
            if column.level == ANY_LEVEL:
                levels = sorted(level for name, level, metric in there if (name, metric) == (use.name, column.metric))
                short = column.short if len(levels) == 1 else None
                for level in levels:
                    own = Column(level, column.metric, f"{column.title} {level}", short)
                    keys[use.name, level, column.metric] = own
            else:
                keys[use.name, column.level, column.metric] = column
    return {key: column for key, column in keys.items() if key in there}


def _table(
    frame: pd.DataFrame,
    title: str,
    text: Callable[[Mapping[str, Any]], str],
    columns: Mapping[Key, str] | None = None,
) -> UsesTable:
    """One row a model, one column a use and level; rows without any number are left out."""
    columns = columns or {key: column.title for key, column in _columns(frame).items()}
    cells = {(row["model"], row["use"], row["level"], row["metric"]): text(row) for row in records(frame)}
    rows = []
    for model in dict.fromkeys(str(name) for name in frame["model"]):
        own = [cells.get((model, *key), NOTHING) for key in columns]
        rows += [[model, *own]] if any(cell != NOTHING for cell in own) else []
    return UsesTable(title, ["model", *columns.values()], rows)
