"""The command `scgraph annotate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scgraph.cli.options import AllowConv, Device, Json, Layer, Seed, ValuesAs
from scgraph.cli.terminal import say, show, show_rows, write_json

__all__ = ["annotate"]


def annotate(
    query: Annotated[Path, typer.Argument(help="File of the cells to label.")],
    reference: Annotated[str | None, typer.Option(help="File of labelled cells to learn from.")] = None,
    label: Annotated[str, typer.Option(help="Column of obs of the reference with the classes.")] = "cell_type",
    batch_key: Annotated[
        str | None, typer.Option(help="Column of obs of the reference with donors or batches, held out whole.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder of a pretrained model to try, or of a classifier of --save; or hf://ORG/NAME."),
    ] = None,
    pretrain: Annotated[
        str | None, typer.Option(help="Settings to pretrain a gnn with on all cells, such as bench/default.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Folder to save the classifier to.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The .h5ad file to write.  [default: QUERY-annotated.h5ad, here]")
    ] = None,
    majority: Annotated[bool, typer.Option("--majority", help="Let the nearest cells vote on each label.")] = False,
    top: Annotated[int, typer.Option(help="How many labels of a cell are written.")] = 1,
    threshold: Annotated[
        float | None, typer.Option(help="Probability below which a cell is unknown.  [default: chosen]")
    ] = None,
    max_novelty: Annotated[
        float | None,
        typer.Option(help="Novelty above which a cell is unknown, 1 for none.  [default: chosen]"),
    ] = None,
    key_added: Annotated[str, typer.Option(help="First part of the names that are written.")] = "scgraph",
    layer: Layer = None,
    values: ValuesAs = None,
    reference_layer: Annotated[str | None, typer.Option(help="As --layer, of the reference.")] = None,
    reference_values: Annotated[str | None, typer.Option(help="As --values, of the reference.")] = None,
    min_matched: Annotated[float, typer.Option(help="Share of the genes of the smaller side in common.")] = 0.3,
    device: Device = "auto",
    allow_conv: AllowConv = None,
    seed: Seed = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file and the classifier.")] = False,
    json_: Json = None,
) -> None:
    """Label cells from labelled ones, or with a classifier that was saved, in a copy of the file."""
    from scgraph.api import annotate_file

    place = out or Path(f"{query.stem}-annotated.h5ad")
    record = annotate_file(
        query,
        reference,
        out=place,
        label=label,
        batch_key=batch_key,
        model=model,
        save=save,
        overwrite=overwrite,
        say=say,
        pretrain=pretrain,
        majority=majority,
        top=top,
        threshold=threshold,
        max_novelty=max_novelty,
        key_added=key_added,
        layer=layer,
        values=values,
        reference_layer=reference_layer,
        reference_values=reference_values,
        min_matched=min_matched,
        device=device or "auto",
        allow_conv=tuple(allow_conv or ()),
        seed=seed or 0,
    )
    rows = sorted(record["labels"].items(), key=lambda row: -row[1])
    show_rows("Labels", [{"label": name, "cells": f"{count:,}"} for name, count in rows], json_)
    show(f"{record['cells']:,} cells in {place}, obs[{key_added + '_label'!r}]", json_)
    if save is not None:
        show(f"The classifier: {save}; use it with scgraph annotate FILE --model {save}", json_)
    write_json(json_, record)
