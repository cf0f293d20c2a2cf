"""Graph attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch_geometric.utils import softmax

from scgraph.errors import ConfigError
from scgraph.nn.conv.base import GeneConv
from scgraph.nn.conv.plan import Plan
from scgraph.nn.conv.registry import register_conv
from scgraph.nn.kernels.attention import pair_attention
from scgraph.nn.kernels.sorted_attention import sorted_attention

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import CellGraph

__all__ = ["GATConv"]


@register_conv("gat")
class GATConv(GeneConv):
    """Graph attention: ``y_i = Σ_j softmax_j(LeakyReLU(a_t·z_i + a_s·z_j [+ c A_ij])) z_j + b``, ``z = Θ x``.

    Each head has its own a_t, a_s and, with `use_adjacency`, its own weight c for the static logit A_ij,
    which then is the edge attribute.

    Source: Veličković et al., "Graph attention networks" (2018), Eq. 1-6,
    https://arxiv.org/abs/1710.10903; equal to PyTorch Geometric's `GATConv` without added self loops, whose edge
    attribute of width 1 is A_ij.

    Args:
        channels: width C.
        heads: number of heads H; divides C.
        use_adjacency: whether the static logits enter as the edge attribute.
        negative_slope: slope of the LeakyReLU below 0.

    Shapes:
        x ``[B, G, C]``, view of rank R with `use_adjacency`, output ``[B, G, C]``.
    """

    cost: ClassVar[str] = "G C² and a sort of G; with the adjacency G² C more"
    summary: ClassVar[str] = "graph attention, optionally with the adjacency as edge attribute"
    search_space: ClassVar[dict[str, Any]] = {"heads": [1, 2, 4, 8]}

    def __init__(
        self, channels: int, *, heads: int = 8, use_adjacency: bool = False, negative_slope: float = 0.2
    ) -> None:
        super().__init__(channels)
        if heads < 1 or channels % heads:
            raise ConfigError(f"heads ({heads}) must divide channels ({channels}).")
        if not 0 <= negative_slope <= 1:
            raise ConfigError(f"negative_slope must lie between 0 and 1, not {negative_slope}.")
        self.heads = heads
        self.negative_slope = negative_slope
        self.linear = nn.Linear(channels, channels, bias=False)
        self.target = nn.Parameter(torch.empty(heads, channels // heads))
        self.source = nn.Parameter(torch.empty(heads, channels // heads))
        self.edge = nn.Parameter(torch.empty(heads)) if use_adjacency else None
        self.bias = nn.Parameter(torch.empty(channels))
        self.uses_adjacency = use_adjacency
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        super().reset_parameters()
        self.linear.reset_parameters()
        nn.init.xavier_uniform_(self.target)
        nn.init.xavier_uniform_(self.source)
        nn.init.zeros_(self.bias)
        if self.edge is not None:
            nn.init.ones_(self.edge)

    def on_edges(self, x: Tensor, edge_index: Tensor, **edge_inputs: Tensor) -> Tensor:
        """Attend along the edges. ``[N, C]`` to ``[N, C]``."""
        z = self.linear(x).view(-1, self.heads, self.channels // self.heads)
        alpha = ((z * self.source).sum(-1), (z * self.target).sum(-1))
        y: Tensor = self.propagate(edge_index, z=z, alpha=alpha, edge_logit=edge_inputs.get("edge_logit"))
        return y.flatten(1) + self.bias

    def message(
        self,
        z_j: Tensor,
        alpha_j: Tensor,
        alpha_i: Tensor,
        edge_logit: Tensor | None,
        index: Tensor,
        ptr: Tensor | None,
        size_i: int | None,
    ) -> Tensor:
        """``α_ij z_j`` a head, ``[E, H, D]``."""
        logits = alpha_j + alpha_i
        if edge_logit is not None and self.edge is not None:
            logits = logits + edge_logit.unsqueeze(-1) * self.edge
        logits = leaky_relu(logits, self.negative_slope)
        alpha: Tensor = softmax(logits, index, ptr, size_i)
        return alpha.unsqueeze(-1) * z_j

    def complete(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        """Attention from two numbers a gene and head: sorted sums, or ``[B, H, G, G]`` with the adjacency or pairs."""
        cells, genes, channels = x.shape
        z = self.linear(x).view(cells, genes, self.heads, channels // self.heads)
        if self.edge is None and graph.pairs is None:
            y = sorted_attention(z, self.target, self.source, graph.key_mask(), self.negative_slope)
            return y.flatten(2) + self.bias
        z = z.transpose(1, 2)  # [B, H, G, D]
        receives, sends = ((z * weight.unsqueeze(1)).sum(-1) for weight in (self.target, self.source))
        logits = receives.unsqueeze(-1) + sends.unsqueeze(-2)
        if self.edge is not None:
            assert view is not None
            logits = logits + view.logits.unsqueeze(1) * self.edge.view(-1, 1, 1)
        y = pair_attention(leaky_relu(logits, self.negative_slope), graph.key_mask(), z)
        return y.transpose(1, 2).flatten(2) + self.bias

    def plan(self, genes: int) -> Plan:
        """Sorted sums, or all pairs with the static logits that layers share; those of a network are all formed."""
        if self.edge is None:
            return Plan("sorted sums", pairs_from=0.25)
        return Plan("all pairs", shares=("logits",), pairs_from=0.25)

    def multiply_adds(self, genes: int, rank: int) -> int:
        """``G C²``, and ``G² C`` with the adjacency; elementwise products and the sort are not counted."""
        pairs = 0 if self.edge is None else genes**2 * self.channels
        return genes * self.channels**2 + pairs
