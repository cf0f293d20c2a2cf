"""One block of the stack: norm, convolution, activation, residual, and a feed-forward where asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scgraph.errors import ConfigError, ContractError, did_you_mean
from scgraph.nn.kernels.recompute import recomputed

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.conv.base import GeneConv
    from scgraph.nn.graph import CellGraph

__all__ = ["ACTIVATIONS", "Block"]

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "none": nn.Identity}


class Block(nn.Module):
    """``x + act(conv(norm(x)))``, then ``x + W₂ gelu(W₁ norm(x))`` with a feed-forward.

    Without `norm_first` it is ``norm(x + act(conv(x)))``, then ``norm(x + W₂ gelu(W₁ x))``.

    Source: the two arrangements of Xiong et al., "On layer normalization in the Transformer" (2020); norms behind
    are those of Vaswani et al., "Attention is all you need" (2017).

    Args:
        conv: the convolution.
        activation: activation behind the convolution, a key of `ACTIVATIONS`.
        feed_forward: width of the feed-forward, 0 for none.
        dropout: share of features dropped behind the convolution and the feed-forward.
        recompute: run the block again in the backward pass in place of keeping what it computes.
        norm_first: norms in front of the convolution and the feed-forward, or behind the residual.
        inner: what stands between the two maps of the feed-forward in place of GELU.

    Raises:
        ContractError: a convolution changes its input in place where norms stand behind; in front of it the input is
            the output of the norm, which nobody else reads.

    Shapes:
        ``[B, G, C]`` to ``[B, G, C]``.
    """

    def __init__(
        self,
        conv: GeneConv,
        *,
        activation: str,
        feed_forward: int,
        dropout: float,
        recompute: bool = False,
        norm_first: bool = True,
        inner: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(f"There is no activation {activation!r}.{did_you_mean(activation, ACTIVATIONS)}")
        channels = conv.channels
        self.norm = nn.LayerNorm(channels)
        self.conv = conv
        self.activation = ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)
        self.recompute = recompute
        self.norm_first = norm_first
        self.width = feed_forward
        self.feed_forward = (
            nn.Sequential(
                nn.LayerNorm(channels),
                nn.Linear(channels, feed_forward),
                nn.GELU() if inner is None else inner,
                nn.Linear(feed_forward, channels),
                nn.Dropout(dropout),
            )
            if feed_forward
            else None
        )

    def forward(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        """Run the block."""
        if not self.recompute or not torch.is_grad_enabled():
            return self._run(x, graph, view, recompute_norm=True)
        shared = self.conv.plan(x.shape[1]).shares if graph.edge_index is None else ()
        # What layers share is computed here, so that no run below computes it as its own.
        base = None if view is None else view.with_only(shared)

        def run(x: Tensor) -> Tensor:
            return self._run(x, graph, None if base is None else base.with_only(shared), recompute_norm=False)

        draws = any(isinstance(part, nn.Dropout) and part.p > 0 for part in self.modules())
        again: Tensor = checkpoint(run, x, use_reentrant=False, preserve_rng_state=draws)
        return again

    def _run(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None, *, recompute_norm: bool) -> Tensor:
        if not self.norm_first:
            return self._run_norm_last(x, graph, view)
        with recomputed(self.norm, x, enabled=recompute_norm) as normed:
            y = self.conv(normed, graph, view)
        x = x + self.dropout(self.activation(y))
        if self.feed_forward is None:
            return x
        norm, first, *rest = self.feed_forward
        with recomputed(norm, x, enabled=recompute_norm) as normed:
            y = first(normed)
        for layer in rest:
            y = layer(y)
        result: Tensor = x + y
        return result

    def _run_norm_last(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        counted = not (x.is_inference() or torch.compiler.is_compiling())
        version = x._version if counted else 0
        y = self.conv(x, graph, view)
        if counted and x._version != version:
            raise ContractError(
                f"{type(self.conv).__name__} works in place on its input, which a block with its norms behind adds to "
                "the output. Let it work on a copy, or use norm_first=True."
            )
        x = self.norm(x + self.dropout(self.activation(y)))
        if self.feed_forward is not None:
            norm, *maps = self.feed_forward
            y = x
            for layer in maps:
                y = layer(y)
            x = norm(x + y)
        return x
