"""The genes of a batch of cells as graphs, complete unless edges are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch_geometric.data import Batch, Data
from torch_geometric.utils import to_dense_batch

from scgraph.display import short_repr

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CellGraph"]


@short_repr
@dataclass(frozen=True)
class CellGraph:
    """One graph a cell: its genes are the nodes, and every gene sends to every gene, itself included.

    The complete graph is never written down: `edge_index` is None, and a convolution with a
    `complete` path works on dense ``[B, G, C]`` features. With edges, node ``b * G + g`` is gene g of
    cell b and ``edge_index[0]`` sends to ``edge_index[1]``, as in PyTorch Geometric.

    Attributes:
        genes: vocabulary ids, 0 where a cell is shorter than the batch is wide. ``[B, G]`` int64.
        edge_index: edges between flattened nodes, ``[2, E]`` int64; None for the complete graph.
        pairs: True where a gene of the third axis may send to one of the second, ``[B, G, G]``, where a network
            restricts the complete graph and a layer computes it without edges. The diagonal is True, and padding
            sends to nobody else. None where there are edges, or every gene sends to every gene.
        padded: whether some id may be 0. Known on the host, so that a batch without padding costs no
            mask (and a GPU no synchronisation). True is always safe.
    """

    genes: Tensor
    edge_index: Tensor | None = None
    padded: bool = True
    pairs: Tensor | None = None

    @property
    def mask(self) -> Tensor:
        """True for real genes, ``[B, G]``."""
        return self.genes.ne(0)

    @property
    def is_complete(self) -> bool:
        """Whether every gene of a cell sends to every gene of the cell."""
        return self.edge_index is None and self.pairs is None

    def key_mask(self) -> Tensor | None:
        """True where a gene may be attended to, ``[B, 1, G]``, or `pairs`; None when nothing is padded.

        A cell without any gene keeps its first column, since a softmax over nothing is not a number;
        its output is zeroed as padding anyway.
        """
        if self.pairs is not None:
            return self.pairs
        if not self.padded:
            return None
        mask = self.mask
        empty = ~mask.any(dim=1)
        first = torch.zeros_like(mask)
        first[:, 0] = empty
        return (mask | first).unsqueeze(1)

    def zero_padding(self, x: Tensor) -> Tensor:
        """Set the features of padding to zero. ``[B, G, C]`` to ``[B, G, C]``."""
        return x * self.mask.unsqueeze(-1).to(x.dtype) if self.padded else x

    def with_complete_edges(self) -> CellGraph:
        """Write the complete graph, or its `pairs`, down as edges: for small graphs and for tests only."""
        _cells, genes = self.genes.shape
        mask = self.mask
        pairs = mask.unsqueeze(2) & mask.unsqueeze(1)  # [B, target, source]
        if self.pairs is not None:
            pairs = pairs & self.pairs
        cell, target, source = pairs.nonzero(as_tuple=True)
        edge_index = torch.stack((cell * genes + source, cell * genes + target))
        return replace(self, edge_index=edge_index, pairs=None)

    def to_batch(
        self, x: Tensor | None = None, values: Tensor | None = None, edge_logits: Tensor | None = None
    ) -> Batch:
        """Convert to a `torch_geometric.data.Batch` with one `Data` a cell and no padding nodes.

        Args:
            x: node features, ``[B, G, C]``.
            values: expression, ``[B, G]``.
            edge_logits: one number an edge of `edge_index`, ``[E]``; becomes `edge_attr`.

        Raises:
            ValueError: edge logits for a graph that has no edges written down.
        """
        if self.edge_index is None and edge_logits is not None:
            raise ValueError(
                "edge_logits belong to edges: call with_complete_edges or AdjacencyView.top_k_graph first."
            )
        edge_index = self.edge_index if self.edge_index is not None else self.with_complete_edges().edge_index
        if edge_index is None:
            raise AssertionError("a graph with edges has an edge_index")
        width = self.genes.shape[1]
        mask = self.mask
        position = mask.cumsum(dim=1) - 1  # place of a real gene among the real genes of its cell
        cell_of_edge = edge_index[0] // width
        cells = []
        for b in range(self.genes.shape[0]):
            keep = mask[b]
            own = cell_of_edge == b
            data = Data(edge_index=position[b][edge_index[:, own] - b * width], genes=self.genes[b][keep])
            if x is not None:
                data.x = x[b][keep]
            if values is not None:
                data.values = values[b][keep]
            if edge_logits is not None:
                data.edge_attr = edge_logits[own]
            data.num_nodes = int(keep.sum())
            cells.append(data)
        return Batch.from_data_list(cells)

    @classmethod
    def from_batch(cls, batch: Batch) -> tuple[CellGraph, Tensor | None]:
        """Convert back: the graph with its edges, and the node features as ``[B, G, C]`` if there are any."""
        genes, mask = to_dense_batch(batch.genes, batch.batch, batch_size=batch.num_graphs)
        width = genes.shape[1]
        place = mask.flatten().nonzero().squeeze(1)  # flattened dense position of every node
        graph = cls(genes=genes, edge_index=place[batch.edge_index], padded=not bool(mask.all()))
        if batch.x is None:
            return graph, None
        dense = batch.x.new_zeros((genes.shape[0] * width, *batch.x.shape[1:]))
        dense = dense.index_copy(0, place, batch.x)
        return graph, dense.view(genes.shape[0], width, *batch.x.shape[1:])
