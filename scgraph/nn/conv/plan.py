"""How a convolution runs the complete graph of a cell, said once for all who ask."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PAIRS_FROM", "Plan"]

PAIRS_FROM = 0.03
"""Share of all pairs from which a product over all of them is quicker than messages along the edges."""


@dataclass(frozen=True)
class Plan:
    """How a convolution runs the complete graph of G genes.

    Attributes:
        path: the way it takes, in a word.
        shares: the properties of `AdjacencyView` that it reads and that layers share.
        pairs_from: where a network restricts the graph, share of all pairs from which they are quicker written as
            `CellGraph.pairs` for `complete` than as edges; None where `complete` does not keep to pairs.
        top_k: senders of a gene that the edges come from, where there is no `complete`; None for all genes of the cell.
    """

    path: str
    shares: tuple[str, ...] = ()
    pairs_from: float | None = None
    top_k: int | None = None
