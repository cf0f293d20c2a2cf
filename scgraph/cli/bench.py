"""The command `scgraph bench`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from scgraph.cli.options import (
    BatchKey,
    Channels,
    Config,
    Device,
    Devices,
    DropLeaks,
    Epochs,
    Genes,
    Json,
    Label,
    Layer,
    Layers,
    Models,
    Network,
    Overwrite,
    Precision,
    Set,
    ValuesAs,
    bench_settings,
    model_names,
    use_names,
)
from scgraph.cli.terminal import is_interactive, say, show, write_json

__all__ = [
    "bench",
]


def bench(
    models: Models = "gnn,tf",
    data: Annotated[list[str] | None, typer.Option(help="Labelled sets to probe.  [default: pbmc68k_reduced]")] = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="Cells or a store to pretrain on.  [default: train parts]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    label: Label = None,
    layer: Layer = None,
    values: ValuesAs = None,
    batch_key: BatchKey = None,
    split: Annotated[
        Literal["random", "batch"] | None,
        typer.Option(help="How cells are divided.  [default: batch with --batch-key, else random]"),
    ] = None,
    uses: Annotated[
        str | None,
        typer.Option(
            help="What else is asked, with commas: labels, few, shallow, batches, neighbors, imputation, scib; or "
            "none.  [default: all but the last two, batches with --batch-key]"
        ),
    ] = None,
    transfer: Annotated[
        list[str] | None, typer.Option(help="Labelled cells of another set to classify, after learning from each.")
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(help="Pairs of classes of --data and --transfer that mean the same, a .tsv.  [default: by name]"),
    ] = None,
    drop_leaks: DropLeaks = True,
    seeds: Annotated[int | None, typer.Option(help="Repetitions: split, weights, samples and probe.")] = None,
    epochs: Epochs = None,
    channels: Channels = None,
    layers: Layers = None,
    genes: Genes = None,
    network: Network = None,
    config: Config = "bench/default",
    set_: Set = None,
    device: Device = None,
    devices: Devices = None,
    precision: Precision = None,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Compare models on labelled cells: accuracy, cost, pictures."""
    names = model_names(models)
    settings = bench_settings(
        config,
        set_,
        seeds=seeds,
        split=split,
        uses=None if uses is None else use_names(uses),
        network=network,
        model={"channels": channels, "layers": layers},
        train={"epochs": epochs, "genes": genes, "device": device, "devices": devices, "precision": precision},
    )
    from scgraph.bench import run_bench, tables
    from scgraph.bench.measure import PENALTIES
    from scgraph.bench.uses.summary import summarise_uses
    from scgraph.bench.uses.tables import rich_uses

    folder = out or Path("results") / datetime.now().strftime("bench-%Y%m%d-%H%M%S")
    told: set[str] = set()

    def tell(text: str) -> None:
        told.add(text)
        say(text)

    result = run_bench(
        names,
        data or ["pbmc68k_reduced"],
        corpus=corpus or [],
        config=settings,
        out=folder,
        label=label,
        layer=layer,
        values=values,
        batch_key=batch_key,
        drop_leaks=drop_leaks,
        transfer=transfer or [],
        classes=classes,
        overwrite=overwrite,
        say=tell,
        show_progress=is_interactive(),
    )
    for note in result.notes:
        if note not in told and PENALTIES not in note:  # the report has them all
            say(f"note: {note}")
    uses_tables = rich_uses(summarise_uses(result.uses))
    margin = settings.equivalence_margin
    show(tables.rich_tables(result.summary, result.overall, uses=uses_tables, margin=margin), json_)
    show(f"Report: {folder / 'report.html'}", json_)
    write_json(json_, json.loads(result.summary.to_json(orient="records")))
