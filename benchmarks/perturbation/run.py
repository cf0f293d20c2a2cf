"""`scgraph perturb` on simulated screens, where it is known what can be found.

Usage: python -m benchmarks.perturbation.run --out FOLDER

The same command on the same cells, with models that know more or less: one with the graph that the effects follow
written into its tables (the most that embeddings can tell), and one that was pretrained on the control cells, read by
each of its tables. The perturbed genes themselves are not scored: that a knocked-down gene falls is no news.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.harness.folder import new_folder
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point, program
from benchmarks.harness.text import markdown_table

if TYPE_CHECKING:
    from scgraph.perturb import PerturbResult

app = command_line()

SCREEN: dict[str, Any] = {"n_genes": 200, "singles": 80, "doubles": 40, "cells": 50, "controls": 1000}
RUNS = {
    "graph": ("The graph of the simulation in the tables of the model", "gene"),
    "value": ("Pretrained on the control cells, value table", "value"),
    "gene": ("Pretrained on the control cells, gene embedding", "gene"),
    "adjacency": ("Pretrained on the control cells, adjacency", "adjacency"),
}
"""What is asked, by the name of the folder: the model, and which of its tables describes a gene."""


@app.command()
def perturbation(
    out: Out,
    seeds: Annotated[int, typer.Option(help="Splits of each run.")] = 5,
    epochs: Annotated[int, typer.Option(help="Passes of pretraining over the control cells.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the simulation and of the pretraining.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run.")] = False,
) -> None:
    """Run `scgraph perturb` on simulated screens with known effects."""
    import tempfile

    import scgraph
    from scgraph.cli.terminal import say
    from scgraph.perturb.simulate import save_graph_model, simulate_screen

    results = new_folder("perturbation", out, overwrite=overwrite, owned=[*RUNS, "perturbation.md", "environment.json"])
    folder = results.folder
    command = [*program("perturbation"), *sys.argv[1:]]
    screen = simulate_screen(**SCREEN, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        file, models = Path(scratch) / "screen.h5ad", (Path(scratch) / "graph", Path(scratch) / "pretrained")
        screen.adata.write_h5ad(file)
        save_graph_model(models[0], screen)
        controls = screen.adata[screen.adata.obs["perturbation"] == "control"].copy()
        scgraph.pretrain(
            [controls], config={"train": {"epochs": epochs, "seed": seed}, "max_steps": None}, out=models[1]
        )
        found = {}
        for name, (what, embedding) in RUNS.items():
            say(f"{name}: {what}")
            settings = {"seeds": seeds, "embedding": embedding, "score_targets": False}
            found[name] = scgraph.perturb(
                file, models[name != "graph"], config=settings, out=folder / name, say=say, command=command
            )
            # What is predicted is made again by the command; what it is worth stands in results.csv.
            (folder / name / "predictions.h5ad").unlink()
    results.finish(page(found), "perturbation")


def page(found: dict[str, PerturbResult]) -> str:
    """Return the text of `perturbation.md`."""
    from scgraph.perturb.tables import headline, short_rows

    sizes = ", ".join(f"{key} {value}" for key, value in SCREEN.items())
    lines = ["# Perturbations of simulated cells", ""]
    lines += [f"Simulated, no real cells: {sizes}. Perturbed genes themselves are not scored.", ""]
    for name, result in found.items():
        rows = short_rows(result.summary, 20)
        body = [[str(cell) for cell in row.values()] for row in rows]
        lines += [f"## {RUNS[name][0]}", "", markdown_table(list(rows[0]), body)]
        lines += [headline(result.summary, str(result.summary["model"].iloc[-1]), 20), ""]
    return "\n".join(lines)


main = entry_point(app, "perturbation")

if __name__ == "__main__":
    main()
