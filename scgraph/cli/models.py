"""The command `scgraph models`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated

import typer

from scgraph.catalogue import ARRANGEMENTS, ENTRY_POINTS, PRESETS, listed_convs
from scgraph.cli.options import Json, assignments
from scgraph.cli.terminal import say, show, show_rows, write_json
from scgraph.errors import ScgraphError

__all__ = [
    "models",
]


COST = "multiply-adds a layer and cell"


def models(
    check: Annotated[str | None, typer.Option(help="Check package.module:Class against the contract.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="An option of the layer checked: heads=4.")] = None,
    json_: Json = None,
) -> None:
    """List the models of the zoo and what each costs."""
    if check is not None:
        from scgraph.nn.conv.registry import conv_class
        from scgraph.testing import SENTENCES, check_conv

        notes = check_conv(conv_class(check), assignments(set_))
        for note in notes:
            say(f"note: sentence {note}")
        show(f"{check} keeps all {len(SENTENCES)} sentences of the contract.", json_)
        write_json(json_, {"model": check, "sentences": len(SENTENCES), "notes": notes})
        return
    rows = [{"model": name, "what": what, COST: cost} for name, what, cost in _convs()]
    arranged = [(f"{prefix}NAME", one.summary) for prefix, one in ARRANGEMENTS.items() if prefix]
    arranged += [(name, preset.summary) for name, preset in PRESETS.items()]
    rows += [{"model": name, "what": what, COST: "see profile"} for name, what in arranged]
    show_rows("Models", rows, json_)
    write_json(json_, rows)


def _convs() -> list[tuple[str, str, str]]:
    """Name, summary and cost of every convolution; torch is imported only for those of other packages."""
    listed = listed_convs()
    if all(one.summary and one.cost for one in listed) and not entry_points(group=ENTRY_POINTS):
        return [(one.name, one.summary, one.cost) for one in listed]
    from scgraph.nn.conv.registry import conv_class, conv_names

    rows = []
    for name in conv_names():
        try:
            rows.append((name, conv_class(name).summary, conv_class(name).cost))
        except ScgraphError as error:  # a broken package hides no other layer
            rows.append((name, str(error), "-"))
    return rows
