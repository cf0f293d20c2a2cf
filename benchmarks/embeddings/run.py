"""Are the embeddings worth taking? What several benches say together, over sets, against every baseline.

Each set is a bench of its own, since batch columns and the time they take differ:

    scgraph bench --models gnn,none --data A.h5ad --uses few,shallow,neighbors,imputation --out FOLDER

Usage: python -m benchmarks.embeddings.run --benches FOLDER --benches FOLDER --chosen A --out FOLDER
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.embeddings.page import embeddings_markdown, one_value_a_seed, read_table
from benchmarks.harness.folder import new_folder
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point
from scgraph.cli.options import Models, Overwrite, model_names
from scgraph.cli.terminal import show
from scgraph.errors import DataError

OWNED = ("embeddings.md", "environment.json", "config.yaml")

app = command_line()


@app.command()
def embeddings(
    benches: Annotated[list[Path], typer.Option(help="Results folder of a bench; several times.")],
    out: Out,
    chosen: Annotated[str, typer.Option(help="Sets that settings were chosen on, with commas.")] = "",
    models: Models = "gnn",
    overwrite: Overwrite = False,
) -> None:
    """Compare the models of several benches with every baseline, over their sets."""
    import pandas as pd

    frames: dict[str, list[pd.DataFrame]] = {"results.csv": [], "uses.csv": []}
    commands = []
    for folder in benches:
        for name, read in frames.items():
            path = folder / name
            if not path.is_file():
                raise DataError(f"{path}: is not there. Give the results folder of a bench with uses.")
            read.append(read_table(path))
        commands.append(json.loads((folder / "environment.json").read_text(encoding="utf-8"))["command"])
    values = one_value_a_seed(*(pd.concat(read) for read in frames.values()))
    sets = [name.strip() for name in chosen.split(",") if name.strip()]
    unknown = [name for name in sets if name not in set(values["dataset"])]
    if unknown:
        raise DataError(f"--chosen: no bench has the set {', '.join(unknown)}.")
    request = {"benches": commands, "chosen": sets}
    results = new_folder("embeddings", out, request, overwrite=overwrite, owned=OWNED)
    page = embeddings_markdown(values, model_names(models), sets)
    results.finish(page, "embeddings")
    show(page)


main = entry_point(app, "embeddings")

if __name__ == "__main__":
    main()
