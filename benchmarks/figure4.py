"""Figure 4 of the paper: score and cost against the number of genes a cell, with running out of memory survived.

Usage: python benchmarks/figure4.py --data A.h5ad --genes 64,128,256,512,1024,2048,all --models gnn,tf --out FOLDER
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from children import available_memory_gb
from common import resumable_folder, run, write_origin
from figure4_points import PointRequest, run_point
from scgraph.errors import ConfigError
from scgraph.files import write_atomic
from scgraph.options import Config, DropLeaks, Label, Layer, Models, Overwrite, Set, bench_settings, model_names
from scgraph.terminal import say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from figure4_points import Point
    from scgraph.config import BenchConfig

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

OWNED = ("genes.csv", "seeds.csv", "genes.md", "figure4.png", "figure4.svg", "config.yaml", "environment.json")


@app.command()
def figure4(
    data: Annotated[str, typer.Option(help="Labelled set to probe.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    genes: Annotated[str, typer.Option(help="Genes a cell; all: as many as the largest cell expresses.")] = (
        "64,128,256,512,1024,2048,all"
    ),
    models: Models = "gnn,tf",
    corpus: Annotated[list[str] | None, typer.Option(help="Cells to pretrain on.  [default: train part]")] = None,
    config: Config = "bench/paper",
    set_: Set = None,
    memory_gb: Annotated[
        float | None, typer.Option(min=0.001, help="Limit of each point, 10⁹ bytes.  [default: what is available]")
    ] = None,
    label: Label = None,
    layer: Layer = None,
    drop_leaks: DropLeaks = True,
    overwrite: Overwrite = False,
) -> None:
    """Measure every model at every number of genes; the same command goes on after an interruption."""
    names = model_names(models)
    wanted = gene_numbers(genes)
    settings = bench_settings(config, set_, model={}, train={})
    largest = check(data, corpus or [], names, settings, label=label, layer=layer, drop_leaks=drop_leaks)
    numbers = sorted({largest if number is None else min(number, largest) for number in wanted})
    described: dict[str, Any] = {"data": data, "corpus": corpus or [], "models": names, "genes": numbers}
    described |= {"largest_cell": largest, "label": label, "layer": layer, "drop_leaks": drop_leaks}
    described |= {"memory_gb": memory_gb, "config": settings.model_dump(mode="json")}
    folder = resumable_folder(out, described, overwrite=overwrite, owned=OWNED)
    too_large = sorted({number for number in wanted if number is not None and number > largest})
    if too_large:
        say(f"No cell expresses more than {largest:,} genes: {', '.join(map(str, too_large))} stand for all of them.")
    points, seeds = _kept(folder)
    failures = []
    for number in numbers:
        for model in names:
            if any((row["genes"], row["model"]) == (number, model) for row in points):
                say(f"{model}, {number} genes: {folder.name} holds it already.")
                continue
            limit = memory_gb or available_memory_gb()
            own = bench_settings(config, set_, model={}, train={"genes": number}).model_dump(mode="json")
            request = PointRequest(
                model, number, data, corpus or [], own, label, layer, drop_leaks=drop_leaks, memory_gb=limit
            )
            point = run_point(request)
            say(f"{model}, {number} genes: {point.status} after {point.seconds:.0f} s {point.message}".rstrip())
            if point.status == "failed":
                failures.append(f"{model}, {number} genes: {point.message}")
                continue
            points.append(_row(request, point))
            seeds += [{"genes": number, "model": model, **row} for row in point.rows]
            _write(folder, points, seeds)
    points, seeds = _kept(folder)  # as rounded in the files, so that a restart draws the same figure
    if points:
        memory = f"{memory_gb:g} GB" if memory_gb else "what the machine had available"
        show(_finish(folder, points, seeds, largest=largest, memory=memory, margin=settings.equivalence_margin))
    for failure in failures:
        say(f"failed: {failure}")
    if failures:
        raise typer.Exit(1)


def gene_numbers(text: str) -> list[int | None]:
    """Return the numbers in a list with commas; None stands for all.

    Raises:
        ConfigError: a word is neither a positive number nor `all`.
    """
    numbers: list[int | None] = []
    for word in (part.strip() for part in text.split(",")):
        if word != "all" and (not word.isdecimal() or int(word) < 1):
            raise ConfigError(f"--genes: {word!r} is neither a number of genes nor all; write for example 64,512,all.")
        numbers.append(None if word == "all" else int(word))
    return numbers


def check(
    data: str,
    corpus: list[str],
    models: list[str],
    settings: BenchConfig,
    *,
    label: str | None,
    layer: str | None,
    drop_leaks: bool,
) -> int:
    """Refuse what cannot be run before there is a folder; return the genes of the largest cell.

    Raises:
        ScgraphError: a model, a setting or a file cannot be used.
    """
    import numpy as np

    from scgraph.bench.inputs import prepare, read_corpus, read_probe_sets, split_of
    from scgraph.bench.protocol import model_configs
    from scgraph.train import resolve_device

    model_configs(models, settings)
    resolve_device(settings.train.device)
    probe = read_probe_sets([data], layer=layer, label=label, drop_classes_below=settings.drop_classes_below)[0]
    sources = read_corpus(corpus, layer=layer)
    largest = 1
    for seed in range(settings.seeds):  # which genes are known differs between the splits
        split = split_of(probe, settings, seed=seed)
        prepared = prepare(probe, split, sources, settings, seed=seed, drop_leaks=drop_leaks)
        for store in (prepared.train, prepared.validation, prepared.probe):
            largest = max(largest, int(np.diff(store.indptr).max(initial=1)))
    return largest


def _kept(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Points that were finished, and their seeds."""
    import pandas as pd

    from scgraph.bench.tables import records

    if not (folder / "genes.csv").is_file():
        return [], []
    points = records(pd.read_csv(folder / "genes.csv", keep_default_na=False, na_values=[""]))
    seeds = records(pd.read_csv(folder / "seeds.csv")) if (folder / "seeds.csv").is_file() else []
    finished = {(row["genes"], row["model"]) for row in points}
    return points, [row for row in seeds if (row["genes"], row["model"]) in finished]


def _row(request: PointRequest, point: Point) -> dict[str, Any]:
    from statistics import fmean

    from scgraph.bench.statistics import mean_sd

    row: dict[str, Any] = {"genes": request.genes, "model": request.model, "status": point.status}
    row |= {"seeds": len(point.rows)}
    for metric in ("accuracy", "macro_f1"):
        whole = mean_sd([seed[metric] for seed in point.rows])
        row |= {f"{metric}_mean": whole.mean, f"{metric}_sd": whole.sd}
    for name in ("multiply_adds", "saved_mb", "cells_per_second", "attention", "device", "batch_size"):
        row[name] = point.costs.get(name)
    row["seconds_pretrain"] = fmean(seed["seconds_pretrain"] for seed in point.rows) if point.rows else None
    return row | {"seconds": point.seconds, "memory_limit_gb": request.memory_gb, "message": point.message}


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows).sort_values("genes", kind="stable", ignore_index=True)


def _write(folder: Path, points: list[dict[str, Any]], seeds: list[dict[str, Any]]) -> None:
    # The seeds first: a point counts as finished once it stands in genes.csv.
    if seeds:
        write_atomic(folder / "seeds.csv", _frame(seeds).to_csv(index=False, float_format="%.10g"))
    write_atomic(folder / "genes.csv", _frame(points).to_csv(index=False, float_format="%.10g"))


def _finish(
    folder: Path,
    points: list[dict[str, Any]],
    seeds: list[dict[str, Any]],
    *,
    largest: int,
    memory: str,
    margin: float,
) -> str:
    from typing import Literal

    import pandas as pd

    from figure4_pages import draw_figure4, genes_markdown
    from scgraph.synthetic.figures import figure_bytes

    frame = _frame(points)
    scores = _frame(seeds) if seeds else pd.DataFrame(columns=["genes", "model", "seed"])
    page = genes_markdown(frame, scores, largest=largest, memory=memory, margin=margin)
    write_atomic(folder / "genes.md", page)
    figure = draw_figure4(frame)
    forms: tuple[Literal["png", "svg"], ...] = ("png", "svg")
    for form in forms:
        write_atomic(folder / f"figure4.{form}", figure_bytes(figure, form=form))
    write_origin(folder, "figure4.py", seconds=round(sum(row["seconds"] for row in points), 1))
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run(app, "figure4.py", arguments)


if __name__ == "__main__":
    main()
