"""What an asymmetric encoder-decoder costs beside a Transformer on all genes, and how well it learns.

Usage: python -m benchmarks.asymmetric.run --data A.h5ad --out FOLDER
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.asymmetric.page import asymmetric_markdown, draw_asymmetric
from benchmarks.asymmetric.point import REFERENCE, counted, measured, trained
from benchmarks.harness.folder import read_rows, resumable_folder
from benchmarks.harness.options import FEW_BASELINES, Out, whole_numbers
from benchmarks.harness.script import command_line, entry_point
from scgraph.cli.options import Label, Layer, Models, Overwrite, Set, bench_settings, model_names
from scgraph.cli.terminal import say, show
from scgraph.config_files import merged
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.errors import ConfigError
from scgraph.models.names import model_name
from scgraph.models.settings import settings_by_model

app = command_line()

COUNTS, COSTS, SCORES = "counted", "measured", "results"
OWNED = (
    *(f"{name}.csv" for name in (COUNTS, COSTS, SCORES)), "asymmetric.md", "figure.png", "figure.svg",
    "config.yaml", "environment.json",
)  # fmt: skip


@app.command()
def asymmetric(
    data: Annotated[str, typer.Option(help="Labelled set to pretrain on and to probe.")],
    out: Out,
    models: Models = "xtrimogene,asym:gnn,asym:gnn-linear",
    beside: Annotated[str, typer.Option(help="Models without a decoder that are trained too.")] = "tf,gnn",
    panels: Annotated[str, typer.Option(help="Genes of the panels that are measured; or none.")] = "1024,2048,4096",
    budgets: Annotated[
        str, typer.Option(help="Widths of tf whose multiply-adds all models get; or none.")
    ] = "24,40,64",
    share: Annotated[float, typer.Option(min=0.001, max=1, help="Share of the genes that a cell expresses.")] = 0.1,
    channels: Annotated[int, typer.Option(min=8, help="Width C of what is counted and measured.")] = 256,
    layers: Annotated[int, typer.Option(min=1, help="Number of blocks of what is counted and measured.")] = 6,
    vocabulary: Annotated[int, typer.Option(min=2, help="Genes V of what is counted.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of a measurement.")] = 3,
    seconds: Annotated[float, typer.Option(min=0, help="How long the steps of a model are timed in a round.")] = 2.0,
    steps: Annotated[int, typer.Option(min=1, help="Steps of a pretraining, cut to whole epochs.")] = 300,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions: split, weights, samples and probe.")] = 1,
    set_: Set = None,
    label: Label = None,
    layer: Layer = None,
    overwrite: Overwrite = False,
) -> None:
    """Count, measure and train; the same command goes on after an interruption."""
    names, others = model_names(models), model_names(beside)
    if REFERENCE not in others:
        raise ConfigError(f"--beside: name {REFERENCE} too, whose multiply-adds the others get.")
    words = [FEW_BASELINES, *(set_ or [])]
    settings = bench_settings("bench/mvp", words, model={}, train={}, seeds=seeds, max_steps=steps)
    # Four heads, as tf has in bench/mvp: small widths leave no room for eight.
    few = {name: {"decoder_options": {"heads": 4}} for name in names}
    heads = {name: {"conv_options": {"heads": 4}} for name in names if model_name(name).conv == REFERENCE}
    settings = settings.model_copy(update={"per_model": merged(few, heads, settings.per_model)})
    settings_by_model([*names, *others], settings)
    sizes = {"channels": channels, "layers": layers}
    wanted = [] if panels == "none" else whole_numbers("--panels", panels)
    widths = [] if budgets == "none" else whole_numbers("--budgets", budgets)
    probe = read_probe_sets([data], layer=layer, label=label)[0]
    described: dict[str, Any] = {
        "data": Path(data).name, "models": names, "beside": others, "panels": wanted, "budgets": widths,
        "share": share, "sizes": sizes, "vocabulary": vocabulary, "rounds": rounds, "seconds": seconds,
        "label": label, "layer": layer, "config": settings.model_dump(mode="json"),
    }  # fmt: skip
    results = resumable_folder("asymmetric", out, described, overwrite=overwrite, owned=OWNED)
    counts = counted(names, sorted({share / 2, share, 2 * share}), sizes, vocabulary)
    results.write_rows(**{COUNTS: counts})
    costs = read_rows(results.folder / f"{COSTS}.csv")
    for panel in wanted:
        if any(row["panel"] == panel for row in costs):
            continue
        costs += measured(names, panel, share, sizes, rounds=rounds, seconds=seconds)
        results.write_rows(**{COSTS: costs})
        say(f"panel of {panel:,} genes: measured")
    notes = results.busy(1)  # the training below uses other threads
    scores = read_rows(results.folder / f"{SCORES}.csv")
    for width in widths:
        if any(row["budget"] == width for row in scores):
            continue
        scores += trained([*others, *names], probe, settings, width, say=say)
        results.write_rows(**{SCORES: scores})
    page = asymmetric_markdown(counts, costs, scores, described)
    if costs:
        page += "".join(f"\n{note}" for note in notes)
    figure = draw_asymmetric(costs, scores) if costs or scores else None
    show(results.finish(page, "asymmetric", figure=figure))


main = entry_point(app, "asymmetric")

if __name__ == "__main__":
    main()
