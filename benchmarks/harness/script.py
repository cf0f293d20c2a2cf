"""The command line of a question: how its script is started, what it says of errors, and the record of a run.

Importing it takes nothing that is not part of Python: `gpu` also runs where pydantic and typer are missing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scgraph.errors import ScgraphError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import typer

__all__ = ["command_line", "end", "entry_point", "origin", "program"]


def program(question: str) -> list[str]:
    """How the script of a question is started, from the root of a clone."""
    return ["python", "-m", f"benchmarks.{question}.run"]


def origin(question: str) -> dict[str, object]:
    """What `environment.json` holds: versions, machine, commit and the command line of this process."""
    from scgraph.reporting.environment import environment

    return environment([*program(question), *sys.argv[1:]])


def command_line(description: str | None = None) -> typer.Typer:
    """Return a command line without commands; with a description it asks for one of several by name."""
    import typer

    return typer.Typer(
        help=description,
        no_args_is_help=description is not None,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def entry_point(app: typer.Typer, question: str) -> Callable[..., None]:
    """Return the `main` of a script: exit 2 with one message for what a user can mend, 130 after Ctrl-C."""

    def main(arguments: Sequence[str] | None = None) -> None:
        from scgraph.cli.options import repeat_lists
        from scgraph.cli.terminal import say

        words = list(sys.argv[1:] if arguments is None else arguments)
        try:
            code = app(repeat_lists(words), prog_name=" ".join(program(question)), standalone_mode=True)
        except ScgraphError as error:
            say(f"{question}: {error}")
            code = 2
        except KeyboardInterrupt:
            say(f"{question}: stopped. The same command goes on where this one ended.")
            code = 130
        sys.exit(code)

    return main


def end(failures: Sequence[str]) -> None:
    """Say what failed; exit with 1 if anything did."""
    import typer

    from scgraph.cli.terminal import say

    for failure in failures:
        say(f"failed: {failure}")
    if failures:
        raise typer.Exit(1)
