"""Bars on the terminal: what is done, the share of it, time elapsed and time left."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import ProgressColumn

__all__ = ["bar_columns", "progress_bars"]


def bar_columns() -> tuple[ProgressColumn, ...]:
    """Return the columns that all bars have, elapsed and left in words."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )


@contextmanager
def progress_bars(show: bool) -> Iterator[Callable[[str], Callable[[int, int], None]]]:  # noqa: FBT001 - named
    """Give a function that begins a bar and returns what moves it: done, of so many; both do nothing unless shown."""
    if not show:
        yield lambda _: lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(*bar_columns(), console=Console(stderr=True), transient=True) as progress:

        def begin(text: str) -> Callable[[int, int], None]:
            task = progress.add_task(text, total=None)
            return lambda done, of: progress.update(task, completed=done, total=of)

        yield begin
