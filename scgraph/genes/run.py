"""From a saved model to files: the graph, hubs, picture, embeddings and the enrichment of families."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.data.files.stream import cells_or_stream
from scgraph.errors import ConfigError
from scgraph.files import write_atomic
from scgraph.genes.api import graph_and_edges
from scgraph.genes.embeddings import embedding_frame, gene_embeddings
from scgraph.genes.enrichment.families import read_families
from scgraph.genes.enrichment.report import enrichment_markdown, verdicts
from scgraph.genes.enrichment.test import enrichment_test
from scgraph.genes.graph import hubs
from scgraph.genes.known.agreement import edge_agreement
from scgraph.genes.known.edges import read_known
from scgraph.genes.known.recovery import RANDOM_NETWORKS, edge_recovery
from scgraph.genes.known.report import agreement_markdown, agreement_verdict, recovery_markdown, recovery_verdicts
from scgraph.genes.picture import draw_network, figure_bytes
from scgraph.genes.tables import gene_tables
from scgraph.genes.writing import check_outputs, check_suffix, hubs_path, tsv, write_embeddings, write_graph
from scgraph.models import load_model
from scgraph.reporting.escape import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pandas as pd

    from scgraph.genes.enrichment.test import Enrichment
    from scgraph.genes.known.agreement import Agreement
    from scgraph.genes.known.recovery import Recovery
    from scgraph.genes.tables import Weights

__all__ = ["Written", "write_network"]


@dataclass
class Written:
    """What was found and written.

    Attributes:
        genes: nodes of the graph.
        edges: its edges.
        modules: its modules.
        hubs: its nodes, the strongest senders first; None where no graph was asked for.
        enrichment: of the families, on cells, where one was asked for.
        recovery: of known edges, where some were given.
        agreement: with another model, where one was given.
        files: what was written.
    """

    genes: int = 0
    edges: int = 0
    modules: int = 0
    hubs: pd.DataFrame | None = None
    enrichment: Enrichment | None = None
    recovery: Recovery | None = None
    agreement: Agreement | None = None
    files: list[Path] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        import json

        found: dict[str, Any] = {"files": [str(path) for path in self.files]}
        if self.hubs is not None:
            found |= {"genes": self.genes, "edges": self.edges, "modules": self.modules}
            found["hubs"] = json.loads(self.hubs.head(20).to_json(orient="records"))
        if self.enrichment is not None:
            found["check"] = {
                "verdicts": verdicts(self.enrichment),
                "genes": self.enrichment.genes,
                "cells": self.enrichment.cells,
                "table": json.loads(self.enrichment.table.to_json(orient="records")),
                "differences": json.loads(self.enrichment.differences.to_json(orient="records")),
            }
        if self.recovery is not None:
            found["known"] = {
                "verdicts": recovery_verdicts(self.recovery),
                "genes": self.recovery.genes,
                "table": json.loads(self.recovery.table.to_json(orient="records")),
                "differences": json.loads(self.recovery.differences.to_json(orient="records")),
            }
        if self.agreement is not None:
            found["agreement"] = {
                "verdict": agreement_verdict(self.agreement),
                "genes": self.agreement.genes,
                "table": json.loads(self.agreement.table.to_json(orient="records")),
            }
        return found


def write_network(
    model: str | Path,
    *,
    out: Path | None = None,
    top_k: int = 20,
    layer: int | None = None,
    weights: Weights = "logit",
    genes: str | None = None,
    data: str | None = None,
    values: str | None = None,
    min_share: float = 0.05,
    embeddings: Path | None = None,
    figure: Path | None = None,
    check: str | None = None,
    families: Path | None = None,
    known: Sequence[str | Path] = (),
    other: str | Path | None = None,
    permutations: int = 1000,
    seed: int = 0,
    allow_conv: Collection[str] = (),
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Written:
    """Do what ``scgraph graph`` does; see its options and docs/gene_graph.md.

    Raises:
        ConfigError: nothing is asked for, a name has no known ending, the model has no adjacency, or a number is out
            of range.
        DataError: cells or genes cannot be used.
        OutputError: a file stands there already or cannot be written.
    """
    if out is None and embeddings is None and figure is None and check is None:
        raise ConfigError("Nothing is asked for: give --out, --embeddings, --figure or --check.")
    check_suffix(out, "--out", (".graphml", ".tsv"))
    check_suffix(embeddings, "--embeddings", (".h5ad", ".tsv"))
    check_suffix(figure, "--figure", (".svg", ".png"))
    for option, given in {"--families": families, "--known": known, "--other": other}.items():
        if given and check is None:
            raise ConfigError(f"{option}: belongs to --check CELLS.")
    if other is not None and Path(other).resolve() == Path(model).resolve():
        raise ConfigError(f"--other {other}: is the model itself. Give one of another seed.")
    checked = _check_paths(out, known, other) if out is not None and check is not None else {}
    check_outputs([out, hubs_path(out) if out else None, *checked.values(), embeddings, figure], overwrite=overwrite)
    patterns = _patterns(families)
    saved = load_model(model, allow_conv=allow_conv)
    edges_known = read_known(known, saved.vocabulary)
    compared = None if other is None else load_model(other, allow_conv=allow_conv)
    result = Written()
    if out is not None or figure is not None or check is not None:
        for one in (saved, *([] if compared is None else [compared])):
            gene_tables(one, layer=layer).need(weights)  # refused before cells are read
        if saved.model_config.conv in _MORE:
            say(f"note: {_MORE[saved.model_config.conv]}")
    if out is not None or figure is not None:
        graph, edges = graph_and_edges(
            saved,
            top_k=top_k,
            weights=weights,
            layer=layer,
            genes=genes,
            data=data,
            values=values,
            min_share=min_share,
            seed=seed,
            say=say,
        )
        result.hubs = hubs(graph)
        result.genes, result.edges = graph.number_of_nodes(), graph.number_of_edges()
        result.modules = int(result.hubs["module"].max())
        if out is not None:
            write_graph(out, graph, edges)
            write_atomic(hubs_path(out), tsv(result.hubs))
            result.files += [out, hubs_path(out)]
        if figure is not None:
            write_atomic(figure, figure_bytes(draw_network(graph, seed=seed), figure.suffix))
            result.files.append(figure)
    if embeddings is not None:
        found = gene_embeddings(saved)
        write_embeddings(embeddings, found, embedding_frame(found))
        result.files.append(embeddings)
    if check is not None:
        same: dict[str, Any] = {
            "layer": layer,
            "weights": weights,
            "top_k": top_k,
            "min_share": min_share,
            "seed": seed,
        }
        cells = cells_or_stream(check, values=values)
        result.enrichment = enrichment_test(saved, cells, families=patterns, permutations=permutations, **same)
        if edges_known:
            random = min(permutations, RANDOM_NETWORKS)
            result.recovery = edge_recovery(saved, cells, edges_known, random=random, **same)
        if compared is not None:
            result.agreement = edge_agreement(saved, compared, cells, **same)
        for note in _notes(result):
            say(f"note: {note}")
        _write_check(result, checked)
    return result


def _notes(result: Written) -> list[str]:
    parts = (result.enrichment, result.recovery, result.agreement)
    return list(dict.fromkeys(note for part in parts if part is not None for note in part.notes))


def _write_check(result: Written, checked: Mapping[str, Path]) -> None:
    """Write a table for each part of a check, and the page of all."""
    assert result.enrichment is not None
    if not checked:
        return
    tables = {"check": result.enrichment.table}
    pages = [enrichment_markdown(result.enrichment, title="Edges within families of genes")]
    if result.recovery is not None:
        tables["known"] = result.recovery.table
        pages.append(recovery_markdown(result.recovery))
    if result.agreement is not None:
        tables["agreement"] = result.agreement.table
        pages.append(agreement_markdown(result.agreement))
    for name, table in tables.items():
        write_atomic(checked[name], csv_text(table, float_format="%.6g"))
    write_atomic(checked["page"], "\n".join(pages))
    result.files += [checked[name] for name in (*tables, "page")]


_MORE = {
    "gat": "in gat the static weights are one part of the attention, times a number of every head",
    "hybrid": "in hybrid the static weights are one part of the attention; the other depends on the cell",
}


def _check_paths(out: Path, known: Sequence[str | Path], other: str | Path | None) -> dict[str, Path]:
    names = {"check": "check.csv", "page": "check.md"}
    names |= {"known": "known.csv"} if known else {}
    names |= {} if other is None else {"agreement": "agreement.csv"}
    return {part: out.with_name(f"{out.stem}.{name}") for part, name in names.items()}


def _patterns(families: Path | None) -> Mapping[str, str] | None:
    return None if families is None else read_families(families)
