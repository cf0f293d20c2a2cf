"""What Python users call: the gene graph and the gene embeddings of a saved model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgraph.data.files.stream import cells_or_stream
from scgraph.errors import argument
from scgraph.genes.embeddings import gene_embeddings as embeddings_of
from scgraph.genes.graph import to_networkx
from scgraph.genes.selection import choose_genes
from scgraph.genes.senders import strongest_senders
from scgraph.genes.tables import AT_ITS_START, gene_tables
from scgraph.train import as_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    import networkx as nx
    from anndata import AnnData

    from scgraph.genes.senders import Edges
    from scgraph.genes.tables import Weights
    from scgraph.models import SavedModel
    from scgraph.train import Pretrained

__all__ = ["gene_embeddings", "gene_graph", "graph_and_edges"]


def gene_graph(
    model: Pretrained | SavedModel | str | Path,
    *,
    top_k: int = 20,
    weights: Weights = "logit",
    layer: int | None = None,
    genes: str | Path | Sequence[str] | None = None,
    data: str | Path | AnnData | None = None,
    values: str | None = None,
    min_share: float = 0.05,
    seed: int = 0,
    allow_conv: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> nx.DiGraph:
    """Return the learned graph of a model: the strongest senders of every gene, with hub scores and modules.

    Args:
        model: a folder, ``hf://org/name``, or what `scgraph.load_model` or `scgraph.pretrain` returned.
        top_k: senders of a gene.
        weights: ``logit`` (``A_ij`` minus the mean of row i), ``softmax`` (over the genes of the graph), or ``change``
            (the logit minus that of the start).
        layer: number of a layer, from 1, where each has tables of its own; None takes the mean.
        genes: names, a file with one a line, or None for all that training has seen.
        data: cells; genes that fewer than `min_share` of them express are left out.
        values: what the values of the cells are, where they do not show it; see `scgraph.data.read_cells`.
        min_share: least share of the cells that express a gene.
        seed: of the modules.
        allow_conv: convolutions of your own that the model may use.
        say: told what was read and left out.

    Returns:
        A directed graph; for the attributes see `scgraph.genes.to_networkx`.

    Raises:
        ScgraphError: the model has no adjacency, or cells or genes cannot be used; see its subclasses.
    """
    saved = _saved(model, allow_conv)
    return graph_and_edges(
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
    )[0]


def gene_embeddings(model: Pretrained | SavedModel | str | Path, *, allow_conv: Collection[str] = ()) -> AnnData:
    """Return the genes of a model as an AnnData whose obs are genes; see `scgraph.genes.embeddings`.

    Args:
        model: a folder, ``hf://org/name``, or what `scgraph.load_model` or `scgraph.pretrain` returned.
        allow_conv: convolutions of your own that the model may use.

    Raises:
        ModelFileError: the model cannot be read.
    """
    return embeddings_of(_saved(model, allow_conv))


def graph_and_edges(
    saved: SavedModel,
    *,
    top_k: int,
    weights: Weights,
    layer: int | None,
    genes: str | Path | Sequence[str] | None,
    data: str | Path | AnnData | None,
    values: str | None,
    min_share: float,
    seed: int,
    say: Callable[[str], None],
) -> tuple[nx.DiGraph, Edges]:
    """Return the graph of `gene_graph` and its edges."""
    tables = gene_tables(saved, layer=layer)
    tables.need(weights)
    cells = None if data is None else cells_or_stream(data, values=values)
    for note in () if cells is None else cells.notes:
        say(note)
    kept = choose_genes(tables, saved.vocabulary, genes=genes, cells=cells, min_share=min_share, say=say)
    near = tables.start_correlation(kept)
    if near is not None and near > AT_ITS_START and weights != "change":
        say(
            f"warning: the adjacency has hardly left its random start (correlation {near:.3f}): its edges are those of "
            f"random numbers. {argument('weights', 'change')} shows what training added; gene embeddings say more."
        )
    edges = strongest_senders(tables, kept, top_k=top_k, weights=weights)
    return to_networkx(edges, seed=seed), edges


def _saved(model: Pretrained | SavedModel | str | Path, allow_conv: Collection[str]) -> SavedModel:
    return as_saved(model, allow_conv=allow_conv)
