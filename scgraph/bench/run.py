"""A whole bench: read, measure, write the results folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph.bench.across_sets import across_sets
from scgraph.bench.costs import busy_note, measure_costs, with_costs
from scgraph.bench.measure import measure
from scgraph.bench.plan import check_machine, plan_bench
from scgraph.bench.results import BenchResult, results_frame, summarise
from scgraph.bench.uses import chosen_uses
from scgraph.bench.uses.summary import uses_frame
from scgraph.bench.uses.transfer import TRANSFER, check_genes, read_targets, transfer_use
from scgraph.bench.writing import OWNED, notes_on_letters, write_bench, write_origin
from scgraph.config_files import as_bench_config, yaml_text
from scgraph.data import is_store
from scgraph.data.sets.corpus import read_corpus, read_gene_network
from scgraph.data.sets.labelled import check_labelled, read_probe_sets
from scgraph.errors import ConfigError, argument
from scgraph.files import output_folder
from scgraph.models.settings import settings_by_model
from scgraph.reporting.environment import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from anndata import AnnData

    from scgraph.config import BenchConfig

__all__ = ["run_bench"]


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
    uses: Sequence[str] | None = None,
    transfer: Sequence[str | Path | AnnData] = (),
    classes: str | Path | None = None,
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
        batch_key: column of obs with donors or batches, which splits keep whole, unless `split` of the configuration is
            ``"random"``, and which the use ``"batches"`` holds out in turn.
        drop_leaks: leave corpus cells out that stand in a test part; otherwise they are counted and kept.
        uses: what else every representation is asked, of `scgraph.bench.uses.USES`: ``"few"``, ``"shallow"``,
            ``"batches"``, ``"neighbors"``, ``"imputation"``, ``"scib"``; none: only all labels; None: what the
            configuration says.
        transfer: labelled cells that are classified after learning from each set, which the use ``"transfer"`` scores.
        classes: table of two columns, divided by a tab: a class of `data`, a class of `transfer` that means the same;
            None: classes of the same name, case and blanks around it ignored.
        overwrite: replace an earlier bench in `out`.
        say: told what has been done.
        show_progress: show a bar while a model is pretrained.

    Raises:
        ConfigError: an unknown model, use or setting.
        DataError: a file cannot be used as it is.
        OutputError: the folder cannot be written to; said before the work starts.
        KeyboardInterrupt: Ctrl-C; `out` keeps the rows that were finished.
    """
    if not models or not data:
        raise ConfigError("bench needs at least one model and one set of cells.")
    settings = as_bench_config(config)
    if uses is not None:
        settings = settings.model_copy(update={"uses": list(uses)})
    asked = chosen_uses(settings.uses, has_batches=batch_key is not None, has_targets=bool(transfer))
    if classes is not None and not transfer:
        raise ConfigError(
            f"{argument('classes')}: the table ties classes of two files; name the other file with "
            f"{argument('transfer')}."
        )
    by_model = settings_by_model(models, settings)
    check_machine(settings)
    network = read_gene_network(settings)
    for source in transfer:
        check_labelled(source, layer=layer, label=label)
    sets = read_probe_sets(
        data,
        layer=layer,
        values=values,
        label=label,
        batch_key=batch_key,
        drop_classes_below=settings.drop_classes_below,
    )
    targets = read_targets(transfer, sets, classes=classes, layer=layer, values=values, label=label)
    asked = tuple(transfer_use(targets) if use is TRANSFER else use for use in asked)
    # A store has no layers and one scale: what is named is then meant for the labelled sets.
    read_as = (None, None) if any(map(is_store, corpus)) else (layer, values)
    sources = read_corpus(corpus, layer=read_as[0], values=read_as[1])
    plan = plan_bench(by_model, sets, sources, settings, network=network, drop_leaks=drop_leaks, uses=asked)
    known = {one.probe.cells.name: one.first.train.vocabulary for one in plan.sets if one.first is not None}
    check_genes(targets, known, min_matched=settings.min_matched)
    for note in (*plan.notes, *(f"{one.probe.cells.name}: {one.splits[settings.first_seed].how}" for one in plan.sets)):
        say(note)
    # What earlier models have reached outlives a later one's failure, and says where it comes from.
    with output_folder(out, overwrite=overwrite, owned=OWNED, worth_keeping="results.csv") as folder:
        if folder is not None:
            write_origin(folder, config_yaml=yaml_text(settings), environment=environment())
        try:
            measured = measure(plan, folder=folder, say=say, show_progress=show_progress)
        except KeyboardInterrupt:
            if folder is not None and (folder / "results.csv").exists():
                say(f"The rows that were finished are in {folder / 'results.csv'}; the same command begins anew.")
            raise
    say("measuring costs")
    busy = busy_note()
    costs = measure_costs(plan)
    results = with_costs(results_frame(measured.rows), costs)
    summary = summarise(results, margin=settings.equivalence_margin)
    overall = across_sets(results, margin=settings.equivalence_margin)
    uses_rows = uses_frame(measured.uses)
    asked_about = [target.note for several in targets.values() for target in several]
    notes = (*measured.notes, *asked_about, *notes_on_letters(plan), *filter(None, [busy]))
    result = BenchResult(results, summary, overall, tuple(costs.values()), notes, folder, uses_rows)
    if folder is not None:
        write_bench(folder, result, measured, plan)
    return result
