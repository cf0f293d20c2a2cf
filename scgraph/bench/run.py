"""A whole bench: read, measure, write the results folder."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.bench.across_sets import across_sets
from scgraph.bench.plan import plan_bench
from scgraph.bench.protocol import measure
from scgraph.bench.report import BenchReport, pictures, render
from scgraph.bench.results import results_frame, summarise
from scgraph.bench.writing import write_results
from scgraph.config import as_bench_config
from scgraph.costs.machine import matmul_peak
from scgraph.costs.profile import profile
from scgraph.data import is_store
from scgraph.data.sets.corpus import on_genes_of, read_corpus, read_graph
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.errors import ConfigError, ScgraphError
from scgraph.files import prepare_output_folder, write_atomic
from scgraph.models.settings import settings_by_model
from scgraph.reporting.environment import environment
from scgraph.reporting.fonts import undrawable
from scgraph.reporting.rows import UNTRAINED
from scgraph.train import resolve_device
from scgraph.train.distributed.world import find_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from anndata import AnnData

    from scgraph.bench.plan import BenchPlan
    from scgraph.bench.protocol import Measured
    from scgraph.config import BenchConfig
    from scgraph.costs.profile import Costs
    from scgraph.data.sets.labelled import ProbeSet

__all__ = ["OWNED", "BenchResult", "run_bench"]

OWNED = (
    "results.csv",
    "summary.md",
    "report.html",
    "config.yaml",
    "environment.json",
    "scores-*.png",
    "features-*.png",
    "difference.png",
    "models",
)
"""What a bench writes into its folder, and what `overwrite` may remove."""


@dataclass(frozen=True)
class BenchResult:
    """What a bench found.

    Attributes:
        results: one row a model, dataset, split and seed.
        summary: one row a model and dataset, see `scgraph.bench.results.summarise`.
        overall: what all sets say together, see `scgraph.bench.across_sets.across_sets`; empty for one set.
        costs: one entry a model.
        notes: what must be said aloud: splits, leaks, what was done to the data.
        folder: where it was written; None where nothing was.
    """

    results: pd.DataFrame
    summary: pd.DataFrame
    overall: pd.DataFrame
    costs: tuple[Costs, ...]
    notes: tuple[str, ...]
    folder: Path | None


def run_bench(
    models: Sequence[str] = ("gnn", "tf"),
    data: Sequence[str | Path | AnnData] = ("pbmc68k_reduced",),
    *,
    corpus: Sequence[str | Path | AnnData] = (),
    config: BenchConfig | str | Path | dict[str, Any] = "bench/default",
    out: str | Path | None = None,
    label: str | None = None,
    layer: str | None = None,
    values: str | None = None,
    batch_key: str | None = None,
    drop_leaks: bool = True,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    show_progress: bool = False,
) -> BenchResult:
    """Compare models on labelled cells.

    Args:
        models: registered names, ``package.module:Class``, or layers as ``torch_geometric.nn.SAGEConv``.
        data: labelled sets to probe: files, AnnData objects, or ``"pbmc68k_reduced"``.
        corpus: cells to pretrain on, files or one store; none: the train part of each set.
        config: sizes and rates: a `BenchConfig`, plain data, a YAML file or a name that ships with scgraph;
            what data or a file leave out comes from ``bench/default``.
        out: folder for the results; None writes nothing.
        label: column of obs with the classes; ``"cell_type"`` by default.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        batch_key: column of obs with donors or batches, which splits keep whole.
        drop_leaks: leave corpus cells out that stand in a test part; otherwise they are counted and kept.
        overwrite: replace an earlier bench in `out`.
        say: told what has been done.
        show_progress: show a bar while a model is pretrained.

    Raises:
        ConfigError: an unknown model or setting.
        DataError: a file cannot be used as it is.
        OutputError: the folder cannot be written to; said before the work starts.
        KeyboardInterrupt: Ctrl-C; `out` keeps the rows that were finished.
    """
    if not models or not data:
        raise ConfigError("bench needs at least one model and one set of cells.")
    settings = as_bench_config(config)
    by_model = settings_by_model(models, settings)
    if find_world(settings.train.devices, settings.train.nodes).launcher != "none":
        raise ConfigError(
            "bench runs as one process, which starts others for its pretrainings: leave torchrun or srun out and say "
            "--devices. On several machines, use scgraph pretrain there and scgraph probe afterwards."
        )
    resolve_device(settings.train.device)
    if settings.projection == "umap" and importlib.util.find_spec("umap") is None:
        raise ConfigError("projection umap needs the package umap-learn: install scgraph-zoo[umap], or use tsne.")
    folder = None
    graph = read_graph(settings)
    sets = read_probe_sets(
        data,
        layer=layer,
        values=values,
        label=label,
        batch_key=batch_key,
        drop_classes_below=settings.drop_classes_below,
    )
    # A store has no layers and one scale: what is named is then meant for the labelled sets.
    read_as = (None, None) if any(map(is_store, corpus)) else (layer, values)
    sources = read_corpus(corpus, layer=read_as[0], values=read_as[1])
    plan = plan_bench(by_model, sets, sources, settings, network=graph, drop_leaks=drop_leaks)
    is_new = out is not None and not Path(out).exists()
    if out is not None:
        folder = prepare_output_folder(out, overwrite=overwrite, owned=OWNED)
    try:
        measured = measure(plan, folder=folder, say=say, show_progress=show_progress)
    except ScgraphError:
        # What earlier models have reached outlives a later one's failure.
        if folder is not None and is_new and not (folder / "results.csv").exists():
            shutil.rmtree(folder)
        raise
    say("measuring costs")
    costs = _costs(plan)
    results = _with_costs(results_frame(measured.rows), costs)
    summary = summarise(results, margin=settings.equivalence_margin)
    together = across_sets(results, margin=settings.equivalence_margin)
    notes = (*measured.notes, *_said_of_letters(sets))
    done = BenchResult(results, summary, together, tuple(costs.values()), notes, folder)
    if folder is not None:
        classes = {probe.cells.name: probe.classes for probe in sets}
        _write(done, folder, measured, classes, settings)
    return done


def _costs(plan: BenchPlan) -> dict[str, Costs]:
    settings = plan.settings
    device = str(resolve_device(settings.train.device))
    peak = matmul_peak(device, settings.train.precision)
    network = None if plan.store is None else on_genes_of(plan.network, plan.store)
    costs = {}
    for name, own in plan.models.items():
        measured = profile(
            own.model,
            genes=own.train.genes if network is None else min(own.train.genes, network.size),
            zeros=own.train.zeros_beside(settings.n_top_genes or 20_000),
            vocabulary_size=settings.n_top_genes or 20_000,
            batch_size=min(own.train.batch_size, 16),
            device=device,
            precision=settings.train.precision,
            peak=peak,
            seconds=1.0,
            network=network,
            store=plan.store,
        )
        costs[name] = replace(measured, model=name)
    return costs


def _with_costs(results: pd.DataFrame, costs: dict[str, Costs]) -> pd.DataFrame:
    base = results["model"].str.removesuffix(UNTRAINED)
    filled = results.copy()
    for column in ("multiply_adds", "saved_mb", "cells_per_second"):
        filled[column] = base.map({name: getattr(cost, column) for name, cost in costs.items()})
    return filled


def _said_of_letters(sets: Sequence[ProbeSet]) -> Iterator[str]:
    """Say which names of classes the figures cannot show; the numbers beside them stand in the report too."""
    for probe in sets:
        lacking = undrawable(probe.classes)
        if lacking:
            shown = lacking[:20] + ("..." if len(lacking) > 20 else "")
            yield (
                f"{probe.cells.name}: no installed font has {shown}, so names of classes in figures have boxes; their "
                "numbers stand beside the names in report.html. Install a font of that script, such as Noto Sans CJK"
            )


def _write(
    done: BenchResult,
    folder: Path,
    measured: Measured,
    classes: dict[str, tuple[str, ...]],
    settings: BenchConfig,
) -> None:
    import pandas as pd
    import yaml

    where = environment()
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    margin = settings.equivalence_margin
    write_results(folder, done.results, notes=done.notes, config_yaml=text, environment=where, margin=margin)
    page = BenchReport(
        summary=done.summary,
        histories=pd.concat(measured.histories),
        classes=classes,
        truths=measured.truths,
        features=measured.features,
        predictions=measured.predictions,
        costs=done.costs,
        notes=done.notes,
        config_yaml=text,
        environment=where,
        margin=margin,
        projection=settings.projection,
        overall=done.overall,
    )
    write_atomic(folder / "report.html", render(page))
    for name, picture in pictures(page).items():
        write_atomic(folder / name, picture)
