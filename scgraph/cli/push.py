"""The command `scgraph push`."""

from __future__ import annotations

from typing import Annotated

import typer

from scgraph.cli.options import AllowConv, License
from scgraph.cli.terminal import say, show

__all__ = ["push"]


def push(
    model: Annotated[str, typer.Argument(help="Folder of a saved model, or of a classifier of annotate --save.")],
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="Where to: organisation or user, and a name.")],
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="Who sees a repository that is made.  [default: as on the site]"),
    ] = None,
    license_: License = None,
    allow_conv: AllowConv = None,
) -> None:
    """Push a saved model to Hugging Face, to be used as hf://ORG/NAME; log in with `hf auth login` or HF_TOKEN."""
    from scgraph.api import push as run

    page = run(model, repository, private=private, license=license_, allow_conv=allow_conv or [], say=say)
    show(f"{page}: use it as hf://{repository.removeprefix('hf://')}")
