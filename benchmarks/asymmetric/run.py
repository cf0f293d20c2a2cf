"""What an asymmetric encoder-decoder costs beside a Transformer on all genes, and how well it learns.

Usage: python -m benchmarks.asymmetric.run --data A.h5ad --out FOLDER
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.asymmetric.page import asymmetric_markdown, draw_asymmetric
from benchmarks.asymmetric.point import REFERENCE, counted, measured, trained
from benchmarks.harness.common import (
    as_rows,
    busy_note,
    csv_text,
    load_average,
    resumable_folder,
    run,
    write_figure,
    write_origin,
)
from benchmarks.layers.run import whole_numbers
from scgraph.bench.inputs import read_probe_sets
from scgraph.bench.protocol import model_configs
from scgraph.config import merged
from scgraph.errors import ConfigError
from scgraph.files import write_atomic
from scgraph.options import Label, Layer, Models, Overwrite, Set, bench_settings, model_names
from scgraph.registry import model_name
from scgraph.terminal import say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

COUNTS, COSTS, SCORES = "counted.csv", "measured.csv", "results.csv"
OWNED = (COUNTS, COSTS, SCORES, "asymmetric.md", "figure.png", "figure.svg", "config.yaml", "environment.json")


@app.command()
def asymmetric(
    data: Annotated[str, typer.Option(help="Labelled set to pretrain on and to probe.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
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
    settings = bench_settings("bench/default", set_, model={}, train={}, seeds=seeds, max_steps=steps)
    # Four heads, as tf has in bench/default: small widths leave no room for eight.
    few = {name: {"decoder_options": {"heads": 4}} for name in names}
    heads = {name: {"conv_options": {"heads": 4}} for name in names if model_name(name).conv == REFERENCE}
    settings = settings.model_copy(update={"per_model": merged(few, heads, settings.per_model)})
    model_configs([*names, *others], settings)
    sizes = {"channels": channels, "layers": layers}
    wanted = [] if panels == "none" else whole_numbers("--panels", panels, ",")
    widths = [] if budgets == "none" else whole_numbers("--budgets", budgets, ",")
    probe = read_probe_sets([data], layer=layer, label=label)[0]
    described: dict[str, Any] = {
        "data": Path(data).name, "models": names, "beside": others, "panels": wanted, "budgets": widths,
        "share": share, "sizes": sizes, "vocabulary": vocabulary, "rounds": rounds, "seconds": seconds,
        "label": label, "layer": layer, "config": settings.model_dump(mode="json"),
    }  # fmt: skip
    folder = resumable_folder(out, described, overwrite=overwrite, owned=OWNED)
    start, load = time.perf_counter(), load_average()
    counts = counted(names, sorted({share / 2, share, 2 * share}), sizes, vocabulary)
    write_atomic(folder / COUNTS, csv_text(counts))
    costs = _kept(folder / COSTS)
    for panel in wanted:
        if any(row["panel"] == panel for row in costs):
            continue
        costs += measured(names, panel, share, sizes, rounds=rounds, seconds=seconds)
        write_atomic(folder / COSTS, csv_text(costs))
        say(f"panel of {panel:,} genes: measured")
    load_after = load_average()
    scores = _kept(folder / SCORES)
    for width in widths:
        if any(row["budget"] == width for row in scores):
            continue
        scores += trained([*others, *names], probe, settings, width, say=say)
        write_atomic(folder / SCORES, csv_text(scores))
    page = asymmetric_markdown(counts, costs, scores, described)
    if costs:
        page += "".join(f"\n{note}" for note in busy_note(load, load_after, 1))
    write_atomic(folder / "asymmetric.md", page)
    if costs or scores:
        write_figure(folder, draw_asymmetric(costs, scores))
    spent = round(time.perf_counter() - start, 1)
    write_origin(folder, "asymmetric", seconds=spent, load=load, load_after=load_after)
    show(page)


def _kept(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    return as_rows(pd.read_csv(path)) if path.is_file() else []


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run(app, "asymmetric", arguments)


if __name__ == "__main__":
    main()
