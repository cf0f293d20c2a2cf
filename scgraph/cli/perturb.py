"""The command `scgraph perturb`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from scgraph.cli.options import AllowConv, Device, Json, Layer, Overwrite, Set, ValuesAs, assignments
from scgraph.cli.terminal import is_interactive, say, show, show_rows, write_json

__all__ = ["perturb"]


def perturb(
    data: Annotated[str, typer.Argument(help="Perturbed and control cells: .h5ad, .zarr or .h5mu.")],
    model: Annotated[str, typer.Option(help="Folder of a saved model, or hf://ORG/NAME.")],
    perturbation: Annotated[
        str | None,
        typer.Option(
            help="Column of obs with the perturbed genes.  [default: perturbation, condition, target_gene, ...]"
        ),
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(help="Label of control cells; may be repeated.  [default: all that look like it]"),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option(help="Column of obs, as the cell line or batch: changes are taken within its levels; repeatable."),
    ] = None,
    network: Annotated[
        Path | None, typer.Option(help="Gene network whose genes may be perturbed too: .tsv, .csv or .graphml.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Repetitions: split and weights.")] = None,
    config: Annotated[str | None, typer.Option(help="YAML file of settings.")] = None,
    set_: Set = None,
    layer: Layer = None,
    values: ValuesAs = None,
    device: Device = "auto",
    allow_conv: AllowConv = None,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Predict expression changes after perturbing genes, beside simple baselines."""
    from scgraph.config_files import load_yaml, merged, parse_config
    from scgraph.perturb import run_perturb
    from scgraph.perturb.config import PerturbConfig
    from scgraph.perturb.tables import headline, short_rows

    given = {} if seeds is None else {"seeds": seeds}
    written = merged(load_yaml(config) if config else {}, assignments(set_), given)
    settings = parse_config(PerturbConfig, written, source="options")
    folder = out or Path("results") / datetime.now().strftime("perturb-%Y%m%d-%H%M%S")
    result = run_perturb(
        data,
        model,
        perturbation=perturbation,
        control=control,
        covariate=covariate,
        network=network,
        layer=layer,
        values=values,
        config=settings,
        out=folder,
        device=device or "auto",
        allow_conv=allow_conv or [],
        overwrite=overwrite,
        show_progress=is_interactive(),
        say=say,
    )
    name = str(result.summary["model"].iloc[-1])
    show_rows(f"Changes after unseen perturbations of {data}", short_rows(result.summary, settings.top), json_)
    show(headline(result.summary, name, settings.top), json_)
    show(f"Tables, figures and predictions: {folder}", json_)
    write_json(json_, json.loads(result.summary.to_json(orient="records")))
