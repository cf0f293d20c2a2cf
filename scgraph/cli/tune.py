"""The command `scgraph tune`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from scgraph.cli.options import (
    BatchKey,
    Config,
    DropLeaks,
    Json,
    Label,
    Layer,
    Models,
    Network,
    Overwrite,
    Set,
    ValuesAs,
    assignments,
    model_names,
)
from scgraph.cli.terminal import say, show, write_json

__all__ = ["tune"]


def tune(
    data: Annotated[list[str], typer.Option(help="Labelled sets; the mean over them decides.")],
    models: Models = "gnn,tf",
    trials: Annotated[int | None, typer.Option(help="Finished trials of every model.")] = None,
    objective: Annotated[
        Literal["loss", "probe", "loss-cost", "probe-cost"] | None,
        typer.Option(help="Validation loss or validation macro-F1, alone or with multiply-adds."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Journal file, sqlite:///FILE or postgresql://USER@HOST/DB.  [default: journal in --out]"),
    ] = None,
    study: Annotated[str, typer.Option(help="Name of the search in the storage.")] = "tune",
    workers: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    corpus: Annotated[list[str] | None, typer.Option(help="Cells to pretrain on.  [default: train parts]")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results; the same one goes on.")] = Path("results/tune"),
    label: Label = None,
    layer: Layer = None,
    values: ValuesAs = None,
    batch_key: BatchKey = None,
    drop_leaks: DropLeaks = True,
    network: Network = None,
    config: Config = "tune/default",
    set_: Set = None,
    seed: Annotated[int | None, typer.Option(help="Seed of split, weights and sampler.")] = None,
    no_final: Annotated[bool, typer.Option("--no-final", help="Leave the comparison of the best out.")] = False,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Search the best settings of each model with Optuna; the same command goes on."""
    names = model_names(models)
    from scgraph.bench import tables
    from scgraph.tune import run_tune
    from scgraph.tune.config import as_tune_config
    from scgraph.tune.results import format_values

    given = {"trials": trials, "objective": objective, "seed": seed}
    settings = as_tune_config(
        config or "tune/default",
        assignments(set_),
        {key: value for key, value in given.items() if value is not None},
        {} if network is None else {"bench": {"network": str(network)}},
    )
    result = run_tune(
        names,
        data,
        out=out,
        corpus=corpus or [],
        config=settings,
        storage=storage,
        study=study,
        workers=workers,
        label=label,
        layer=layer,
        values=values,
        batch_key=batch_key,
        drop_leaks=drop_leaks,
        final=not no_final,
        overwrite=overwrite,
        say=say,
    )
    for name, trials_of_model in result.best.items():
        for one in trials_of_model:
            chosen = ", ".join(f"{path} {value}" for path, value in one.settings.items())
            show(f"{name}: {format_values(settings.objective, one.values)} (trial {one.number}: {chosen})", json_)
    if result.bench is not None:
        margin = result.bench_margin
        show(tables.rich_tables(result.bench.summary, result.bench.overall, margin=margin), json_)
    show(f"Report: {out / 'study.html'}", json_)
    write_json(json_, json.loads(result.trials.to_json(orient="records")))
