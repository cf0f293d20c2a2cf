"""Tables as people read them: numbers with their spread, rows for markdown and for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scgraph.reporting.escape import for_markdown
from scgraph.reporting.wording import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

__all__ = [
    "environment_lines",
    "markdown_table",
    "number",
    "quantity",
    "rich_table",
]


def environment_lines(environment: Mapping[str, object]) -> list[tuple[str, str]]:
    """Name and value of everything known about the machine, as text."""
    lines = []
    for name, value in environment.items():
        if isinstance(value, dict):
            text = ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
        else:
            text = "none" if value is None else str(value)
        lines.append((name, text))
    return lines


def rich_table(title: str, header: Sequence[str]) -> Table:
    """An empty table for a terminal, its first column left and the others right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,  # intervals need the room
    )
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=index == 0)
    return table


def quantity(value: float, *, digits: int = 3) -> str:
    """A large number with three digits, or so many, and its unit: `2.01 G`, `853 k`."""
    if not math.isfinite(value):
        return NOTHING
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # The next unit from where so many digits would round up to 1000 of this one.
        if abs(value) >= limit * (1 - 0.5 * 10.0**-digits):
            scaled = value / limit
            whole = 1 + sum(abs(scaled) >= border * (1 - 0.5 * 10.0**-digits) for border in (10, 100, 1000))
            return f"{scaled:.{max(0, digits - whole)}f} {unit}"
    return f"{value:.0f}"


def number(value: float, form: str) -> str:
    """A number in a format, `-` where there is none."""
    return format(value, form) if math.isfinite(value) else NOTHING


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, its first column left and the others right."""
    return [
        "| " + " | ".join(header) + " |",
        "|---|" + "---:|" * (len(header) - 1),
        *("| " + " | ".join(for_markdown(cell) for cell in row) + " |" for row in rows),
    ]
