"""What convolutions with queries, keys and values have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from scgraph.errors import ConfigError
from scgraph.nn.conv.base import GeneConv

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import CellGraph

__all__ = ["AttentionConv"]


class AttentionConv(GeneConv):
    """``y_i = W_o Σ_j α_ij v(x_j)`` a head, with q, k and v from one linear map, `query_key_value`, and W_o, `out`.

    A subclass states the weights α twice: `message` on edges, and `attend` on all pairs.

    Source: Vaswani et al., "Attention is all you need" (2017), section 3.2.2, https://arxiv.org/abs/1706.03762.

    Args:
        channels: width C.
        heads: number of heads H; divides C. D = C / H is the width of a head.

    Raises:
        ConfigError: the heads do not divide the width.

    Shapes:
        x ``[B, G, C]``, output ``[B, G, C]``.
    """

    activation: ClassVar[str] = "none"
    search_space: ClassVar[dict[str, Any]] = {"heads": [1, 2, 4, 8]}

    def __init__(self, channels: int, *, heads: int = 8) -> None:
        super().__init__(channels)
        if heads < 1 or channels % heads:
            raise ConfigError(f"heads ({heads}) must divide channels ({channels}).")
        self.heads = heads
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        """Draw the linear maps anew."""
        super().reset_parameters()
        self.query_key_value.reset_parameters()
        self.out.reset_parameters()

    def projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values. ``[..., C]`` to ``[..., H, D]`` each."""
        width = self.channels // self.heads
        query, key, value = self.query_key_value(x).unflatten(-1, (3, self.heads, width)).unbind(-3)
        return query, key, value

    def merged(self, y: Tensor, x: Tensor) -> Tensor:
        """Return the output for what the heads give and the input of the layer, ``[..., C]`` both."""
        out: Tensor = self.out(y)
        return out

    def on_edges(self, x: Tensor, edge_index: Tensor, **edge_inputs: Tensor) -> Tensor:
        """Attend along the edges. ``[N, C]`` to ``[N, C]``."""
        query, key, value = self.projected(x)
        y: Tensor = self.propagate(edge_index, query=query, key=key, value=value, **edge_inputs)
        return self.merged(y.flatten(1), x)

    def complete(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        """Attend over all genes of a cell at once; see `attend`."""
        query, key, value = (part.transpose(1, 2) for part in self.projected(x))
        y = self.attend(query, key, value, graph.key_mask(), view)
        return self.merged(y.transpose(1, 2).flatten(2), x)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor | None, view: AdjacencyView | None
    ) -> Tensor:
        """Return ``Σ_j α_ij v_j`` over all pairs a head.

        Args:
            query: ``[B, H, G, D]``, as are keys and values, or what `projected` makes of them.
            key: as the queries.
            value: ``[B, H, G, D]``.
            key_mask: True where a gene may send, ``[B, 1, G]`` or ``[B, G, G]``; None where all may.
            view: the static adjacency, where the layer reads it.

        Returns:
            ``[B, H, G, D]``.
        """
        raise NotImplementedError
