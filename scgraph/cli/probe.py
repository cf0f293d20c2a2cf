"""The command `scgraph probe`."""

from __future__ import annotations

from typing import Annotated

import typer

from scgraph.cli.options import (
    AllowConv,
    BatchKey,
    Config,
    Device,
    Json,
    Label,
    Layer,
    Model,
    Set,
    ValuesAs,
    bench_settings,
)
from scgraph.cli.terminal import say, show_rows, write_json

__all__ = [
    "probe",
]


def probe(
    model: Model,
    data: Annotated[str, typer.Argument(help="Labelled cells, in a file of any form; see `scgraph embed`.")],
    label: Label = None,
    layer: Layer = None,
    values: ValuesAs = None,
    batch_key: BatchKey = None,
    seeds: Annotated[int | None, typer.Option(help="Repetitions: split and probe.")] = None,
    config: Config = "bench/default",
    set_: Set = None,
    device: Device = "auto",
    allow_conv: AllowConv = None,
    json_: Json = None,
) -> None:
    """Train a linear probe on the frozen features of a saved model."""
    settings = bench_settings(config, set_, seeds=seeds, model={}, train={})
    from scgraph.api import probe as run

    rows = run(
        data,
        model,
        config=settings,
        label=label,
        layer=layer,
        values=values,
        batch_key=batch_key,
        device=device or "auto",
        allow_conv=allow_conv or [],
        say=say,
    )
    show_rows(f"{model} on {data}", rows, json_)
    write_json(json_, rows)
