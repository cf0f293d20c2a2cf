"""At which learning rate a model is best on validation cells, and where a seed ends elsewhere on another processor.

The test part of a set is cut off before anything is trained. A processor is imitated by the vectors that PyTorch uses
(ATEN_CPU_CAPABILITY): the same sums are rounded otherwise, in the last bit.

Usage: python -m benchmarks.learning_rates.run --data A.h5ad --models tf,gnn --rates 0.01,0.003,0.001 --out FOLDER
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.harness.folder import read_rows, resumable_folder
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point, origin
from benchmarks.learning_rates.page import draw_rates, rates_markdown
from benchmarks.learning_rates.point import PROCESSORS, PointsRequest, run_points
from scgraph.cli.options import Config, Label, Layer, Models, Overwrite, Set, bench_settings, model_names
from scgraph.cli.terminal import say, show
from scgraph.errors import ConfigError, did_you_mean
from scgraph.models.settings import settings_by_model

app = command_line()

POINTS = "points"
OWNED = (f"{POINTS}.csv", "rates.md", "figure.png", "figure.svg", "config.yaml", "environment.json")
AND = " && "
KEY = ("dataset", "model", "learning_rate", "seed", "processor")


@app.command()
def learning_rates(
    data: Annotated[str, typer.Option(help="Labelled set, or pbmc68k_reduced.")],
    out: Out,
    models: Models = "gnn,tf",
    rates: Annotated[str, typer.Option(help="Learning rates of pretraining.")] = "0.01,0.005,0.003,0.002,0.001,0.0005",
    processors: Annotated[str, typer.Option(help=f"Of {', '.join(PROCESSORS)}.")] = "native,default",
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions: split, pretraining and probe.")] = 3,
    config: Config = "bench/mvp",
    set_: Set = None,
    label: Label = None,
    layer: Layer = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure every model at every rate; the same command goes on, one with other models, rates or sets adds to it."""
    names, wanted, kinds = model_names(models), rate_numbers(rates), processor_names(processors)
    settings = bench_settings(config, set_, model={}, train={})
    settings_by_model(names, settings)
    described: dict[str, Any] = {"label": label, "layer": layer, "config": settings.model_dump(mode="json")}
    results = resumable_folder("learning_rates", out, described, overwrite=overwrite, owned=OWNED)
    rows = read_rows(results.folder / f"{POINTS}.csv")
    measured = {tuple(row[key] for key in KEY) for row in rows}
    dataset = Path(data).stem

    def add(row: dict[str, Any]) -> None:
        rows.append(row)
        rows.sort(key=lambda other: tuple(other[key] for key in KEY))
        results.write_rows(**{POINTS: rows})
        say(
            f"{row['dataset']}, {row['processor']}, {row['model']} at {row['learning_rate']:g}, seed {row['seed']}: "
            f"{row['validation_macro_f1']:.3f} after {row['seconds']:.0f} s"
        )

    for processor in kinds:
        points = [
            (model, rate, seed)
            for seed, model, rate in product(range(seeds), names, wanted)
            if (dataset, model, rate, seed, processor) not in measured
        ]
        say(f"{dataset}, {processor}: {len(points)} of {seeds * len(names) * len(wanted)} points to measure")
        if points:
            run_points(PointsRequest(data, processor, points, described["config"], label, layer), add)
    frame = _rounded(results.folder)
    options = {"shared": settings.train.learning_rate, "margin": settings.equivalence_margin}
    commands = [*_commands(results.folder), str(origin("learning_rates")["command"])]
    page = results.finish(
        rates_markdown(frame, **options),
        "rates",
        figure=draw_rates(frame, margin=settings.equivalence_margin),
        command=AND.join(dict.fromkeys(commands)),
        seconds=round(float(frame["seconds"].sum()), 1),
    )
    show(page)


def rate_numbers(text: str) -> list[float]:
    """Return the rates in a list with commas.

    Raises:
        ConfigError: one is no number above 0.
    """
    rates: list[float] = []
    for word in (part.strip() for part in text.split(",")):
        try:
            rates.append(float(word))
        except ValueError:
            rates.append(0.0)
        if not 0 < rates[-1] < float("inf"):
            raise ConfigError(f"--rates: {word!r} is no learning rate; write for example 0.01,0.003.")
    return list(dict.fromkeys(rates))


def processor_names(text: str) -> list[str]:
    """Return the processors in a list with commas.

    Raises:
        ConfigError: one is not known.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in PROCESSORS:
            raise ConfigError(f"--processors: {name!r} is not known.{did_you_mean(name, PROCESSORS)}")
    return names


def _rounded(folder: Path) -> Any:
    # As in the file, so that a run that is gone on with writes the same page.
    import pandas as pd

    return pd.DataFrame(read_rows(folder / f"{POINTS}.csv"))


def _commands(folder: Path) -> list[str]:
    """Commands that earlier points of the folder came from."""
    path = folder / "environment.json"
    if not path.is_file():
        return []
    return str(json.loads(path.read_text(encoding="utf-8"))["command"]).split(AND)


main = entry_point(app, "learning_rates")

if __name__ == "__main__":
    main()
