"""What Python users and the command line call besides `scgraph.bench` and `scgraph.perturb`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scgraph.bench import run_bench as bench
from scgraph.bench.run import as_bench_config
from scgraph.data import prepare
from scgraph.errors import OutputError
from scgraph.network.public import gene_embeddings, gene_graph
from scgraph.perturb import run_perturb as perturb
from scgraph.train import SavedModel, load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from anndata import AnnData

    from scgraph.bench.costs import Attention, Costs
    from scgraph.config import BenchConfig, TrainConfig
    from scgraph.train import Pretrained

__all__ = [
    "OBSM_KEY",
    "bench",
    "embed",
    "embed_file",
    "gene_embeddings",
    "gene_graph",
    "load_model",
    "perturb",
    "prepare",
    "pretrain",
    "probe",
    "profile",
]

OBSM_KEY = "X_scgraph"
"""Where the vectors of the cells go in `obsm`; a record of how they came about goes into `uns`."""


def pretrain(
    data: Sequence[str | Path | AnnData],
    *,
    model: str = "gnn",
    config: BenchConfig | str | Path | dict[str, Any] = "bench/default",
    out: str | Path | None = None,
    layer: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Pretrained:
    """Pretrain a model by masked value prediction.

    A share of the cells (`validation_share`) is held out to measure the loss; the vocabulary comes from the
    others. A store brings its own vocabulary.

    Args:
        data: files or AnnData objects, or one store.
        model: a registered name, ``package.module:Class``, or a layer as ``torch_geometric.nn.SAGEConv``; with
            ``asym:`` in front, a decoder beside it; ``xtrimogene``.
        config: sizes and rates, as for `scgraph.bench`.
        out: folder for the model; None saves nothing.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
        show_progress: show a bar.
        say: told what was read.

    Raises:
        ScgraphError: the data, a setting or the folder cannot be used; see its subclasses.
    """
    from scgraph.bench.inputs import (
        corpus_notes,
        on_genes_of,
        read_corpus,
        read_graph,
        source_manifests,
        stores_to_train_on,
    )
    from scgraph.bench.protocol import model_configs, settings_of
    from scgraph.train import pretrain as train

    settings = as_bench_config(config)
    model_config = model_configs([model], settings)[model]
    settings = settings_of(model, settings)
    graph = read_graph(settings)
    corpus = read_corpus([data] if isinstance(data, str | Path) else data, layer=layer)
    for note in corpus_notes(corpus):
        say(note)
    kept, held = stores_to_train_on(corpus, settings, seed=settings.train.seed)
    network = on_genes_of(graph, kept)
    for note in () if network is None else network.notes:
        say(note)
    trained = train(
        model_config,
        settings.train_for(len(kept)),
        kept,
        held,
        out=out,
        resume=resume,
        overwrite=overwrite,
        progress=show_progress,
        manifest={"sources": source_manifests(corpus)},
        network=network,
    )
    for note in trained.notes:
        say(note)
    return trained


def embed(
    adata: AnnData,
    model: SavedModel | str | Path,
    *,
    layer: str | None = None,
    min_matched: float = 0.3,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the vectors of the cells into ``adata.obsm["X_scgraph"]`` and a record into ``adata.uns``.

    The vector of a cell depends on that cell alone: embedding a file equals embedding its pieces, in any
    order, to the last bit on a CPU. A cell without any count gets NaN, as it has nothing to be read from.

    Args:
        adata: counts or log-normalised values; changed in place.
        model: a folder, or what `scgraph.load_model` returned.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        min_matched: share of the model's genes that `adata` must hold.
        device: auto, cpu, cuda or cuda:N.
        allow_conv: convolutions of your own that the model may use.
        say: told what was read and how many genes matched.

    Returns:
        The record.

    Raises:
        ScgraphError: the data or the model cannot be used; see its subclasses.
    """
    from scgraph.data import CellStore, read_cells
    from scgraph.train import embed as vectors

    saved = model if isinstance(model, SavedModel) else load_model(model, allow_conv=allow_conv)
    cells = read_cells(adata, layer=layer)
    for note in cells.notes:
        say(note)
    store = CellStore.from_cells(cells, saved.vocabulary, min_matched=min_matched)
    say(store.match_note)
    training = _training(saved)
    found = vectors(saved.model, store, genes=training.genes_to_embed(), seed=training.seed, device=device)
    rows = adata.obs_names.get_indexer(cells.obs_names)
    whole = np.full((adata.n_obs, found.shape[1]), np.nan, dtype=np.float32)
    whole[rows] = found
    record = {
        "cells": int(adata.n_obs),
        "channels": int(found.shape[1]),
        "genes_matched": store.match_note,
        "genes_a_cell": training.genes_to_embed() or "all",
        "model": saved.model_config.name(),
        "vocabulary": saved.vocabulary.sha256,
        "versions": dict(saved.versions),
        "layer": layer or "X",
    }
    adata.obsm[OBSM_KEY] = whole
    adata.uns["scgraph"] = record
    return record


def embed_file(
    model: str | Path,
    data: str | Path,
    *,
    out: str | Path,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> dict[str, Any]:
    """Embed the cells of a file into a copy of it; see `embed`. The copy appears whole or not at all.

    Raises:
        OutputError: `out` stands there already, or cannot be written.
    """
    import anndata

    from scgraph.data import read_cells

    out = Path(out)
    if out.suffix != ".h5ad":
        raise OutputError(f"{out}: name a file that ends in .h5ad.")
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: stands there already; name another file or add --overwrite.")
    if not out.resolve().parent.is_dir():
        raise OutputError(f"{out}: the folder {out.resolve().parent.name!r} does not exist.")
    saved = load_model(model, allow_conv=options.pop("allow_conv", ()))
    read_cells(data, layer=options.get("layer"))  # checks the file before anndata trusts it
    adata = anndata.read_h5ad(data)
    record = embed(adata, saved, say=say, **options)
    beside = out.with_name(f".{out.name}.part.h5ad")
    try:
        adata.write_h5ad(beside, compression="gzip")
        beside.replace(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror or error}).") from error
    finally:
        beside.unlink(missing_ok=True)
    return record


def probe(
    model: SavedModel | str | Path,
    data: str | Path | AnnData,
    *,
    config: BenchConfig | str | Path | dict[str, Any] = "bench/default",
    label: str | None = None,
    layer: str | None = None,
    batch_key: str | None = None,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Train a linear probe on the frozen features of a saved model, once a seed.

    Returns:
        One row a seed: accuracy, balanced accuracy and macro-F1 on the test part, and its size.

    Raises:
        ScgraphError: the data or the model cannot be used; see its subclasses.
    """
    from scgraph.bench.inputs import read_probe_sets, split_of
    from scgraph.bench.statistics import score
    from scgraph.data import CellStore
    from scgraph.train import embed as vectors
    from scgraph.train import linear_probe

    settings = as_bench_config(config)
    saved = model if isinstance(model, SavedModel) else load_model(model, allow_conv=allow_conv)
    labelled = read_probe_sets(
        [data], layer=layer, label=label, batch_key=batch_key, drop_classes_below=settings.drop_classes_below
    )[0]
    for note in labelled.cells.notes:
        say(note)
    store = CellStore.from_cells(labelled.cells, saved.vocabulary, min_matched=settings.min_matched)
    say(store.match_note)
    training = _training(saved)
    x = vectors(saved.model, store, genes=training.genes_to_embed(), seed=training.seed, device=device)
    y = labelled.codes
    rows: list[dict[str, Any]] = []
    for seed in range(settings.seeds):
        split = split_of(labelled, settings, seed=seed)
        if seed == 0:
            say(split.how)
        found = linear_probe(
            x[split.train],
            y[split.train],
            x[split.validation],
            y[split.validation],
            x[split.test],
            settings.probe,
            classes=len(labelled.classes),
            seed=seed,
        )
        rows.append({"seed": seed, **score(y[split.test], found.test_predictions), "n_test": len(split.test)})
    return rows


def profile(
    models: Sequence[str],
    *,
    channels: int = 256,
    genes: int = 512,
    layers: int = 6,
    rank: int = 48,
    batch_size: int = 8,
    vocabulary_size: int = 20_000,
    zero_genes: int | Literal["all"] | None = None,
    attention: Attention = "fused",
    device: str = "auto",
    precision: str = "32-true",
    data: str | Path | None = None,
    layer: str | None = None,
    graph: str | Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Costs]:
    """Measure what models cost, all in one run; see `scgraph.bench.costs.Costs`.

    The time spent waiting for cells is measured on `data`, a file or a store, or on random cells in memory.
    With `graph` the layers are restricted to that gene network, on cells of `data` where it is given and on random
    genes of the network otherwise. `zero_genes` says how many unexpressed genes a decoder sees, as `train.zero_genes`.

    Raises:
        ConfigError: an unknown model or an impossible number.
        DataError: `data` cannot be used as it is.
    """
    from scgraph.bench.costs import profile as measure
    from scgraph.bench.inputs import read_corpus, read_graph, whole_store
    from scgraph.bench.loading import loading_rate
    from scgraph.bench.measuring import matmul_peak
    from scgraph.bench.protocol import model_configs
    from scgraph.config import BenchConfig, parse_config
    from scgraph.train import resolve_device

    plain = {
        "model": {"channels": channels, "layers": layers, "rank": rank},
        "train": {"genes": genes, "batch_size": batch_size, "precision": precision, "zero_genes": zero_genes},
        "graph": graph,
    }
    settings = parse_config(BenchConfig, plain, source="options")
    place = str(resolve_device(device))
    configs = model_configs(models, settings)
    store = None if data is None else whole_store(read_corpus([data], layer=layer))
    edges = read_graph(settings)
    network = None
    if edges is not None:
        network = edges.on(edges.vocabulary() if store is None else store.vocabulary)
        vocabulary_size = network.size
        for note in network.notes:
            say(note)
    peak = matmul_peak(place, precision)
    size = max(vocabulary_size, genes)
    zeros = settings.train.zeros_beside(size)
    loading = {
        asymmetric: loading_rate(
            genes, zeros=zeros if asymmetric else None, batch_size=batch_size, vocabulary_size=size, store=store
        )
        for asymmetric in sorted({config.asymmetric for config in configs.values()})
    }
    return [
        replace(
            measure(
                configs[name],
                genes=genes,
                zeros=zeros,
                vocabulary_size=vocabulary_size,
                batch_size=batch_size,
                device=place,
                precision=precision,
                attention=attention,
                peak=peak,
                network=network,
                store=store,
            ).waiting_at(loading[configs[name].asymmetric]),
            model=name,
        )
        for name in models
    ]


def _training(saved: SavedModel) -> TrainConfig:
    """Return the training settings that a model was saved with."""
    from scgraph.config import TrainConfig, parse_config

    return parse_config(TrainConfig, saved.metadata["training"], source="config.json of the model, training")
