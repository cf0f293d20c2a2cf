"""How many edges two models have in common, such as two seeds of the same settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.display import short_repr
from scgraph.errors import ConfigError, DataError, argument
from scgraph.genes.enrichment.networks import CORRELATION, checked_genes, correlation, gene_networks, strongest
from scgraph.genes.tables import gene_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from scgraph.data import Cells, Vocabulary
    from scgraph.data.files.stream import CellStream
    from scgraph.genes.enrichment.values import GeneValues
    from scgraph.genes.tables import Weights
    from scgraph.models import SavedModel

__all__ = ["Agreement", "edge_agreement", "shared_genes"]


@short_repr
@dataclass(frozen=True)
class Agreement:
    """What a comparison of two models found.

    Attributes:
        table: one row a network. ``shared``: share of the edges of one graph that stand in the other; ``chance``: what
            is expected of two graphs in which every gene sends as many edges; ``jaccard``: edges in both over edges
            in either; ``correlation``: Pearson's r of the weights of all pairs of genes.
        genes: genes looked at.
        cells: cells whose genes were taken.
        top_k: senders of a gene.
        notes: what must be said aloud.
    """

    table: pd.DataFrame
    genes: int
    cells: int
    top_k: int
    notes: tuple[str, ...]


def edge_agreement(
    saved: SavedModel,
    other: SavedModel,
    cells: Cells | CellStream,
    *,
    layer: int | None = None,
    weights: Weights = "logit",
    top_k: int = 20,
    min_share: float = 0.05,
    seed: int = 0,
) -> Agreement:
    """Compare the strongest senders of every gene in two models.

    With ``d_j`` and ``d'_j`` the genes that gene j sends to in the two graphs of n genes and k senders each, the shared
    edges are expected by chance to be ``Σ_j d_j d'_j / ((n - 1) n k)`` of all: hubs that are the same agree for that
    alone. The networks are those of `enrichment_test`; ``correlation`` is that of one half of the cells against that of
    the other half.

    Args:
        saved: a model with an adjacency.
        other: another, such as one of the same settings and another seed.
        cells: best those that they were trained on.
        layer: see `gene_tables`.
        weights: kind of weight of ``learned``.
        top_k: senders of a gene.
        min_share: least share of the cells that express a gene.
        seed: of the halves of the cells.

    Raises:
        ConfigError: a model has no adjacency, or a number is out of range.
        DataError: fewer than three genes are known to both and expressed.
    """
    import pandas as pd

    if top_k < 1:
        raise ConfigError(f"{argument('top_k')} must be at least 1, not {top_k}.")
    sides = [(one, gene_tables(one, layer=layer)) for one in (saved, other)]
    for _, tables in sides:
        tables.need(weights)
    genes, values, notes = checked_genes(*sides[0], cells, min_share)
    theirs = shared_genes(saved.vocabulary, other.vocabulary)[genes]
    seen = sides[1][1].seen
    both = theirs >= 0 if seen is None else (theirs >= 0) & seen[theirs]
    if both.sum() < 3:
        raise DataError(
            f"{argument('other')}: {int(both.sum())} genes are known to both models and expressed by enough cells. "
            "Give a model of the same genes."
        )
    if not both.all():
        notes.append(f"{int((~both).sum()):,} of {len(genes):,} genes are not known to the other model")
    positions = (genes[both], theirs[both])
    rows = []
    for name, pair in _pairs(sides, values.of(np.flatnonzero(both)), positions, weights, seed):
        rows.append({"network": name} | _compared(pair, top_k))
    return Agreement(pd.DataFrame(rows), int(both.sum()), len(cells), top_k, tuple(notes))


def shared_genes(one: Vocabulary, other: Vocabulary) -> NDArray[np.int64]:
    """Return the position in `other` of every gene of `one`, -1 where it is unknown."""
    names = _Names(np.asarray(one.symbols, dtype=np.str_), np.asarray(one.ensembl, dtype=np.str_))
    return other.match(names).ids.astype(np.int64) - 1


@dataclass(frozen=True)
class _Names:
    symbols: NDArray[np.str_]
    ensembl: NDArray[np.str_]


def _pairs(
    sides: list[tuple[SavedModel, Any]],
    values: GeneValues,
    positions: tuple[NDArray[np.int64], NDArray[np.int64]],
    weights: Weights,
    seed: int,
) -> Iterator[tuple[str, tuple[NDArray[np.float32], NDArray[np.float32]]]]:
    """Yield the networks that both models have, and the correlation over halves of the cells."""
    made = [
        dict(gene_networks(saved, tables, values, genes, weights))
        for (saved, tables), genes in zip(sides, positions, strict=True)
    ]
    for name, make in made[0].items():
        if name == CORRELATION:
            order = np.random.default_rng([seed, 4]).permutation(values.cells)
            first = np.zeros(values.cells, dtype=np.bool_)
            first[np.array_split(order, 2)[0]] = True
            yield name, (correlation(values, first), correlation(values, ~first))
        elif name in made[1]:
            yield name, (make(), made[1][name]())


def _compared(pair: tuple[NDArray[np.float32], NDArray[np.float32]], top_k: int) -> dict[str, float]:
    n = len(pair[0])
    chosen = [strongest(one, top_k).astype(np.bool_) for one in pair]
    for one in pair:
        np.fill_diagonal(one, 0)
        one -= np.float32(one.sum(dtype=np.float64) / (n * (n - 1)))
        np.fill_diagonal(one, 0)
    first, second = pair
    moments = [
        float(np.einsum("ij,ij->i", a, b).sum(dtype=np.float64))
        for a, b in ((first, second), (first, first), (second, second))
    ]
    size = float(np.sqrt(moments[1] * moments[2]))
    edges, common = int(chosen[0].sum()), int((chosen[0] & chosen[1]).sum())
    degrees = [one.sum(axis=0, dtype=np.int64) for one in chosen]
    return {
        "shared": common / edges,
        "chance": float(degrees[0] @ degrees[1]) / ((n - 1) * edges),
        "jaccard": common / (2 * edges - common),
        "correlation": moments[0] / size if size > 0 else float("nan"),
    }
