"""The command `scgraph embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scgraph.cli.options import CELLS, AllowConv, Device, Json, Layer, Model, ValuesAs
from scgraph.cli.terminal import is_interactive, say, show, write_json

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

    record = embed_file(
        data,
        model,
        out=out,
        vectors=vectors,
        layer=layer,
        values=values,
        min_matched=min_matched,
        device=device or "auto",
        allow_conv=allow_conv or [],
        resume=resume,
        overwrite=overwrite,
        show_progress=is_interactive(),
        say=say,
    )
    show(
        f"{record['cells']:,} cells, {record['channels']} numbers each, in {out or vectors}",
        json_,
    )
    write_json(json_, record)
