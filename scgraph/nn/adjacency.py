"""The factorised gene-gene adjacency: two tables with one row a gene."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from scgraph.nn.kernels import attention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scgraph.nn.graph import CellGraph

__all__ = ["LARGEST_BLOCK", "AdjacencyView", "FactorizedAdjacency"]

LARGEST_BLOCK = 2**23
"""Most logits held at once while the strongest senders are looked for: 32 MB in float32."""

Cached = TypeVar("Cached")


class FactorizedAdjacency(nn.Module):
    """Static logits ``A = T Sᵀ`` between the genes of a vocabulary, as two tables of rank R.

    ``A[i, j] = target[i] · source[j]`` weighs what gene j sends to gene i; it is the same in every cell.
    A itself, V × V, is never built: a batch looks up the rows of its genes (`view`).
    Row 0 belongs to padding and is never read.

    Source: "Graph Neural Networks as a Substitute for Transformers in Single-Cell Transcriptomics",
    Eq. 11-12 and section IV-B (two matrices of size 48 × V).

    Args:
        vocabulary_size: number of genes V, without padding.
        rank: width R of the tables.

    Shapes:
        genes ``[B, G]`` to a view with ``target`` and ``source`` ``[B, G, R]``.
    """

    def __init__(self, vocabulary_size: int, rank: int) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank must be at least 1, not {rank}")
        self.rank = rank
        self.target = nn.Parameter(torch.empty(vocabulary_size + 1, rank))
        self.source = nn.Parameter(torch.empty(vocabulary_size + 1, rank))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both tables so that a logit has standard deviation 1."""
        sd = self.rank**-0.25
        nn.init.normal_(self.target, std=sd)
        nn.init.normal_(self.source, std=sd)

    def view(self, graph: CellGraph) -> AdjacencyView:
        """Look up the rows of the genes of a batch."""
        return AdjacencyView(
            graph,
            nn.functional.embedding(graph.genes, self.target),
            nn.functional.embedding(graph.genes, self.source),
        )

    def logits(self, target_genes: Tensor, source_genes: Tensor) -> Tensor:
        """Return the logits of pairs of gene ids. ``[...]`` and ``[...]`` to ``[...]``."""
        return (self.target[target_genes] * self.source[source_genes]).sum(-1)


class AdjacencyView:
    """The adjacency between the genes of one batch.

    What a convolution asks for is computed when it first asks and kept for the forward pass, so that
    layers that share an adjacency also share its softmax, and its gradient runs through it once.

    Attributes:
        graph: the genes.
        target: rows of the receiving genes, ``[B, G, R]``.
        source: rows of the sending genes, ``[B, G, R]``.
    """

    def __init__(self, graph: CellGraph, target: Tensor, source: Tensor) -> None:
        self.graph = graph
        self.target = target
        self.source = source
        # functools.cached_property takes a lock in Python 3.11, which torch.compile cannot trace.
        self._computed: dict[str, object] = {}
        self._top_k: dict[int, Tensor] = {}
        self._last_edges: tuple[Tensor, Tensor] | None = None

    @property
    def logits(self) -> Tensor:
        """``A[i, j] = target[i] · source[j]``, ``[B, G, G]``."""
        return self._cached("logits", lambda: self.target @ self.source.transpose(1, 2))

    @property
    def softmax(self) -> Tensor:
        """Softmax of the logits over the real sending genes j, ``[B, G, G]``."""
        # Logits of its own: those of `logits` would be held as long as the view.
        return self._cached(
            "softmax",
            lambda: attention.masked_softmax(self.target @ self.source.transpose(1, 2), self.graph.key_mask()),
        )

    @property
    def positive(self) -> tuple[Tensor, Tensor]:
        """Positive features φ(T) and φ(S) with φ = softplus, zero for padding, each ``[B, G, R]``."""
        pad, softplus = self.graph.zero_padding, nn.functional.softplus
        return self._cached("positive", lambda: (pad(softplus(self.target)), pad(softplus(self.source))))

    @property
    def row_normalized(self) -> tuple[Tensor, Tensor]:
        """Tables whose product is ``D⁻¹ φ(T) φ(S)ᵀ``, each ``[B, G, R]``."""
        return self._cached("row_normalized", lambda: attention.row_normalized(*self.positive))

    @property
    def symmetric_normalized(self) -> tuple[Tensor, Tensor]:
        """Tables whose product is ``D^-1/2 φ(T) φ(S)ᵀ D^-1/2``, each ``[B, G, R]``."""
        return self._cached("symmetric_normalized", lambda: attention.symmetric_normalized(*self.positive))

    def with_only(self, names: Iterable[str]) -> AdjacencyView:
        """Return a view that holds nothing but the tables and the named properties, computed here if need be.

        A block that runs again in the backward pass takes a new one each time: what its first run computed and
        kept would not be computed when it runs again.
        """
        view = AdjacencyView(self.graph, self.target, self.source)
        for name in names:
            view._computed[name] = getattr(self, name)
        view._top_k = self._top_k  # without gradients, so that it makes no difference which layer asks first
        return view

    def _cached(self, name: str, compute: Callable[[], Cached]) -> Cached:
        if name not in self._computed:
            self._computed[name] = compute()
        computed: Cached = self._computed[name]  # type: ignore[assignment]  # one type a name
        return computed

    def edge_logits(self, edge_index: Tensor) -> Tensor:
        """Return the logits of the given edges between flattened nodes. ``[2, E]`` to ``[E]``.

        Layers that ask for the same edges one after the other share them.
        """
        if self._last_edges is None or self._last_edges[0] is not edge_index:
            source, target = edge_index
            logits = (self.target.flatten(0, 1)[target] * self.source.flatten(0, 1)[source]).sum(-1)
            self._last_edges = edge_index, logits
        return self._last_edges[1]

    def edge_weights(self, edge_index: Tensor) -> Tensor:
        """Return the positive weights φ(T)φ(S)ᵀ of the given edges. ``[2, E]`` to ``[E]``."""
        source, target = edge_index
        positive_target, positive_source = self.positive
        return (positive_target.flatten(0, 1)[target] * positive_source.flatten(0, 1)[source]).sum(-1)

    def top_k_edges(self, k: int) -> Tensor:
        """Return for each gene the edges from its k strongest senders, itself among them. ``[2, E]``.

        The logits are formed for some receiving genes at a time, at most `LARGEST_BLOCK` numbers or one gene of
        every cell, so memory grows with G and not with G². Layers that share the adjacency share the edges.
        """
        if k not in self._top_k:
            with torch.no_grad():
                self._top_k[k] = self._strongest(k)
        return self._top_k[k]

    def top_k_graph(self, k: int) -> CellGraph:
        """Return the graph with the edges from the k strongest senders of each gene, itself among them."""
        return replace(self.graph, edge_index=self.top_k_edges(k))

    def _strongest(self, k: int) -> Tensor:
        cells, genes = self.graph.genes.shape
        mask, senders = self.graph.mask, self.source.transpose(1, 2)
        offset = torch.arange(cells, device=mask.device).view(-1, 1, 1) * genes
        rows = max(1, LARGEST_BLOCK // max(1, cells * genes))
        sources, targets, keeps = [], [], []
        for start in range(0, genes, rows):
            real = mask[:, start : start + rows]
            logits = self.target[:, start : start + rows] @ senders  # [B, rows, G]
            logits.masked_fill_(~mask.unsqueeze(1), -torch.inf)
            logits.diagonal(offset=start, dim1=1, dim2=2).masked_fill_(real, torch.inf)
            best, source = logits.topk(min(k, genes), dim=-1)  # [B, rows, k]
            target = torch.arange(start, start + real.shape[1], device=mask.device).view(1, -1, 1)
            keeps.append(best.ne(-torch.inf) & real.unsqueeze(-1))
            sources.append(source + offset)
            targets.append((target + offset).expand_as(source))
        keep = torch.cat(keeps, dim=1)
        return torch.stack((torch.cat(sources, dim=1)[keep], torch.cat(targets, dim=1)[keep]))
