"""The given network as a restriction: which genes of a cell may send to which."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from scgraph.errors import ConfigError

if TYPE_CHECKING:
    from scgraph.nn.graph import CellGraph

__all__ = ["LARGEST_LOOKUP", "Restriction"]

LARGEST_LOOKUP = 2**23
"""Most neighbours, and most places of genes, that are looked up at once: a few hundred MB."""


class Restriction(nn.Module):
    """``j → i`` within a cell where the network holds ``j → i`` and both genes are in the cell, or ``j = i``.

    The senders of every gene of the vocabulary lie in two buffers, as the rows of a sparse matrix: those of gene g are
    ``indices[indptr[g] : indptr[g + 1]]``, g itself among them. They are part of the state dict, so a saved model
    needs no file beside it.

    Args:
        indptr: where the senders of each gene begin, int64 ``[V + 2]``; padding, row 0, has none.
        indices: vocabulary ids of the senders, ascending within a row, int32 ``[E + V]``.

    Raises:
        ConfigError: the two are no such rows.

    Shapes:
        genes ``[B, G]`` to ``edge_index`` ``[2, E']`` of flattened nodes.
    """

    indptr: Tensor
    indices: Tensor

    def __init__(self, indptr: Tensor, indices: Tensor) -> None:
        super().__init__()
        size = indptr.numel() - 2
        steps = indptr.diff()
        whole = indptr.dim() == indices.dim() == 1 and size >= 1 and indptr.dtype == torch.int64
        if not whole or int(indptr[1]) or int(steps.min()) < 0 or int(indptr[-1]) != indices.numel():
            raise ConfigError("network: indptr does not divide indices into one row a gene, none of them for padding.")
        if (
            indices.dtype != torch.int32
            or not indices.numel()
            or not 1 <= int(indices.min()) <= int(indices.max()) <= size
        ):
            raise ConfigError(f"network: a sender is none of the {size:,} genes of the vocabulary.")
        self.size = size
        self.register_buffer("indptr", indptr)
        self.register_buffer("indices", indices)

    @classmethod
    def from_edges(cls, vocabulary_size: int, edge_index: Tensor) -> Restriction:
        """Build it from edges between vocabulary ids; self loops are added, repeats count once.

        Args:
            vocabulary_size: number of genes V, without padding.
            edge_index: ``edge_index[0]`` sends to ``edge_index[1]``, ids from 1 to V, ``[2, E]``.

        Raises:
            ConfigError: an id is no gene of the vocabulary.
        """
        edge_index = edge_index.long().reshape(2, -1)
        if edge_index.numel() and not 1 <= int(edge_index.min()) <= int(edge_index.max()) <= vocabulary_size:
            raise ConfigError(f"network: an edge joins ids outside 1 to {vocabulary_size:,}.")
        own = torch.arange(1, vocabulary_size + 1, device=edge_index.device)
        keys = torch.cat((edge_index[1] * (vocabulary_size + 1) + edge_index[0], own * (vocabulary_size + 2)))
        keys = keys.unique()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        target, source = keys // (vocabulary_size + 1), keys % (vocabulary_size + 1)
        counts = torch.bincount(target, minlength=vocabulary_size + 1)
        return cls(torch.cat((counts.new_zeros(1), counts.cumsum(0))), source.to(torch.int32))

    def edges(self, genes: Tensor) -> Tensor:
        """Return the edges between the genes of each cell, self loops among them.

        Genes that stand in many cells and have many neighbours are looked up for some cells at a time.

        Args:
            genes: vocabulary ids, each at most once a cell, 0 for padding, ``[B, G]``.

        Returns:
            Edges of flattened nodes, sorted by target, ``[2, E']`` int64.
        """
        cells, width = genes.shape
        if not genes.numel():
            return genes.new_zeros(2, 0)
        counts = self.indptr[genes + 1] - self.indptr[genes]
        most = max(int(counts.sum(dim=1).max()), self.size + 1)
        step = max(1, LARGEST_LOOKUP // most)
        parts = [
            self._edges(genes[start : start + step], counts[start : start + step]) + start * width
            for start in range(0, cells, step)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def restrict(self, graph: CellGraph, *, pairs_from: float | None = None) -> CellGraph:
        """Return the graph with the edges of the network, or with the same written as pairs ``[B, G, G]``.

        Args:
            graph: a complete graph.
            pairs_from: share of all pairs from which they are written as pairs; None always gives edges.
        """
        edge_index = self.edges(graph.genes)
        cells, width = graph.genes.shape
        if pairs_from is None or edge_index.shape[1] < pairs_from * cells * width**2:
            return replace(graph, edge_index=edge_index)
        allowed = torch.eye(width, dtype=torch.bool, device=edge_index.device).repeat(cells, 1, 1)
        allowed.view(-1)[edge_index[1] * width + edge_index[0] % width] = True
        return replace(graph, pairs=allowed)

    def _edges(self, genes: Tensor, counts: Tensor) -> Tensor:
        cells, width = genes.shape
        device = genes.device
        # Where each gene of the vocabulary stands in each cell, -1 where it is not there. Padding is nobody's sender.
        place = torch.full((cells, self.size + 1), -1, dtype=torch.int32, device=device)
        place.scatter_(1, genes, torch.arange(width, dtype=torch.int32, device=device).expand(cells, -1))
        counts = counts.flatten()
        target = torch.arange(cells * width, device=device).repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        at = torch.arange(target.numel(), device=device) + (self.indptr[genes.flatten()] - before)[target]
        first = target // width
        sender = place.view(-1)[first * (self.size + 1) + self.indices[at]]
        present = (sender >= 0).nonzero().squeeze(1)
        return torch.stack((first[present] * width + sender[present], target[present]))
