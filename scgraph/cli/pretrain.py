"""The command `scgraph pretrain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from scgraph.catalogue import check_name
from scgraph.cli.options import (
    Channels,
    Config,
    Device,
    Devices,
    Epochs,
    Genes,
    Json,
    Layer,
    Layers,
    License,
    Network,
    Nodes,
    ObsValueFilter,
    Overwrite,
    Precision,
    Seed,
    Set,
    Strategy,
    ValuesAs,
    bench_settings,
)
from scgraph.cli.terminal import is_interactive, say, show, speak_as, write_json
from scgraph.train.distributed.world import find_world
from scgraph.train.loggers import check_loggers

__all__ = [
    "pretrain",
]


def pretrain(
    data: Annotated[list[str], typer.Argument(help="Cells to pretrain on: files, or one store.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    model: Annotated[str, typer.Option(help="Model by name; see `scgraph models`.")] = "gnn",
    layer: Layer = None,
    values: ValuesAs = None,
    batch_key: Annotated[
        str | None, typer.Option(help="Column of obs with donors or batches, which train.integration brings together.")
    ] = None,
    obs_value_filter: ObsValueFilter = None,
    epochs: Epochs = None,
    channels: Channels = None,
    layers: Layers = None,
    genes: Genes = None,
    seed: Seed = None,
    network: Network = None,
    config: Config = "bench/default",
    set_: Set = None,
    device: Device = None,
    devices: Devices = None,
    nodes: Nodes = None,
    strategy: Strategy = None,
    precision: Precision = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    log: Annotated[
        str | None,
        typer.Option(help="Follow it with tensorboard, wandb or mlflow, commas between; logs go to OUT-logs."),
    ] = None,
    license_: License = None,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Pretrain a model without labels and save it."""
    check_name(model)
    loggers = check_loggers(log or (), out)
    settings = bench_settings(
        config,
        set_,
        network=network,
        model={"channels": channels, "layers": layers},
        train={
            "epochs": epochs,
            "genes": genes,
            "seed": seed,
            "device": device,
            "devices": devices,
            "nodes": nodes,
            "strategy": strategy,
            "precision": precision,
        },
    )
    from scgraph.api import pretrain as run

    speak_as(find_world(settings.train.devices, settings.train.nodes).rank)
    trained = run(
        data,
        model=model,
        config=settings,
        out=out,
        layer=layer,
        values=values,
        batch_key=batch_key,
        obs_value_filter=obs_value_filter,
        resume=resume,
        overwrite=overwrite,
        show_progress=is_interactive(),
        say=say,
        log=loggers,
        license=license_,
    )
    last = trained.history.iloc[-1]
    epochs = len(trained.history)
    show(
        f"{model}: {epochs} epoch{'s' * (epochs != 1)}, validation loss {last['validation_loss']:.4f}, in {out}",
        json_,
    )
    write_json(json_, json.loads(trained.history.to_json(orient="records")))
