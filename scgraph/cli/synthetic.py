"""The command `scgraph synthetic`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scgraph.cli.options import Json, Overwrite, Set, assignments
from scgraph.cli.terminal import is_interactive, say, show, show_rows, write_json
from scgraph.reporting.bars import progress_bars

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "synthetic",
]


def synthetic(
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    config: Annotated[
        str, typer.Option(help="synthetic/paper, synthetic/extended, or a YAML file.")
    ] = "synthetic/paper",
    set_: Set = None,
    variants: Annotated[bool, typer.Option("--variants", help="Every reading of the paper instead of one.")] = False,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Reproduce the paper's synthetic example: Table I and Figure 3."""
    from scgraph.config_files import load_yaml, merged, parse_config
    from scgraph.synthetic import SyntheticConfig, run_synthetic, run_variants

    settings = parse_config(SyntheticConfig, merged(load_yaml(config), assignments(set_)), source=config)
    folder = out or Path("results") / datetime.now().strftime("synthetic-%Y%m%d-%H%M%S")
    run = run_variants if variants else run_synthetic
    with progress_bars(is_interactive()) as begin:
        bars: dict[str, Callable[[int, int], None]] = {}

        def on_epoch(model: str, done: int, epochs: int) -> None:
            if model not in bars:
                bars[model] = begin(model)
            bars[model](done, epochs)

        result = run(out=folder, config=settings, overwrite=overwrite, say=say, on_epoch=on_epoch)
    rows = json.loads(result.table.to_json(orient="records"))
    # A terminal has room for means over sigma; the files hold every setting.
    columns = ["tf_best", "gnn_best", "ratio_best"]
    shown = result.table if variants else result.table.groupby("e_p", as_index=False)[columns].mean()
    show_rows("Test losses", json.loads(shown.to_json(orient="records")), json_)
    show(f"{result.seconds:.0f} s of training. Tables and figures: {folder}", json_)
    write_json(json_, rows)
