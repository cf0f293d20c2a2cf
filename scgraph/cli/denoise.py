"""The command `scgraph denoise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scgraph.cli.options import CELLS, AllowConv, Device, Json, Layer, ValuesAs
from scgraph.cli.terminal import is_interactive, say, show, write_json

__all__ = [
    "denoise",
]


def denoise(
    model: Annotated[str, typer.Argument(help="Folder of a saved model with a decoder of counts, or hf://ORG/NAME.")],
    data: Annotated[str, typer.Argument(help=CELLS)],
    out: Annotated[Path, typer.Option(help="The .h5ad file to write, with the layer.")],
    layer_key: Annotated[str, typer.Option(help="Name of the layer that is written.")] = "scgraph_denoised",
    scale: Annotated[
        str, typer.Option(help="log1p, of counts per 10,000, or counts: as many as the cell has.")
    ] = "log1p",
    layer: Layer = None,
    values: ValuesAs = None,
    min_matched: Annotated[
        float, typer.Option(help="Share of the model's genes, or of the file's, that must match.")
    ] = 0.3,
    device: Device = "auto",
    allow_conv: AllowConv = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    json_: Json = None,
) -> None:
    """Write the expression that a model expects of every cell into a layer of a copy of the file."""
    from scgraph.api import denoise_file

    record = denoise_file(
        data,
        model,
        out=out,
        layer=layer,
        layer_key=layer_key,
        scale=scale,
        values=values,
        min_matched=min_matched,
        device=device or "auto",
        allow_conv=allow_conv or [],
        overwrite=overwrite,
        show_progress=is_interactive(),
        say=say,
    )
    show(f"{record['cells']:,} cells, {record['genes']:,} genes each, in layers[{layer_key!r}] of {out}", json_)
    write_json(json_, record)
