"""The command `scgraph drugs`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from scgraph.catalogue import check_name
from scgraph.cli.options import Device, Json, Layer, Overwrite, Set, ValuesAs, assignments
from scgraph.cli.terminal import is_interactive, say, show, show_rows, write_json

__all__ = ["drugs"]


def drugs(
    combinations: Annotated[
        Path, typer.Option(help="Scores: .csv or .tsv with drug_a, drug_b, cell_line and synergy.")
    ],
    lines: Annotated[Path, typer.Option(help="Expression, a row a cell line: .h5ad or .zarr.")],
    drugs: Annotated[Path, typer.Option(help="Structures: .csv or .tsv with drug and smiles.")],
    split: Annotated[str, typer.Option(help="What is unseen in the test part: pair, drug or line.")] = "pair",
    model: Annotated[str, typer.Option(help="Convolution that embeds a cell line; see `scgraph models`.")] = "gnn",
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    config: Annotated[str | None, typer.Option(help="YAML file of settings.")] = None,
    set_: Set = None,
    layer: Layer = None,
    values: ValuesAs = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Predict scores of drug combinations, beside baselines and the expression of wrong lines."""
    check_name(model)
    from scgraph.config_files import load_yaml, merged, parse_config
    from scgraph.drugs import run_drugs
    from scgraph.drugs.config import DrugsConfig
    from scgraph.drugs.tables import UNSEEN, headline, short_rows

    written = merged(load_yaml(config) if config else {}, assignments(set_))
    settings = parse_config(DrugsConfig, written, source="options")
    folder = out or Path("results") / datetime.now().strftime("drugs-%Y%m%d-%H%M%S")
    result = run_drugs(
        combinations,
        lines,
        drugs,
        split=split,
        model=model,
        layer=layer,
        values=values,
        config=settings,
        out=folder,
        device=device or "auto",
        overwrite=overwrite,
        show_progress=is_interactive(),
        say=say,
    )
    networks = [str(name) for name in result.summary.loc[~result.summary["is_baseline"], "model"]]
    show_rows(f"Scores of combinations of unseen {UNSEEN[split]}", short_rows(result.summary), json_)
    show(headline(result.summary, networks[0], split), json_)
    show(f"Tables, figure and predictions: {folder}", json_)
    write_json(json_, json.loads(result.summary.to_json(orient="records")))
