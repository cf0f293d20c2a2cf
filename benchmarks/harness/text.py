"""Numbers as text: rows of comma-separated values, tables in markdown, differences, and a note on a busy machine."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["as_rows", "busy_note", "csv_text", "markdown_table", "number", "signed"]


def as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain data, every digit kept."""
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return rows


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as comma-separated text, the columns in order of appearance, numbers with ten digits."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row.get(name) for name in columns]
        writer.writerow([f"{value:.10g}" if isinstance(value, float) else value for value in values])
    return text.getvalue()


def busy_note(before: float | None, after: float | None, threads: int) -> list[str]:
    """A warning as one paragraph where the machine had other work than these threads, else nothing.

    Args:
        before: load average before the run.
        after: load average at its end.
        threads: that the run used itself.
    """
    # At the end the run's own threads are in the average, and half a process for what the system does beside them.
    load = max(before or 0.0, (after or 0.0) - 0.5)
    if load <= threads:
        return []
    return [
        f"**The machine was busy: a load of {load:.1f}, {threads} thread{'s' if threads > 1 else ''} of this run.** "
        "These times are too long and vary from row to row; counts and memory do not depend on it.\n"
    ]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table with the first column to the left and the others to the right."""
    lines = [f"| {' | '.join(header)} |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def number(value: float, form: str = ".3f", unit: str = "") -> str:
    """A number as text, `-` where there is none."""
    return f"{value:{form}}{unit}" if math.isfinite(value) else "-"


def signed(mean: float, low: float, high: float) -> str:
    """A difference with its interval, in points (hundredths)."""
    if not math.isfinite(mean):
        return "-"
    if not math.isfinite(low):
        return f"{100 * mean:+.2f} (n = 1)"
    return f"{100 * mean:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"
