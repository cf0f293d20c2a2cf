"""What Python users and the command line call besides `scgraph.bench` and `scgraph.perturb`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scgraph.annotate import annotate_file
from scgraph.annotate import run_annotate as annotate
from scgraph.bench import run_bench as bench
from scgraph.config_files import as_bench_config, as_pretrain_config
from scgraph.costs.sizes import BATCH_SIZE, VOCABULARY_SIZE
from scgraph.data import prepare
from scgraph.errors import flag
from scgraph.genes.api import gene_embeddings, gene_graph
from scgraph.models import load_model
from scgraph.perturb import run_perturb as perturb
from scgraph.reporting.bars import progress_bars
from scgraph.reporting.rows import REGRESSION
from scgraph.train import as_saved
from scgraph.train.denoising import denoise, denoise_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.config import BenchConfig, PretrainConfig
    from scgraph.costs.profiling import Attention, Costs
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.data.sets.splits import Split
    from scgraph.models import SavedModel
    from scgraph.train import Pretrained

__all__ = [
    "OBSM_KEY",
    "annotate",
    "annotate_file",
    "bench",
    "denoise",
    "denoise_file",
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
    config: PretrainConfig | str | Path | dict[str, Any] = "bench/default",
    out: str | Path | None = None,
    layer: str | None = None,
    values: str | None = None,
    batch_key: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Pretrained:
    """Pretrain a model without labels, as the settings say.

    A share of the cells (`validation_share`) is held out to measure the loss; the vocabulary comes from the
    others. A store brings its own vocabulary.

    Args:
        data: files or AnnData objects, or one store.
        model: a registered name, ``package.module:Class``, or a layer as ``torch_geometric.nn.SAGEConv``; with
            ``asym:`` in front, a decoder beside it; ``xtrimogene``.
        config: sizes and rates: a `PretrainConfig`, or what `scgraph.bench` takes, so that one file serves both; what
            only a bench needs is checked and makes no difference.
        out: folder for the model; None saves nothing.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        batch_key: column of obs with donors or batches, for ``train.integration``.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
        show_progress: show a bar.
        say: told what was read.

    Raises:
        ScgraphError: the data, a setting or the folder cannot be used; see its subclasses.
    """
    from scgraph.data.sets.corpus import (
        network_on,
        read_corpus,
        read_gene_network,
        stores_to_train_on,
    )
    from scgraph.models.settings import settings_by_model
    from scgraph.train import pretrain as train
    from scgraph.train.checkpoint import checkpoint_file
    from scgraph.train.neighbors import integration_note

    settings = settings_by_model([model], as_pretrain_config(config))[model]
    edges = read_gene_network(settings)
    corpus = read_corpus(
        [data] if isinstance(data, str | Path) else data, layer=layer, values=values, batch_key=batch_key
    )
    for note in corpus.notes:
        say(note)
    train_store, validation = stores_to_train_on(corpus, settings, seed=settings.train.seed)
    network = network_on(edges, train_store)
    for note in () if network is None else network.notes:
        say(note)
    noted = integration_note([settings.train], train_store, batches_named=train_store.batches is not None, corpus=False)
    if noted:
        say(noted)
    if resume and out is not None and not checkpoint_file(Path(out)).is_file():
        say(f"{flag('resume')}: {out} holds no run to go on with; this one begins at its start.")
    try:
        trained = train(
            settings.model,
            settings.train_for(len(train_store)),
            train_store,
            validation,
            out=out,
            resume=resume,
            overwrite=overwrite,
            progress=show_progress,
            manifest={"sources": corpus.manifests},
            network=network,
        )
    except KeyboardInterrupt:
        if out is not None and checkpoint_file(Path(out)).is_file():
            say(f"The state of the run is saved in {out}; the same command with {flag('resume')} goes on.")
        raise
    for note in trained.notes:
        if note != noted:
            say(note)
    return trained


def embed(
    adata: AnnData,
    model: Pretrained | SavedModel | str | Path,
    *,
    layer: str | None = None,
    values: str | None = None,
    min_matched: float = 0.3,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the vectors of the cells into ``adata.obsm["X_scgraph"]`` and a record into ``adata.uns``.

    The vector of a cell depends on that cell alone: embedding a file equals embedding its pieces, in any
    order, to the last bit on a CPU. A cell without any count gets zeros, with a note.

    Args:
        adata: counts or log-normalised values; changed in place. Where it is backed by a file, or lazy, its matrix is
            read a block at a time.
        model: a folder, or what `scgraph.load_model` or `scgraph.pretrain` returned.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        min_matched: share of the model's genes, or else of the genes and values of `adata`, that must match.
        device: auto, cpu, cuda or cuda:N.
        allow_conv: convolutions of your own that the model may use.
        say: told what was read and how many genes matched.

    Returns:
        The record.

    Raises:
        ScgraphError: the data or the model cannot be used; see its subclasses.
    """
    from scgraph.data.files.stream import CellStream
    from scgraph.train.copies import embed_cells

    saved = as_saved(model, allow_conv=allow_conv)
    training = saved.training()
    stream = CellStream(adata, layer=layer, values=values)
    for note in stream.notes:
        say(note)
    whole, matched = embed_cells(
        saved.model,
        stream,
        saved.vocabulary,
        min_matched=min_matched,
        genes=training.genes_to_embed(),
        seed=training.seed,
        device=device,
        say=say,
    )
    record = _record(saved, whole, matched, layer)
    adata.obsm[OBSM_KEY] = whole
    adata.uns["scgraph"] = record
    return record


def embed_file(
    data: str | Path,
    model: str | Path,
    *,
    out: str | Path,
    layer: str | None = None,
    values: str | None = None,
    min_matched: float = 0.3,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Embed the cells of a file into a copy of it; see `embed`. The copy appears whole or not at all.

    The file is read in blocks and copied byte for byte, whatever else it holds; what is no .h5ad file becomes one.

    Raises:
        DataError: the file cannot be used as it is, or holds something else under the names that are written.
        OutputError: `out` stands there already, or cannot be written.
    """
    from scgraph.data.files.stream import CellStream
    from scgraph.train.copies import VECTORS, check_copy, check_place, embed_cells, write_vectors

    data, out = Path(data), Path(out)
    check_place(out, overwrite=overwrite)
    saved = load_model(model, allow_conv=allow_conv)
    training = saved.training()
    check_copy(data, out, VECTORS, width=saved.model.channels)
    stream = CellStream(data, layer=layer, values=values)
    for note in stream.notes:
        say(note)
    with progress_bars(show_progress) as begin:
        vectors, matched = embed_cells(
            saved.model,
            stream,
            saved.vocabulary,
            min_matched=min_matched,
            genes=training.genes_to_embed(),
            seed=training.seed,
            device=device,
            say=say,
            tick=begin("embedding cells"),
        )
    record = _record(saved, vectors, matched, stream.layer)
    write_vectors(stream, out, vectors, record, overwrite=overwrite, say=say)
    return record


def _record(saved: SavedModel, vectors: NDArray[np.float32], matched: str, layer: str | None) -> dict[str, Any]:
    """Say how vectors came about."""
    return {
        "cells": len(vectors),
        "channels": int(vectors.shape[1]),
        "genes_matched": matched,
        "genes_a_cell": saved.training().genes_to_embed() or "all",
        "model": saved.model_config.name(),
        "vocabulary": saved.vocabulary.sha256,
        "versions": dict(saved.versions),
        "layer": layer or "X",
    }


def probe(
    data: str | Path | AnnData,
    model: Pretrained | SavedModel | str | Path,
    *,
    config: BenchConfig | str | Path | dict[str, Any] = "bench/default",
    label: str | None = None,
    layer: str | None = None,
    values: str | None = None,
    batch_key: str | None = None,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Train a linear probe on the frozen features of a saved model, once a seed.

    The probe is that of `scgraph.bench`: `probe_per_model` of the configuration holds for the models it names.

    Returns:
        Two rows a seed, of the model and of ``pca+logreg`` on the same cells: accuracy, balanced accuracy and
        macro-F1 on the test part, and its size.

    Raises:
        ScgraphError: the data, a setting or the model cannot be used; see its subclasses.
    """
    from scgraph.data import CellStore
    from scgraph.data.sets.labelled import read_probe_sets, split_of
    from scgraph.models.per_model import check_per_model
    from scgraph.models.settings import probe_settings
    from scgraph.reporting.statistics import score
    from scgraph.representations.classifier import fit_probe
    from scgraph.train import embed as vectors

    settings = as_bench_config(config)
    check_per_model([], settings)
    saved = as_saved(model, allow_conv=allow_conv)
    own = probe_settings(saved.model_config.name(), settings)
    labelled = read_probe_sets(
        [data],
        layer=layer,
        values=values,
        label=label,
        batch_key=batch_key,
        drop_classes_below=settings.drop_classes_below,
    )[0]
    for note in labelled.cells.notes:
        say(note)
    store = CellStore.from_cells(labelled.cells, saved.vocabulary, min_matched=settings.min_matched)
    say(store.match_note)
    training = saved.training()
    x = vectors(saved.model, store, genes=training.genes_to_embed(), seed=training.seed, device=device)
    y = labelled.codes
    rows: list[dict[str, Any]] = []
    for seed in range(settings.seeds):
        split = split_of(labelled, settings, seed=seed)
        if seed == 0:
            say(split.how)
        result = fit_probe(
            x[split.train],
            y[split.train],
            x[split.validation],
            y[split.validation],
            x[split.test],
            own,
            classes=len(labelled.classes),
            seed=seed,
        )
        beside = _components_row(labelled, split, settings, seed=seed)
        for name, predicted in ((saved.model_config.name(), result.test_predictions), (REGRESSION, beside)):
            rows.append({"model": name, "seed": seed, **score(y[split.test], predicted), "n_test": len(split.test)})
    return rows


def _components_row(labelled: ProbeSet, split: Split, settings: BenchConfig, *, seed: int) -> NDArray[np.int64]:
    """Predict the test part by logistic regression on components fitted on the train part, as a bench does."""
    from scgraph.data.sets.corpus import NO_CORPUS
    from scgraph.data.sets.stores import make_stores
    from scgraph.representations.classifier import fit_classifier
    from scgraph.representations.components import ComponentBaselines

    stores = make_stores(labelled, split, NO_CORPUS, settings, seed=seed, drop_leaks=True)
    x = ComponentBaselines(stores.train, settings.components, seed).fit(REGRESSION)(stores.probe)
    y, classes = labelled.codes, len(labelled.classes)
    train, validation = (x[rows] for rows in (split.train, split.validation))
    fitted = fit_classifier(train, y[split.train], validation, y[split.validation], classes=classes)
    return fitted.predict(x[split.test])


def profile(
    models: Sequence[str],
    *,
    channels: int | None = None,
    genes: int | None = None,
    layers: int | None = None,
    rank: int | None = None,
    batch_size: int = BATCH_SIZE,
    vocabulary_size: int = VOCABULARY_SIZE,
    zero_genes: int | Literal["all"] | None = None,
    attention: Attention = "fused",
    device: str = "auto",
    precision: str = "32-true",
    data: str | Path | None = None,
    layer: str | None = None,
    values: str | None = None,
    network: str | Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Costs]:
    """Measure what models cost, all in one run; see `scgraph.costs.profiling.Costs`.

    Sizes that are not given are those of `ModelConfig` and `TrainConfig`, the paper's.
    The time spent waiting for cells is measured on `data`, a file or a store, or on random cells in memory.
    With `network` the layers are restricted to that gene network, on cells of `data` where it is given and on random
    genes of the network otherwise. `zero_genes` says how many unexpressed genes a decoder sees, as `train.zero_genes`.

    Raises:
        ConfigError: an unknown model or an impossible number.
        DataError: `data` cannot be used as it is.
    """
    from scgraph.config import PretrainConfig
    from scgraph.config_files import parse_config
    from scgraph.costs.loading import loading_rate
    from scgraph.costs.machine import matmul_peak
    from scgraph.costs.profiling import profile as measure
    from scgraph.data.sets.corpus import read_corpus, read_gene_network
    from scgraph.models.settings import settings_by_model
    from scgraph.train import resolve_device

    sizes = {"channels": channels, "layers": layers, "rank": rank}
    training = {"genes": genes, "batch_size": batch_size, "precision": precision, "zero_genes": zero_genes}
    given = {
        part: {key: value for key, value in table.items() if value is not None}
        for part, table in (("model", sizes), ("train", training))
    }
    settings = parse_config(PretrainConfig, {**given, "network": network}, source="options")
    genes = settings.train.genes
    place = str(resolve_device(device))
    configs = {name: own.model for name, own in settings_by_model(models, settings).items()}
    store = None if data is None else read_corpus([data], layer=layer, values=values).whole()
    edges = read_gene_network(settings)
    on_genes = None
    if edges is not None:
        on_genes = edges.on(edges.vocabulary() if store is None else store.vocabulary)
        vocabulary_size = on_genes.size
        for note in on_genes.notes:
            say(note)
    peak = matmul_peak(place, precision)
    size = max(vocabulary_size, genes)
    zeros = settings.train.zeros_beside(size)
    loading = {
        sees_zeros: loading_rate(
            genes, zeros=zeros if sees_zeros else None, batch_size=batch_size, vocabulary_size=size, store=store
        )
        for sees_zeros in sorted({config.sees_zeros for config in configs.values()})
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
                network=on_genes,
                store=store,
            ).waiting_at(loading[configs[name].sees_zeros]),
            model=name,
        )
        for name in models
    ]
