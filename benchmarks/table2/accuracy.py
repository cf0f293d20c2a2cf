"""Accuracy of gnn and tf at the settings of Table II, on labelled sets of one's own."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.harness.folder import kept_rows, resumable_folder
from benchmarks.harness.options import FEW_BASELINES
from benchmarks.harness.script import origin
from benchmarks.harness.text import as_rows
from benchmarks.table2.costs import stated_multiply_adds
from benchmarks.table2.page import accuracy_markdown
from scgraph.bench.measure import measure
from scgraph.bench.plan import plan_bench
from scgraph.bench.results import results_csv, results_frame
from scgraph.cli.options import bench_settings
from scgraph.data.sets.corpus import read_corpus
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.errors import ConfigError
from scgraph.files import json_text, write_atomic
from scgraph.models.settings import settings_by_model
from scgraph.train import resolve_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

    from scgraph.config import BenchConfig
    from scgraph.data.sets.corpus import Corpus
    from scgraph.data.sets.labelled import ProbeSet

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
        words = [FEW_BASELINES, *self.assignments]
        return bench_settings("bench/paper", words, seeds=self.seeds, model=model, train=train)


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
    models = {name: settings_by_model(MODELS, config) for name, config in configs.items()}
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
    # What cannot be divided or matched is refused before there is a folder.
    plan_bench(next(iter(models.values())), sets, corpus, first, drop_leaks=request.drop_leaks)
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
    results = resumable_folder("table2", out, described, overwrite=overwrite, owned=OWNED)
    folder = results.folder
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
        done[name] = {"seconds": round(time.perf_counter() - start, 1), "git": origin("table2")["git"]}
        done[name]["notes"] = notes
        write_atomic(folder / "settings.json", json_text(done))
    page = accuracy_markdown(_frame(rows, list(configs)), done, scale=request.scale, margin=first.equivalence_margin)
    return results.finish(page, "table2", seconds=round(sum(entry["seconds"] for entry in done.values()), 1))


def _measure(
    name: str,
    models: dict[str, BenchConfig],
    sets: Sequence[ProbeSet],
    corpus: Corpus,
    config: BenchConfig,
    *,
    drop_leaks: bool,
    say: Callable[[str], None],
) -> tuple[pd.DataFrame, list[str]]:
    plan = plan_bench(models, sets, corpus, config, drop_leaks=drop_leaks)
    measured = measure(plan, say=lambda text: say(f"{name} {text}"))
    frame = results_frame(measured.rows)
    adds = {model: stated_multiply_adds(own.model, config.train.genes)[0] for model, own in models.items()}
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
