"""The strongest senders of every gene, found block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from scgraph.display import short_repr
from scgraph.errors import ConfigError, argument
from scgraph.nn.adjacency import LARGEST_BLOCK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.genes.tables import GeneTables, Weights

__all__ = ["Edges", "strongest_senders"]

_DIGITS = 6
"""Decimals of a weight: matrix products differ in later ones from machine to machine."""


@short_repr
@dataclass(frozen=True)
class Edges:
    """Directed, weighted edges between genes; `source` sends to `target`.

    Attributes:
        names: names of the genes.
        ensembl: their Ensembl ids, ``""`` where unknown.
        source: position of the sending gene, int64 ``[E]``.
        target: position of the receiving gene, int64 ``[E]``, ascending.
        weight: float64 ``[E]``, descending for a receiving gene.
    """

    names: tuple[str, ...]
    ensembl: tuple[str, ...]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]


def strongest_senders(
    tables: GeneTables, genes: NDArray[np.integer] | None = None, *, top_k: int = 20, weights: Weights = "logit"
) -> Edges:
    """Return the `top_k` strongest senders of every gene, itself left out.

    At most `LARGEST_BLOCK` weights are held at once, so memory grows with the genes and not with their square.

    Args:
        tables: of the model.
        genes: positions in the vocabulary ``[n]`` of those that are looked at; None for all. Senders, the mean of
            the logits and the softmax are taken among them.
        top_k: senders of a gene.
        weights: see `GeneTables.scores`.

    Raises:
        ConfigError: there are fewer than two genes, `top_k` is below 1, or the weights cannot be had.
    """
    tables.need(weights)
    if top_k < 1:
        raise ConfigError(f"{argument('top_k')} must be at least 1, not {top_k}.")
    kept = np.arange(len(tables)) if genes is None else np.asarray(genes, dtype=np.int64)
    n = len(kept)
    if n < 2:
        raise ConfigError(f"genes: a graph needs at least two genes, not {n}.")
    columns = torch.from_numpy(kept)
    size, step = min(top_k, n - 1), max(1, LARGEST_BLOCK // (n * len(tables.target)))
    senders, strengths = [], []
    for start in range(0, n, step):
        block = tables.scores(columns[start : start + step], columns, weights)
        block.diagonal(offset=start).fill_(-torch.inf)
        best, at = block.topk(size, dim=-1)
        senders.append(at.numpy())
        strengths.append(best.double().numpy())
    return Edges(
        names=tuple(tables.names[at] for at in kept),
        ensembl=tuple(tables.ensembl[at] for at in kept),
        source=np.concatenate(senders).ravel(),
        target=np.repeat(np.arange(n), size),
        weight=np.round(np.concatenate(strengths).ravel(), _DIGITS),
    )
