"""What predicted perturbations are worth: on a real screen, and on simulated ones where it is known what can be found.

Usage: python -m benchmarks.perturbation.run screen --data SCREEN.h5ad --corpus POOL.h5ad --out FOLDER
       [--network EDGES.tsv] [--covariate COLUMN]
       python -m benchmarks.perturbation.run state --data TREATED.h5ad --patient COLUMN --corpus POOL.h5ad --out FOLDER
       python -m benchmarks.perturbation.run simulated --out FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.harness.folder import new_folder
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point, program
from scgraph.cli.options import Overwrite
from scgraph.cli.terminal import say, show

if TYPE_CHECKING:
    from scgraph.perturb import PerturbResult

app = command_line("Predicted perturbations, on real and on simulated screens.")

SCREEN: dict[str, Any] = {"n_genes": 200, "singles": 80, "doubles": 40, "cells": 50, "controls": 1000}
RUNS = {
    "graph": ("The graph of the simulation in the tables of the model", "gene"),
    "value": ("Pretrained on the control cells, value table", "value"),
    "gene": ("Pretrained on the control cells, gene embedding", "gene"),
    "adjacency": ("Pretrained on the control cells, adjacency", "adjacency"),
}
"""What is asked, by the name of the folder: the model, and which of its tables describes a gene."""

LEAST_MATCHED = 0.1
"""Genes of a screen are few and chosen by their variance; the corpus of other cells lacks many of them."""

NETWORK = {"patience": 5, "learning_rate": 0.01}
"""Every perturbation is left out once, with a network of its own: faster steps than in one split."""


@app.command()
def screen(
    data: Annotated[Path, typer.Option(help="Perturbed and control cells (.h5ad).")],
    out: Out,
    corpus: Annotated[
        list[Path] | None, typer.Option(help="Cells to pretrain on, beside the controls of the screen (.h5ad).")
    ] = None,
    cells: Annotated[int, typer.Option(min=1, help="Cells drawn from each file to pretrain on.")] = 2000,
    network: Annotated[Path | None, typer.Option(help="Gene network: .tsv, .csv or .graphml.")] = None,
    covariate: Annotated[list[str] | None, typer.Option(help="Column of obs: changes are taken within.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions.")] = 2,
    steps: Annotated[int, typer.Option(min=1, help="Steps of pretraining.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the pretraining.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Pretrain, leave every perturbation of a real screen out once, and score what each method says of it."""
    import tempfile

    import anndata

    import scgraph
    from benchmarks.perturbation.page import screen_page, shared_controls
    from benchmarks.perturbation.screens import control_cells, some_cells

    owned = ["results.csv", "summary.csv", "shared.csv", "table.md", "environment.json"]
    results = new_folder("perturbation", out, overwrite=overwrite, owned=owned)
    files = {one.stem: anndata.read_h5ad(one) for one in corpus or []} | {"controls of the screen": control_cells(data)}
    drawn = {name: some_cells(adata, cells, seed=seed) for name, adata in files.items()}
    sources = [f"{adata.n_obs:,} of {files[name].n_obs:,} cells of {name}" for name, adata in drawn.items()]
    say(f"pretraining on {', '.join(sources)}")
    with tempfile.TemporaryDirectory() as scratch:
        config = {"train": {"seed": seed, "device": "cpu"}, "max_steps": steps}
        scgraph.pretrain(list(drawn.values()), config=config, out=Path(scratch) / "model", say=say)
        settings = {"seeds": seeds, "split": "leave-one-out", "min_matched": LEAST_MATCHED, "network": NETWORK}
        found = scgraph.perturb(
            data, Path(scratch) / "model", config=settings, network=network, covariate=covariate, device="cpu", say=say
        )
        shared = shared_controls(data, Path(scratch) / "model", settings, network=network, covariate=covariate)
    found.results.to_csv(results.folder / "results.csv", index=False, float_format="%.6g")
    found.summary.to_csv(results.folder / "summary.csv", index=False, float_format="%.6g")
    shared.to_csv(results.folder / "shared.csv", index=False, float_format="%.6g")
    page = screen_page(found, shared, name=data.stem, corpus=sources, network=network)
    show(results.finish(page, "table", notes=list(found.notes), steps=steps, seeds=seeds))


@app.command()
def state(
    data: Annotated[Path, typer.Option(help="Cells of patients, treated with one thing and not (.h5ad).")],
    out: Out,
    patient: Annotated[str, typer.Option(help="Column of obs with the patients.")] = "patient_id",
    perturbation: Annotated[str | None, typer.Option(help="Column of obs with the treatment.")] = None,
    corpus: Annotated[
        list[Path] | None, typer.Option(help="Cells to pretrain on, beside the control cells (.h5ad).")
    ] = None,
    cells: Annotated[int, typer.Option(min=1, help="Cells drawn from each file to pretrain on.")] = 2000,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with other halves of the cells.")] = 20,
    steps: Annotated[int, typer.Option(min=1, help="Steps of pretraining.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the pretraining and of the first halves.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Pretrain, hold every patient out once, and score what each method says of the change that the treatment makes."""
    import tempfile

    import anndata

    import scgraph
    from benchmarks.perturbation.page import state_page
    from benchmarks.perturbation.screens import control_cells, some_cells
    from benchmarks.perturbation.state import BASELINES, held_out, read_treated
    from scgraph.config import TrainConfig
    from scgraph.config_files import parse_config
    from scgraph.models import load_model
    from scgraph.perturb.scores import summarise

    results = new_folder(
        "perturbation", out, overwrite=overwrite, owned=["results.csv", "summary.csv", "table.md", "environment.json"]
    )
    treated = read_treated(data, patient, perturbation)
    files = {one.stem: anndata.read_h5ad(one) for one in corpus or []} | {
        "the control cells": control_cells(data, perturbation)
    }
    drawn = {name: some_cells(adata, cells, seed=seed) for name, adata in files.items()}
    sources = [f"{adata.n_obs:,} of {files[name].n_obs:,} cells of {name}" for name, adata in drawn.items()]
    say(f"pretraining on {', '.join(sources)}")
    with tempfile.TemporaryDirectory() as scratch:
        config = {"train": {"seed": seed, "device": "cpu"}, "max_steps": steps}
        scgraph.pretrain(list(drawn.values()), config=config, out=Path(scratch) / "model", say=say)
        saved = load_model(Path(scratch) / "model")
        training = parse_config(TrainConfig, saved.metadata["training"], source="config.json of the model, training")
        found = held_out(treated, saved, genes=training.genes_to_embed(), seeds=seeds, seed=seed)
    summary = summarise(found, BASELINES)
    found.to_csv(results.folder / "results.csv", index=False, float_format="%.6g")
    summary.to_csv(results.folder / "summary.csv", index=False, float_format="%.6g")
    page = state_page(found, summary, name=data.stem, treated=treated, corpus=sources)
    show(results.finish(page, "table", steps=steps, seeds=seeds))


@app.command()
def simulated(
    out: Out,
    seeds: Annotated[int, typer.Option(help="Splits of each run.")] = 5,
    epochs: Annotated[int, typer.Option(help="Passes of pretraining over the control cells.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the simulation and of the pretraining.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Run `scgraph perturb` on simulated screens with known effects."""
    import tempfile

    import scgraph
    from benchmarks.perturbation.page import simulated_page
    from scgraph.perturb.simulate import save_graph_model, simulate_screen

    results = new_folder("perturbation", out, overwrite=overwrite, owned=[*RUNS, "perturbation.md", "environment.json"])
    folder = results.folder
    command = [*program("perturbation"), *sys.argv[1:]]
    cells = simulate_screen(**SCREEN, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        file, models = Path(scratch) / "screen.h5ad", (Path(scratch) / "graph", Path(scratch) / "pretrained")
        cells.adata.write_h5ad(file)
        save_graph_model(models[0], cells)
        controls = cells.adata[cells.adata.obs["perturbation"] == "control"].copy()
        scgraph.pretrain(
            [controls], config={"train": {"epochs": epochs, "seed": seed}, "max_steps": None}, out=models[1]
        )
        found: dict[str, PerturbResult] = {}
        for name, (what, embedding) in RUNS.items():
            say(f"{name}: {what}")
            settings = {"seeds": seeds, "embedding": embedding, "score_targets": False}
            found[name] = scgraph.perturb(
                file, models[name != "graph"], config=settings, out=folder / name, say=say, command=command
            )
            # What is predicted is made again by the command; what it is worth stands in results.csv.
            (folder / name / "predictions.h5ad").unlink()
    results.finish(simulated_page(found, RUNS, SCREEN), "perturbation")


main = entry_point(app, "perturbation")

if __name__ == "__main__":
    main()
