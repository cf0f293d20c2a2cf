"""From a saved model to files: the graph, hubs, picture, embeddings and the enrichment of families."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scgraph.data import read_cells
from scgraph.errors import ConfigError
from scgraph.files import write_atomic
from scgraph.genes.api import graph_and_edges
from scgraph.genes.embeddings import embedding_frame, gene_embeddings
from scgraph.genes.enrichment.families import read_families
from scgraph.genes.enrichment.report import enrichment_markdown, verdicts
from scgraph.genes.enrichment.test import enrichment_test
from scgraph.genes.graph import hubs
from scgraph.genes.picture import draw_network, figure_bytes
from scgraph.genes.tables import gene_tables
from scgraph.genes.writing import check_outputs, check_suffix, hubs_path, tsv, write_embeddings, write_graph
from scgraph.models import load_model
from scgraph.reporting.escape import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    import pandas as pd

    from scgraph.genes.enrichment.test import Enrichment
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
        files: what was written.
    """

    genes: int = 0
    edges: int = 0
    modules: int = 0
    hubs: pd.DataFrame | None = None
    enrichment: Enrichment | None = None
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
    if families is not None and check is None:
        raise ConfigError("--families: belongs to --check CELLS.")
    checked = _check_paths(out) if out is not None and check is not None else None
    check_outputs([out, hubs_path(out) if out else None, *(checked or ()), embeddings, figure], overwrite=overwrite)
    patterns = _patterns(families)
    saved = load_model(model, allow_conv=allow_conv)
    result = Written()
    if out is not None or figure is not None or check is not None:
        gene_tables(saved, layer=layer).need(weights)  # refused before cells are read
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
        result.enrichment = enrichment_test(
            saved,
            read_cells(check, values=values),
            layer=layer,
            weights=weights,
            top_k=top_k,
            families=patterns,
            permutations=permutations,
            min_share=min_share,
            seed=seed,
        )
        for note in result.enrichment.notes:
            say(f"note: {note}")
        if checked is not None:
            table, page = checked
            write_atomic(table, csv_text(result.enrichment.table, float_format="%.6g"))
            write_atomic(page, enrichment_markdown(result.enrichment, title="Edges within families of genes"))
            result.files += [table, page]
    return result


_MORE = {
    "gat": "in gat the static weights are one part of the attention, times a number of every head",
    "hybrid": "in hybrid the static weights are one part of the attention; the other depends on the cell",
}


def _check_paths(out: Path) -> tuple[Path, Path]:
    return out.with_name(f"{out.stem}.check.csv"), out.with_name(f"{out.stem}.check.md")


def _patterns(families: Path | None) -> Mapping[str, str] | None:
    return None if families is None else read_families(families)
