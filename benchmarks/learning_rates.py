"""At which learning rate a model is best on the validation part, and where a seed ends elsewhere on another processor.

The test part of a set is cut off before anything is trained. A processor is imitated by the vectors that PyTorch uses
(ATEN_CPU_CAPABILITY): the same sums are rounded otherwise, in the last bit.

Usage: python benchmarks/learning_rates.py --data pbmc68k_reduced --models tf,gnn --rates 0.01,0.003,0.001 --out FOLDER
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import as_rows, resumable_folder, run, write_figure, write_origin
from learning_rates_pages import draw_rates, rates_markdown
from learning_rates_points import PROCESSORS, PointsRequest, run_points
from scgraph.bench.protocol import model_configs
from scgraph.errors import ConfigError, did_you_mean
from scgraph.files import write_atomic
from scgraph.options import Config, Label, Layer, Models, Overwrite, Set, bench_settings, model_names
from scgraph.terminal import say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

POINTS = "points.csv"
OWNED = (POINTS, "rates.md", "figure.png", "figure.svg", "config.yaml", "environment.json")
AND = " && "
KEY = ["dataset", "model", "learning_rate", "seed", "processor"]


@app.command()
def learning_rates(
    data: Annotated[str, typer.Option(help="Labelled set, or pbmc68k_reduced.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; one that holds other points is added to.")],
    models: Models = "gnn,tf",
    rates: Annotated[str, typer.Option(help="Learning rates of pretraining.")] = "0.01,0.005,0.003,0.002,0.001,0.0005",
    processors: Annotated[str, typer.Option(help=f"Of {', '.join(PROCESSORS)}.")] = "native,default",
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions: split, pretraining and probe.")] = 3,
    config: Config = "bench/default",
    set_: Set = None,
    label: Label = None,
    layer: Layer = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure every model at every rate; the same command goes on, one with other models, rates or sets adds to it."""
    names, wanted, kinds = model_names(models), numbers(rates), chosen_processors(processors)
    settings = bench_settings(config, set_, model={}, train={})
    model_configs(names, settings)
    described: dict[str, Any] = {"label": label, "layer": layer, "config": settings.model_dump(mode="json")}
    folder = resumable_folder(out, described, overwrite=overwrite, owned=OWNED)
    path = folder / POINTS
    rows = as_rows(_read(path)) if path.is_file() else []
    name = Path(data).stem
    done = {tuple(row[key] for key in KEY) for row in rows}
    for processor in kinds:
        points = [
            (model, rate, seed)
            for seed, model, rate in product(range(seeds), names, wanted)
            if (name, model, rate, seed, processor) not in done
        ]
        said = f"{name}, {processor}"
        say(f"{said}: {len(points)} of {seeds * len(names) * len(wanted)} points to measure")

        def keep(row: dict[str, Any]) -> None:
            rows.append(row)
            write_atomic(path, _frame(rows).to_csv(index=False, float_format="%.10g"))
            say(
                f"{row['dataset']}, {row['processor']}, {row['model']} at {row['learning_rate']:g}, seed {row['seed']}:"
                f" {row['validation_macro_f1']:.3f} after {row['seconds']:.0f} s"
            )

        if points:
            run_points(PointsRequest(data, processor, points, described["config"], label, layer), keep)
    frame = _read(path)
    page = rates_markdown(frame, margin=settings.equivalence_margin)
    write_atomic(folder / "rates.md", page)
    write_figure(folder, draw_rates(frame, margin=settings.equivalence_margin))
    before = _commands(folder)
    write_origin(folder, "learning_rates.py", seconds=round(float(frame["seconds"].sum()), 1))
    found = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    found["command"] = AND.join(dict.fromkeys([*before, found["command"]]))
    write_atomic(folder / "environment.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    show(page)


def numbers(text: str) -> list[float]:
    """Return the rates in a list with commas.

    Raises:
        ConfigError: one is no number above 0.
    """
    found: list[float] = []
    for word in (part.strip() for part in text.split(",")):
        try:
            found.append(float(word))
        except ValueError:
            found.append(0.0)
        if not 0 < found[-1] < float("inf"):
            raise ConfigError(f"--rates: {word!r} is no learning rate; write for example 0.01,0.003.")
    return list(dict.fromkeys(found))


def chosen_processors(text: str) -> list[str]:
    """Return the processors in a list with commas.

    Raises:
        ConfigError: one is not known.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in PROCESSORS:
            raise ConfigError(f"--processors: {name!r} is not known.{did_you_mean(name, PROCESSORS)}")
    return names


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(path)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows)
    order = frame["model"].map({model: at for at, model in enumerate(dict.fromkeys(frame["model"]))})
    return (
        frame.assign(order=order)
        .sort_values(["dataset", "order", "learning_rate", "seed", "processor"], kind="stable", ignore_index=True)
        .drop(columns="order")
    )


def _commands(folder: Path) -> list[str]:
    """Commands that earlier points of the folder came from."""
    path = folder / "environment.json"
    if not path.is_file():
        return []
    return str(json.loads(path.read_text(encoding="utf-8"))["command"]).split(AND)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run(app, "learning_rates.py", arguments)


if __name__ == "__main__":
    main()
