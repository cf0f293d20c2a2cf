"""What a command says: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

__all__ = ["is_interactive", "say", "show", "show_rows", "write_json"]

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)


def is_interactive() -> bool:
    """Say whether a person may be watching, so that a bar makes sense."""
    return _err.is_terminal


def say(text: str) -> None:
    """Print a line on standard error."""
    _err.print(text, markup=False, soft_wrap=True)


def show(result: RenderableType, json_path: Path | None = None) -> None:
    """Print a result; on standard error where standard output is taken by JSON."""
    console = _err if _is_stdout(json_path) else _out
    console.print(result, markup=False, soft_wrap=isinstance(result, str))


def show_rows(title: str, rows: list[dict[str, Any]], json_path: Path | None = None) -> None:
    """Print rows with the same keys as a table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(rows[0]):
        words = all(isinstance(row[name], str) and not row[name][:1].isdigit() for row in rows)
        table.add_column(name, justify="left" if number == 0 or words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(f"{value:.4f}" if isinstance(value, float) else str(value)) for value in row.values()))
    show(table, json_path)


def write_json(path: Path | None, value: object) -> None:
    """Write JSON to a file, to standard output for ``-``, or nowhere for None.

    Raises:
        OutputError: the file cannot be written.
    """
    if path is None:
        return
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    if _is_stdout(path):
        sys.stdout.write(text)
        return
    from scgraph.files import write_atomic

    write_atomic(path, text)


def _is_stdout(path: Path | None) -> bool:
    return path is not None and str(path) == "-"
