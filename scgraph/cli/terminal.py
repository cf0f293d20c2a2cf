"""What a command says: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment

from scgraph.reporting.digits import four_digits
from scgraph.reporting.escape import for_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.console import ConsoleOptions, RenderableType

__all__ = ["complain", "is_interactive", "say", "show", "show_rows", "speak_as", "write_json"]

PATIENCE = 5.0
"""Seconds that a process which is not the first waits with its error: the first may end them all with the same one."""


class _Console(Console):
    """Whatever is printed, no name in it gives an order to the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(for_terminal(segment.text, lines=True), segment.style)


_out = _Console(highlight=False)
_err = _Console(stderr=True, highlight=False)
_rank = 0


def speak_as(rank: int) -> None:
    """Say which of several processes this is; only the first one, 0, is heard."""
    global _rank
    _rank = rank
    _out.quiet = _err.quiet = rank > 0


def complain(error: str) -> None:
    """Print an error; from a process that is not the first, only where the first does not end it with its own."""
    if _rank:
        time.sleep(PATIENCE)
        _err.quiet = False
    say(f"scgraph: {error}" if not _rank else f"scgraph, process {_rank}: {error}")


def is_interactive() -> bool:
    """Say whether a person may be watching, so that a bar makes sense."""
    return _err.is_terminal and _rank == 0


def say(text: str) -> None:
    """Print a line on standard error."""
    _err.print(for_terminal(text), markup=False, soft_wrap=True)


def show(result: RenderableType, json_path: Path | None = None) -> None:
    """Print a result; on standard error where standard output is taken by JSON."""
    console = _err if _is_stdout(json_path) else _out
    result = for_terminal(result, lines=True) if isinstance(result, str) else result
    console.print(result, markup=False, soft_wrap=isinstance(result, str))


def show_rows(title: str, rows: list[dict[str, Any]], json_path: Path | None = None) -> None:
    """Print rows with the same keys as a table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    def cell(value: Any) -> Text:  # written out before the widths are chosen
        return Text(for_terminal(four_digits(value) if isinstance(value, float) else str(value), lines=True))

    table = Table(title=cell(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(rows[0]):
        words = all(isinstance(row[name], str) and not row[name][:1].isdigit() for row in rows)
        table.add_column(name, justify="left" if number == 0 or words else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(cell, row.values()))
    show(table, json_path)


def write_json(path: Path | None, value: object) -> None:
    """Write JSON to a file, to standard output for ``-``, or nowhere for None.

    Raises:
        OutputError: the file cannot be written.
    """
    if path is None or _rank:
        return
    if _is_stdout(path):
        sys.stdout.write(json.dumps(value, indent=2) + "\n")  # in ASCII: the same values, and no order to a terminal
        return
    from scgraph.files import json_text, write_atomic

    write_atomic(path, json_text(value))


def _is_stdout(path: Path | None) -> bool:
    return path is not None and str(path) == "-"
