"""A whole bench: read, measure, write the results folder."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.errors import ConfigError, ScgraphError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from anndata import AnnData

    from scgraph.bench.costs import Costs
    from scgraph.bench.protocol import Measured
    from scgraph.config import BenchConfig, ModelConfig
    from scgraph.data import CellStore, GeneEdges

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

DEFAULT = "bench/default"
"""The settings that others are laid over."""


@dataclass(frozen=True)
class BenchResult:
    """What a bench found.

    Attributes:
        results: one row a model, dataset, split and seed.
        summary: one row a model and dataset, see `scgraph.bench.results.summarise`.
        overall: what all sets say together, see `scgraph.bench.overall.overall`; empty for one set.
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
    from scgraph.bench.inputs import (
        on_genes_of,
        prepare,
        read_corpus,
        read_graph,
        read_probe_sets,
        said_of_equal_splits,
        split_of,
    )
    from scgraph.bench.overall import overall
    from scgraph.bench.protocol import measure, model_configs
    from scgraph.bench.results import results_frame, summarise
    from scgraph.data import is_store
    from scgraph.files import prepare_output_folder
    from scgraph.launch import find_world
    from scgraph.train import resolve_device

    if not models or not data:
        raise ConfigError("bench needs at least one model and one set of cells.")
    settings = as_bench_config(config)
    configs = model_configs(models, settings)
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
        data, layer=layer, label=label, batch_key=batch_key, drop_classes_below=settings.drop_classes_below
    )
    # A store has no layers: the one that is named is then that of the labelled sets.
    sources = read_corpus(corpus, layer=None if any(map(is_store, corpus)) else layer)
    cells: CellStore | None = None
    repeated: list[str] = []
    for probe in sets:  # what cannot be divided or matched is refused before there is a folder
        splits = [split_of(probe, settings, seed=seed) for seed in range(settings.seeds)]
        repeated += said_of_equal_splits(probe.cells.name, splits)
        prepared = prepare(probe, splits[0], sources, settings, seed=0, drop_leaks=drop_leaks)
        if on_genes_of(graph, prepared.train) is not None:
            cells = cells or prepared.train
    is_new = out is not None and not Path(out).exists()
    if out is not None:
        folder = prepare_output_folder(out, overwrite=overwrite, owned=OWNED)
    try:
        measured = measure(
            configs,
            sets,
            sources,
            settings,
            graph=graph,
            drop_leaks=drop_leaks,
            folder=folder,
            say=say,
            show_progress=show_progress,
        )
    except ScgraphError:
        if folder is not None and is_new:
            shutil.rmtree(folder)
        raise
    say("measuring costs")
    costs = _costs(configs, settings, graph, cells)
    results = _with_costs(results_frame(measured.rows), costs)
    summary = summarise(results, margin=settings.equivalence_margin)
    together = overall(results, margin=settings.equivalence_margin)
    notes = (*measured.notes, *repeated)
    done = BenchResult(results, summary, together, tuple(costs.values()), notes, folder)
    if folder is not None:
        classes = {probe.cells.name: probe.classes for probe in sets}
        _write(done, folder, measured, classes, settings)
    return done


def as_bench_config(config: BenchConfig | str | Path | dict[str, Any]) -> BenchConfig:
    """Return the configuration behind a name, a file or plain data, laid over ``bench/default``.

    Raises:
        ConfigError: it does not exist or holds an unknown or impossible setting.
    """
    from scgraph.config import BenchConfig, laid_over, load_yaml, parse_config

    if isinstance(config, BenchConfig):
        return config
    given, source = (config, "config") if isinstance(config, dict) else (load_yaml(config), str(config))
    parse_config(BenchConfig, given, source=source)
    return parse_config(BenchConfig, laid_over(load_yaml(DEFAULT), given), source=source)


def _costs(
    configs: dict[str, ModelConfig], settings: BenchConfig, graph: GeneEdges | None, store: CellStore | None
) -> dict[str, Costs]:
    from scgraph.bench.costs import profile
    from scgraph.bench.inputs import on_genes_of
    from scgraph.bench.measuring import matmul_peak
    from scgraph.bench.protocol import settings_of
    from scgraph.train import resolve_device

    device = str(resolve_device(settings.train.device))
    peak = matmul_peak(device, settings.train.precision)
    found = {}
    for name, config in configs.items():
        train = settings_of(name, settings).train
        network = None if store is None else on_genes_of(graph, store)
        measured = profile(
            config,
            genes=train.genes if network is None else min(train.genes, network.size),
            zeros=train.zeros_beside(settings.n_top_genes or 20_000),
            vocabulary_size=settings.n_top_genes or 20_000,
            batch_size=min(train.batch_size, 16),
            device=device,
            precision=settings.train.precision,
            peak=peak,
            seconds=1.0,
            network=network,
            store=store,
        )
        found[name] = replace(measured, model=name)
    return found


def _with_costs(results: pd.DataFrame, costs: dict[str, Costs]) -> pd.DataFrame:
    from scgraph.bench.results import UNTRAINED

    base = results["model"].str.removesuffix(UNTRAINED)
    filled = results.copy()
    for column in ("multiply_adds", "saved_mb", "cells_per_second"):
        filled[column] = base.map({name: getattr(cost, column) for name, cost in costs.items()})
    return filled


def _write(
    done: BenchResult,
    folder: Path,
    measured: Measured,
    classes: dict[str, tuple[str, ...]],
    settings: BenchConfig,
) -> None:
    import pandas as pd
    import yaml

    from scgraph.bench.environment import environment
    from scgraph.bench.report import BenchReport, pictures, render
    from scgraph.bench.results import write_results
    from scgraph.files import write_atomic

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
