"""Table II of the paper: what the models cost, and how well their features tell cell types apart.

Usage: python benchmarks/table2.py costs --out FOLDER
       python benchmarks/table2.py accuracy --data A.h5ad B.h5ad --corpus ATLAS.h5ad --out FOLDER
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common import load_average, run, write_origin
from paper_table2 import SETTINGS
from scgraph.errors import ConfigError, did_you_mean
from scgraph.files import prepare_output_folder, write_atomic
from scgraph.options import BatchKey, DropLeaks, Label, Layer, Overwrite, Set
from scgraph.terminal import say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    help="Table II of the paper, measured.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Settings = Annotated[str | None, typer.Option(help="Of the five, as 256/512,128/512.  [default: all]")]
Out = Annotated[Path, typer.Option(help="Folder for the results.")]


@app.command()
def costs(
    out: Out,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    settings: Settings = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Cells a step.")] = 8,
    seconds: Annotated[float, typer.Option(min=0, help="How long the steps of a row are timed.")] = 2.0,
    overwrite: Overwrite = False,
) -> None:
    """Measure multiply-adds, memory and speed at the paper's sizes: costs.csv, costs.md, environment.json."""
    from table2_costs import costs_markdown, measure_costs

    chosen = chosen_settings(settings)
    folder = prepare_output_folder(out, overwrite=overwrite, owned=["costs.csv", "costs.md", "environment.json"])
    start, load = time.perf_counter(), load_average()
    found = measure_costs(chosen, device=device, batch_size=batch_size, seconds=seconds, say=say)
    page = costs_markdown(found, load=load)
    write_atomic(folder / "costs.csv", found.to_csv(index=False, float_format="%.6g"))
    write_atomic(folder / "costs.md", page)
    write_origin(folder, "table2.py", seconds=round(time.perf_counter() - start, 1), load=load)
    show(page)


@app.command()
def accuracy(
    data: Annotated[list[str], typer.Option(help="Labelled sets to probe.")],
    out: Out,
    corpus: Annotated[list[str] | None, typer.Option(help="Cells to pretrain on.  [default: train parts]")] = None,
    scale: Annotated[int, typer.Option(min=1, help="Divides the channels of every setting; 1 is the paper.")] = 8,
    seeds: Annotated[int | None, typer.Option(help="Repetitions: split, pretraining and probe.  [default: 5]")] = None,
    settings: Settings = None,
    set_: Set = None,
    label: Label = None,
    layer: Layer = None,
    batch_key: BatchKey = None,
    drop_leaks: DropLeaks = True,
    overwrite: Overwrite = False,
) -> None:
    """Pretrain and probe gnn and tf at every setting; the same command goes on after an interruption."""
    from table2_accuracy import AccuracyRequest, run_accuracy

    request = AccuracyRequest(
        data=data,
        corpus=corpus or [],
        scale=scale,
        settings=chosen_settings(settings),
        assignments=set_ or [],
        seeds=seeds,
        label=label,
        layer=layer,
        batch_key=batch_key,
        drop_leaks=drop_leaks,
    )
    show(run_accuracy(request, out, overwrite=overwrite, say=say))


def chosen_settings(text: str | None) -> list[tuple[int, int]]:
    """Return the settings named in a list with commas, all of them for None.

    Raises:
        ConfigError: one is not in Table II.
    """
    if text is None:
        return list(SETTINGS)
    known = {f"{channels}/{genes}": (channels, genes) for channels, genes in SETTINGS}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ConfigError(f"--settings: {name!r} is not in Table II.{did_you_mean(name, known)}")
    return [known[name] for name in dict.fromkeys(names)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run(app, "table2.py", arguments)


if __name__ == "__main__":
    main()
