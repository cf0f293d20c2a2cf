"""Accuracy of gnn and tf at the settings of Table II, on labelled sets of one's own."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common import as_rows, kept_rows, origin, resumable_folder, write_origin
from scgraph.bench.inputs import prepare, read_corpus, read_probe_sets, split_of
from scgraph.bench.protocol import measure, model_configs
from scgraph.bench.results import results_csv, results_frame
from scgraph.errors import ConfigError
from scgraph.files import json_text, write_atomic
from scgraph.options import bench_settings
from scgraph.train import resolve_device
from table2_costs import stated_multiply_adds
from table2_pages import accuracy_markdown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from scgraph.bench.inputs import ProbeSet
    from scgraph.config import BenchConfig, ModelConfig
    from scgraph.data import Cells, CellStore

__all__ = ["AccuracyRequest", "run_accuracy"]

MODELS = ("gnn", "tf")
OWNED = ("results.csv", "table2.md", "settings.json", "config.yaml", "environment.json")


@dataclass(frozen=True)
class AccuracyRequest:
    """What the command `accuracy` was asked for.

    Attributes:
        data: labelled sets.
        corpus: cells to pretrain on; none: the train part of each set.
        scale: divides the channels of every setting.
        settings: channels and genes, as in Table II.
        assignments: settings laid over bench/paper, as ``train.batch_size=32``.
        seeds: repetitions; None: those of the settings.
        label: column of obs with the classes.
        layer: layer to read instead of X.
        batch_key: column of obs with donors or batches.
        drop_leaks: leave test cells out of the corpus.
    """

    data: list[str]
    corpus: list[str]
    scale: int
    settings: list[tuple[int, int]]
    assignments: list[str]
    seeds: int | None = None
    label: str | None = None
    layer: str | None = None
    batch_key: str | None = None
    drop_leaks: bool = True

    def config(self, channels: int, genes: int) -> BenchConfig:
        """Settings of the bench at one setting of the table.

        Raises:
            ConfigError: `scale` does not divide the channels, or an assignment is refused.
        """
        if channels % self.scale:
            raise ConfigError(f"--scale {self.scale}: does not divide {channels} channels; use a power of two.")
        model, train = {"channels": channels // self.scale}, {"genes": genes}
        return bench_settings("bench/paper", self.assignments, seeds=self.seeds, model=model, train=train)


def run_accuracy(
    request: AccuracyRequest, out: Path, *, overwrite: bool = False, say: Callable[[str], None] = lambda _: None
) -> str:
    """Run the protocol at every setting that `out` does not hold yet, and write the table.

    Returns:
        The text of `table2.md`.

    Raises:
        ConfigError: a setting cannot be used.
        DataError: a file cannot be used as it is.
        OutputError: `out` holds results of another request, or cannot be written to.
    """
    configs = {f"{c}/{g}": request.config(c, g) for c, g in request.settings}
    models = {name: model_configs(MODELS, config) for name, config in configs.items()}
    first = next(iter(configs.values()))
    resolve_device(first.train.device)
    sets = read_probe_sets(
        request.data,
        layer=request.layer,
        label=request.label,
        batch_key=request.batch_key,
        drop_classes_below=first.drop_classes_below,
    )
    corpus = read_corpus(request.corpus, layer=request.layer)
    for probe in sets:  # what cannot be divided or matched is refused before there is a folder
        splits = [split_of(probe, first, seed=seed) for seed in range(first.seeds)]
        prepare(probe, splits[0], corpus, first, seed=0, drop_leaks=request.drop_leaks)
    described = {
        "data": request.data,
        "corpus": request.corpus,
        "scale": request.scale,
        "label": request.label,
        "layer": request.layer,
        "batch_key": request.batch_key,
        "drop_leaks": request.drop_leaks,
        "settings": {name: config.model_dump(mode="json") for name, config in configs.items()},
    }
    folder = resumable_folder(out, described, overwrite=overwrite, owned=OWNED)
    done = _done(folder)
    rows = kept_rows(folder, "setting", list(done))
    for name, config in configs.items():
        if name in done:
            say(f"{name}: {folder.name} holds it already.")
            continue
        start = time.perf_counter()
        frame, notes = _measure(name, models[name], sets, corpus, config, drop_leaks=request.drop_leaks, say=say)
        rows += as_rows(frame)
        write_atomic(folder / "results.csv", results_csv(_frame(rows, list(configs))))
        done[name] = {"seconds": round(time.perf_counter() - start, 1), "git": origin("table2.py")["git"]}
        done[name]["notes"] = notes
        write_atomic(folder / "settings.json", json_text(done))
    page = accuracy_markdown(_frame(rows, list(configs)), done, scale=request.scale, margin=first.equivalence_margin)
    write_atomic(folder / "table2.md", page)
    write_origin(folder, "table2.py", seconds=round(sum(entry["seconds"] for entry in done.values()), 1))
    return page


def _measure(
    name: str,
    models: dict[str, ModelConfig],
    sets: list[ProbeSet],
    corpus: list[Cells] | CellStore,
    config: BenchConfig,
    *,
    drop_leaks: bool,
    say: Callable[[str], None],
) -> tuple[pd.DataFrame, list[str]]:
    measured = measure(models, sets, corpus, config, drop_leaks=drop_leaks, say=lambda text: say(f"{name} {text}"))
    frame = results_frame(measured.rows)
    adds = {model: stated_multiply_adds(own, config.train.genes)[0] for model, own in models.items()}
    frame["multiply_adds"] = frame["model"].str.removesuffix(" untrained").map(adds)
    frame.insert(0, "setting", name)
    return frame, measured.notes


def _done(folder: Path) -> dict[str, Any]:
    path = folder / "settings.json"
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _frame(rows: list[dict[str, Any]], settings: list[str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows)
    order = {name: place for place, name in enumerate(settings)}
    return frame.sort_values("setting", key=lambda column: column.map(order), kind="stable", ignore_index=True)
