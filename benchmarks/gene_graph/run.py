"""What sense the learned gene graph makes: models pretrained with several settings, each checked with gene families.

Usage: python -m benchmarks.gene_graph.run --data CORPUS.h5ad --out FOLDER
       [--config bench/default] [--variant train.weight_decay=0.3] [--variant train.seed=1] ... [--known EDGES.csv] ...

With edges that are known, such as the targets of transcription factors, every graph is compared with them; the edges of
every variant are compared with those of the first settings.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from benchmarks.harness.script import command_line, entry_point, origin
from benchmarks.harness.text import csv_text
from scgraph.cli.options import Layer, Overwrite, bench_settings
from scgraph.cli.terminal import say, show
from scgraph.errors import ConfigError
from scgraph.files import json_text, prepare_output_folder, write_atomic

if TYPE_CHECKING:
    from scgraph.config import BenchConfig
    from scgraph.data import Cells
    from scgraph.genes import Agreement, Enrichment, Recovery

app = command_line()

DEFAULT = "default"
MODELS = "models"
OWNED: tuple[str, ...] = ("settings.csv", "shares.csv", "families.csv", "known.csv", "known_differences.csv")
OWNED += ("agreement.csv", "table.md", "network.*", "config.yaml", "environment.json")


@app.command()
def gene_graph(
    data: Annotated[str, typer.Option(help="Cells to pretrain on and to check with (.h5ad).")],
    out: Annotated[Path, typer.Option(help="Folder for the results; models that stand in it are gone on with.")],
    model: Annotated[str, typer.Option(help="The model.")] = "gnn",
    config: Annotated[str, typer.Option(help="Settings.")] = "bench/mvp",
    known: Annotated[list[Path] | None, typer.Option(help="Known edges: .tsv, .csv or .graphml.")] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="A setting that differs from the default, a run each.")
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Strongest senders of a gene.")] = 20,
    min_share: Annotated[float, typer.Option(help="Least share of the cells that express a gene.")] = 0.05,
    shares: Annotated[list[float] | None, typer.Option(help="Further such shares for the default settings.")] = None,
    permutations: Annotated[int, typer.Option(min=1, help="Permutations of each kind.")] = 1000,
    layer: Layer = None,
    overwrite: Overwrite = False,
) -> None:
    """Pretrain with the settings and with each variant, then check every graph."""
    import pandas as pd

    from benchmarks.gene_graph.comparisons import comparison_tables, comparisons
    from benchmarks.gene_graph.parts import page, setting_row
    from scgraph.api import pretrain
    from scgraph.data import CellStore, read_cells
    from scgraph.genes import (
        edge_agreement,
        edge_recovery,
        enrichment_test,
        gene_tables,
        hubs,
        read_known,
        strongest_senders,
        to_networkx,
    )
    from scgraph.genes.enrichment.networks import expressed_genes
    from scgraph.genes.picture import draw_network, figure_bytes
    from scgraph.models import load_model

    settings = {DEFAULT: bench_settings(config, [], model={}, train={})}
    for word in variant or []:
        if word in settings:
            raise ConfigError(f"--variant {word}: is named twice.")
        settings[word] = bench_settings(config, [word], model={}, train={})
    resume = (out / MODELS).is_dir()
    folder = prepare_output_folder(out, overwrite=overwrite, resume=resume and not overwrite, owned=OWNED)
    start, begun = time.perf_counter(), origin("gene_graph")
    rows: list[dict[str, Any]] = []
    cells: Cells = read_cells(data, layer=layer)
    found: dict[str, Enrichment] = {}
    edges_before = None
    recovered: dict[str, Recovery] = {}
    agreed: dict[str, Agreement] = {}
    for name, own in settings.items():
        place = folder / MODELS / slug(name)
        place.parent.mkdir(exist_ok=True)
        if not finished(place, own, len(cells)):
            say(f"{name}: pretraining")
            pretrain([data], model=model, config=own, out=place, layer=layer, resume=(place / "state").is_dir())
        saved = load_model(place)
        say(f"{name}: check")
        found[name] = enrichment_test(saved, cells, top_k=top_k, min_share=min_share, permutations=permutations)
        if known:
            edges_known = read_known(known, saved.vocabulary)
            recovered[name] = edge_recovery(saved, cells, edges_known, top_k=top_k, min_share=min_share)
        if name == DEFAULT:
            first = saved
        else:
            agreed[name] = edge_agreement(first, saved, cells, top_k=top_k, min_share=min_share)
        tables = gene_tables(saved)
        matrix = CellStore.from_cells(cells, saved.vocabulary).matrix()
        genes = expressed_genes(matrix.getnnz(axis=0), matrix.shape[0], min_share)
        genes = genes if tables.seen is None else genes[tables.seen[genes]]
        edges = strongest_senders(tables, genes, top_k=top_k)
        detected = matrix.getnnz(axis=0)[genes]
        history = pd.read_csv(place / "history.csv")
        rows.append(setting_row(name, history, tables, genes, edges, edges_before, detected))
        rows[-1] |= {"share": _share(found[name]), **_tested(found[name])}
        if edges_before is None:
            edges_before = edges
            graph = to_networkx(edges)
            write_atomic(folder / "network.hubs.tsv", hubs(graph).head(200).to_csv(sep="\t", index=False))
            write_atomic(folder / "network.png", figure_bytes(draw_network(graph), ".png"))
    levels = {
        level: enrichment_test(first, cells, top_k=top_k, min_share=level, permutations=permutations)
        for level in sorted({*(shares or []), min_share} - {min_share})
    } | {min_share: found[DEFAULT]}
    write_atomic(folder / "settings.csv", csv_text(rows))
    write_atomic(folder / "families.csv", found[DEFAULT].table.to_csv(index=False, float_format="%.6g"))
    write_atomic(folder / "shares.csv", csv_text([_level_row(level, levels[level]) for level in sorted(levels)]))
    text = page(found[DEFAULT], rows, {level: levels[level] for level in sorted(levels)})
    for file, table in comparison_tables(recovered, agreed).items():
        write_atomic(folder / file, table.to_csv(index=False, float_format="%.6g"))
    write_atomic(folder / "table.md", comparisons(recovered, agreed) + text)
    described: dict[str, Any] = {"data": data, "model": model, "known": [one.name for one in known or []]}
    described["settings"] = {name: own.model_dump(mode="json") for name, own in settings.items()}
    write_atomic(folder / "config.yaml", yaml.safe_dump(described, sort_keys=False))
    write_atomic(folder / "environment.json", json_text(begun | {"seconds": round(time.perf_counter() - start, 1)}))
    show((folder / "table.md").read_text(encoding="utf-8"))


def slug(name: str) -> str:
    """Return the folder of a variant: ``train.weight_decay=0.3`` to ``weight_decay-0.3``."""
    key, _, value = name.partition("=")
    return f"{key.rpartition('.')[2]}-{value}" if value else name


def finished(place: Path, config: BenchConfig, cells: int) -> bool:
    """Say whether a training with these settings is over, so that the corpus need not be prepared again.

    Raises:
        ConfigError: the folder holds a model of other settings.
    """
    from scgraph.models import load_model
    from scgraph.train.checkpoint import FREE, checkpoint_file, read_progress

    if not checkpoint_file(place).is_file() or not read_progress(checkpoint_file(place))[0].finished:
        return False
    kept = cells - max(1, round(config.validation_share * cells))
    asked = config.train_for(kept).model_dump(mode="json", exclude=set(FREE))
    if load_model(place).metadata["training"] != asked:
        raise ConfigError(f"{place}: holds a model of other settings. Remove it, or choose another folder.")
    return True


def _overall(sense: Enrichment, network: str) -> Any:
    table = sense.table
    return table[(table["network"] == network) & (table["permutation"] == "matched") & (table["family"] == "all")].iloc[
        0
    ]


def _share(sense: Enrichment) -> float:
    return float(_overall(sense, "learned")["share"])


def _tested(sense: Enrichment) -> dict[str, float]:
    row = _overall(sense, "learned")
    return {name: float(row[name]) for name in ("share_chance", "share_p", "specific_z")}


def _level_row(level: float, sense: Enrichment) -> dict[str, Any]:
    row: dict[str, Any] = {"min_share": level, "genes": sense.genes}
    for network in dict.fromkeys(sense.table["network"]):
        found = _overall(sense, network)
        row |= {f"{network}_share": float(found["share"]), f"{network}_chance": float(found["share_chance"])}
    return row


main = entry_point(app, "gene_graph")

if __name__ == "__main__":
    main()
