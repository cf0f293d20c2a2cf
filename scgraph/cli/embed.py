"""The command `scgraph embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scgraph.cli.options import CELLS, AllowConv, Device, Json, Layer, Model, ValuesAs
from scgraph.cli.terminal import is_interactive, say, show, write_json
from scgraph.train.distributed.world import find_world

__all__ = [
    "embed",
]


def embed(
    model: Model,
    data: Annotated[str, typer.Argument(help=f"{CELLS} With --vectors, a store too.")],
    out: Annotated[Path | None, typer.Option(help="The .h5ad file to write: a copy with obsm['X_scgraph'].")] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="In place of --out: an .h5ad file of obs and obsm['X_scgraph'] alone.")
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="Embed a part of the cells, such as 2/8, while other processes do the others; the same without --part "
            "joins them. torchrun needs no word."
        ),
    ] = None,
    layer: Layer = None,
    values: ValuesAs = None,
    min_matched: Annotated[
        float, typer.Option(help="Share of the model's genes, or of the file's, that must match.")
    ] = 0.3,
    device: Device = "auto",
    allow_conv: AllowConv = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an interrupted run has embedded.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    json_: Json = None,
) -> None:
    """Write the vectors of the cells into obsm["X_scgraph"] of a copy of the file, or of a file of their own."""
    from scgraph.api import embed_file
    from scgraph.train import resolve_device

    world, device = find_world(1, 1), device or "auto"
    if part is None and world.size > 1:  # under torchrun
        part = f"{world.rank + 1}/{world.size}"
        if device in ("auto", "cuda") and resolve_device(device).type == "cuda":
            device = f"cuda:{world.rank % world.devices}"
    record = embed_file(
        data,
        model,
        out=out,
        vectors=vectors,
        part=part,
        layer=layer,
        values=values,
        min_matched=min_matched,
        device=device,
        allow_conv=allow_conv or [],
        resume=resume,
        overwrite=overwrite,
        show_progress=is_interactive(),
        say=say,
    )
    where = f"in {out or vectors}" if part is None else f"part {part}; the same without --part writes {out or vectors}"
    show(f"{record['cells']:,} cells, {record['width']} numbers each, {where}", json_)
    write_json(json_, record)
