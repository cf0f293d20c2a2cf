"""Which other ideas of training are worth more than the default: each a row, on validation parts.

The test part of a set is cut off before anything is trained. With --batch-key a batch is held out, another with every
seed, and scored in place of the validation part.

Usage: python -m benchmarks.objectives.run --data A.h5ad --data B.h5ad --out FOLDER
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.harness.folder import read_rows, resumable_folder
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point
from benchmarks.objectives.ideas import HELD_OUT, IDEAS
from benchmarks.objectives.page import objectives_markdown
from benchmarks.objectives.trial import seen_parts
from scgraph.cli.options import BatchKey, Label, Layer, Overwrite, Set, bench_settings
from scgraph.cli.terminal import say, show
from scgraph.data.sets.labelled import read_probe_sets, split_of
from scgraph.errors import ConfigError, did_you_mean
from scgraph.models.settings import settings_by_model

if TYPE_CHECKING:
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.data.sets.splits import Split

BASE = "bench/default"
POINTS = "points"
OWNED = (f"{POINTS}.csv", "objectives.md", "config.yaml", "environment.json")

app = command_line()


@app.command()
def objectives(
    data: Annotated[list[str], typer.Option(help="Labelled set that may be chosen on.")],
    out: Out,
    model: Annotated[str, typer.Option(help="The model.")] = "none",
    row: Annotated[list[str] | None, typer.Option(help="Row to measure beside the default.  [default: all]")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions: split, pretraining and scores.")] = 2,
    set_: Set = None,
    label: Label = None,
    layer: Layer = None,
    batch_key: BatchKey = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure rows; the same command goes on after an interruption, one with other rows, seeds or sets adds to it."""
    ideas = HELD_OUT if batch_key else IDEAS
    settings = {
        idea.name: bench_settings(BASE, [*idea.set, *(set_ or []), "split=random"], model={}, train={})
        for idea in ideas
    }
    own = {name: settings_by_model([model], one)[model] for name, one in settings.items()}
    base = next(iter(own.values()))
    sets = read_probe_sets(
        data, layer=layer, label=label, batch_key=batch_key, drop_classes_below=base.drop_classes_below
    )
    unknown = [name for name in row or [] if name not in own]
    if unknown:
        raise ConfigError(f"--row: there is no row {unknown[0]!r}.{did_you_mean(unknown[0], list(own))}")
    request: dict[str, Any] = {
        "model": model,
        "batch_key": batch_key,
        "settings": {name: one.model_dump(mode="json") for name, one in own.items()},
    }
    wanted = [idea for idea in ideas if idea is ideas[0] or not row or idea.name in row]
    results = resumable_folder("objectives", out, request, overwrite=overwrite, owned=OWNED)
    rows = read_rows(results.folder / f"{POINTS}.csv")
    done = {(row["dataset"], row["seed"], row["row"]) for row in rows}
    for seed in range(seeds):
        for probe in sets:
            name = probe.cells.name
            left = [idea for idea in wanted if (name, seed, idea.name) not in done]
            if not left:
                continue
            if any(idea.kind == "fine_tuned" for idea in left) and ideas[0] not in left:
                left = [ideas[0], *left]  # goes on from the model of the default, which is not kept
                rows = [row for row in rows if (row["dataset"], row["seed"], row["row"]) != (name, seed, ideas[0].name)]
            split = split_of(probe, base, seed=seed)
            parts = seen_parts(probe, held_out(probe, split, seed) if batch_key else split, base, seed=seed)
            for idea in left:
                start = time.perf_counter()
                found = parts.scores(idea, own[idea.name])
                key = {"dataset": name, "seed": seed, "row": idea.name}
                found["seconds"] = round(time.perf_counter() - start, 1)
                rows += [key | {"question": question, "value": value} for question, value in found.items()]
                results.write_rows(**{POINTS: rows})
                scores = ", ".join(f"{question} {value:.3f}" for question, value in found.items())
                say(f"{name}, seed {seed}, {idea.name}: {scores}")
    import pandas as pd

    show(results.finish(objectives_markdown(pd.DataFrame(rows), held_out=batch_key is not None), "objectives"))


def held_out(probe: ProbeSet, split: Split, seed: int) -> Split:
    """Return a split whose validation part is a batch, another with every seed, and whose train part is the others.

    The cells of the test part stay in it.
    """
    batches = np.asarray(probe.cells.batches)
    names = np.unique(batches)
    seen = np.sort(np.concatenate([split.train, split.validation]))
    own = batches[seen] == names[seed % len(names)]
    return replace(split, train=seen[~own], validation=seen[own], how=f"Batch {names[seed % len(names)]} is held out.")


main = entry_point(app, "objectives")

if __name__ == "__main__":
    main()
