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
from scgraph.data import CellStore, prepare
from scgraph.errors import flag
from scgraph.genes.api import gene_embeddings, gene_graph
from scgraph.models import load_model
from scgraph.models.card import CARD, check_license, foreign_card
from scgraph.perturb import run_perturb as perturb
from scgraph.reporting.rows import REGRESSION
from scgraph.sharing import push
from scgraph.train import as_saved
from scgraph.train.denoising import denoise, denoise_file
from scgraph.train.vectors import OBSM_KEY, embed, embed_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from anndata import AnnData

    from scgraph.config import BenchConfig, PretrainConfig
    from scgraph.costs.profiling import Attention, Costs
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
    "push",
]


def pretrain(
    data: Sequence[str | Path | AnnData],
    *,
    model: str = "gnn",
    config: PretrainConfig | str | Path | dict[str, Any] = "bench/default",
    out: str | Path | None = None,
    layer: str | None = None,
    values: str | None = None,
    batch_key: str | None = None,
    obs_value_filter: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
    log: str | Sequence[str] = (),
    license: str | None = None,
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
        obs_value_filter: cells of TileDB-SOMA experiments to read, such as ``tissue == "blood"``; see
            `scgraph.data.read_cells`.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
        show_progress: show a bar.
        say: told what was read.
        log: tensorboard, wandb or mlflow, or several: what the training is followed with, beside the folder `out`.
        license: name of the licence for the card of the model, README.md in `out`, as Hugging Face names it.

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
    from scgraph.train.loggers import check_loggers, places
    from scgraph.train.neighbors import integration_note

    log = check_loggers(log, out)
    check_license(license, None if out is None else Path(out))
    settings = settings_by_model([model], as_pretrain_config(config))[model]
    edges = read_gene_network(settings)
    corpus = read_corpus(
        [data] if isinstance(data, str | Path) else data,
        layer=layer,
        values=values,
        batch_key=batch_key,
        obs_value_filter=obs_value_filter,
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
    if out is not None and foreign_card(Path(out).expanduser()):
        say(f"{out}: its {CARD} is none of scgraph's; it stays, and no card is written")
    for place in places(log, Path(out)) if log and out is not None else ():
        say(place)
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
            log=log,
            license=license,
        )
    except KeyboardInterrupt:
        if out is not None and checkpoint_file(Path(out)).is_file():
            say(f"The state of the run is saved in {out}; the same command with {flag('resume')} goes on.")
        raise
    for note in trained.notes:
        if note != noted:
            say(note)
    return trained


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
    from scgraph.data.sets.corpus import NO_CORPUS
    from scgraph.data.sets.labelled import read_spooled_set, split_of
    from scgraph.data.sets.stores import make_stores
    from scgraph.models.per_model import check_per_model
    from scgraph.models.settings import probe_settings
    from scgraph.reporting.statistics import score
    from scgraph.representations.classifier import fit_classifier, fit_probe
    from scgraph.representations.components import ComponentBaselines
    from scgraph.train.embedding import Embedder

    settings = as_bench_config(config)
    check_per_model([], settings)
    saved = as_saved(model, allow_conv=allow_conv)
    own = probe_settings(saved.model_config.name(), settings)
    labelled = read_spooled_set(
        data,
        layer=layer,
        values=values,
        label=label,
        batch_key=batch_key,
        drop_classes_below=settings.drop_classes_below,
    )
    for note in labelled.cells.notes:
        say(note)
    cells = CellStore.from_cells(labelled.cells, saved.vocabulary, min_matched=settings.min_matched)
    say(cells.match_note)
    training = saved.training()
    x = Embedder(saved.model, genes=training.genes_to_embed(), seed=training.seed, device=device)(cells)
    del cells  # values that lie on the disk go before the next are written
    y, classes = labelled.codes, len(labelled.classes)
    rows: list[dict[str, Any]] = []
    for seed in settings.repetitions:
        split = split_of(labelled, settings, seed=seed)
        if seed == settings.first_seed:
            say(split.how)
        result = fit_probe(
            x[split.train],
            y[split.train],
            x[split.validation],
            y[split.validation],
            x[split.test],
            own,
            classes=classes,
            seed=seed,
        )
        stores = make_stores(labelled, split, NO_CORPUS, settings, seed=seed, drop_leaks=True)
        components = ComponentBaselines(stores.train, settings.components, seed).fit(REGRESSION)(stores.probe)
        del stores
        train, validation = (components[rows] for rows in (split.train, split.validation))
        fitted = fit_classifier(train, y[split.train], validation, y[split.validation], classes=classes)
        beside = fitted.predict(components[split.test])
        for name, predicted in ((saved.model_config.name(), result.test_predictions), (REGRESSION, beside)):
            rows.append({"model": name, "seed": seed, **score(y[split.test], predicted), "n_test": len(split.test)})
    return rows


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
