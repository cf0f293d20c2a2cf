"""The command `scgraph models`."""

from __future__ import annotations

from typing import Annotated

import typer

from scgraph.cli.options import Json, assignments
from scgraph.cli.terminal import say, show, show_rows, write_json
from scgraph.errors import ScgraphError

__all__ = [
    "models",
]


def models(
    check: Annotated[str | None, typer.Option(help="Check package.module:Class against the contract.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="An option of the layer checked: heads=4.")] = None,
    json_: Json = None,
) -> None:
    """List the models of the zoo and what each costs."""
    from scgraph.models.names import ARRANGEMENTS, PRESETS
    from scgraph.nn.conv.registry import conv_class, conv_names

    if check is not None:
        from scgraph.testing import SENTENCES, check_conv

        notes = check_conv(conv_class(check), assignments(set_))
        for note in notes:
            say(f"note: sentence {note}")
        show(f"{check} keeps all {len(SENTENCES)} sentences of the contract.", json_)
        write_json(json_, {"model": check, "sentences": len(SENTENCES), "notes": notes})
        return
    rows = []
    for name in conv_names():
        try:
            what, cost = conv_class(name).summary, conv_class(name).cost
        except ScgraphError as error:  # a broken package hides no other layer
            what, cost = str(error), "-"
        rows.append({"model": name, "what": what, "multiply-adds a layer and cell": cost})
    arranged = [(f"{prefix}NAME", one.summary) for prefix, one in ARRANGEMENTS.items() if prefix]
    arranged += [(name, preset.summary) for name, preset in PRESETS.items()]
    rows += [{"model": name, "what": what, "multiply-adds a layer and cell": "see profile"} for name, what in arranged]
    show_rows("Models", rows, json_)
    write_json(json_, rows)
