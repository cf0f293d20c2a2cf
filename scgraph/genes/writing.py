"""The graph, its hubs and the embeddings as files, each whole or not at all."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from scgraph.errors import ConfigError, OutputError
from scgraph.files import check_new_file, file_atomic, write_atomic
from scgraph.reporting.escape import csv_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import networkx as nx
    import pandas as pd
    from anndata import AnnData

    from scgraph.genes.senders import Edges

__all__ = ["check_outputs", "check_suffix", "edge_frame", "hubs_path", "tsv", "write_embeddings", "write_graph"]


def check_outputs(paths: Iterable[Path | None], *, overwrite: bool) -> None:
    """Say before any work starts why a file could not be written.

    Raises:
        OutputError: it stands there already, its folder does not exist, or two outputs have one name.
    """
    wanted = [path for path in paths if path is not None]
    for path in wanted:
        if wanted.count(path) > 1:
            raise OutputError(f"{path}: two outputs would have this name. Give them different names.")
        if path.is_dir():
            raise OutputError(f"{path}: is a folder, and a file is needed.")
        check_new_file(path, overwrite=overwrite)


def hubs_path(out: Path) -> Path:
    """Return where the hubs of a graph go: ``net.graphml`` to ``net.hubs.tsv``."""
    return out.with_name(f"{out.stem}.hubs.tsv")


def check_suffix(path: Path | None, option: str, known: tuple[str, ...]) -> None:
    """Refuse a name whose ending says no format.

    Raises:
        ConfigError: the ending is not among `known`.
    """
    if path is not None and path.suffix not in known:
        raise ConfigError(f"{option} {path}: the name must end in {' or '.join(known)}.")


def edge_frame(edges: Edges) -> pd.DataFrame:
    """Return the edges as a table: source, target, weight."""
    import numpy as np
    import pandas as pd

    names = np.asarray(edges.names, dtype=object)
    return pd.DataFrame({"source": names[edges.source], "target": names[edges.target], "weight": edges.weight})


def tsv(frame: pd.DataFrame, *, index: bool = False) -> str:
    """Return a table as text with tabs."""
    return csv_text(frame, sep="\t", index=index)


def write_graph(path: Path, graph: nx.DiGraph, edges: Edges) -> None:
    """Write the graph as GraphML, or its edges as a table.

    Raises:
        OutputError: the file cannot be written, or a gene name cannot stand in XML.
    """
    import networkx as nx

    if path.suffix == ".tsv":
        write_atomic(path, tsv(edge_frame(edges)))
        return
    buffer = io.BytesIO()
    # Not write_graphml: where lxml is installed that writes other bytes.
    nx.write_graphml_xml(graph, buffer, named_key_ids=True)
    write_atomic(path, buffer.getvalue())


def write_embeddings(path: Path, embeddings: AnnData, frame: pd.DataFrame) -> None:
    """Write the embeddings as .h5ad, or the same as a table.

    Raises:
        OutputError: the file cannot be written.
    """
    if path.suffix == ".tsv":
        write_atomic(path, csv_text(frame, sep="\t", index=True, float_format="%.7g"))
        return
    with file_atomic(path) as beside:
        embeddings.write_h5ad(beside, compression="gzip")
