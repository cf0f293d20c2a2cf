"""A stack of blocks around one convolution: built and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from scgraph.errors import ConfigError
from scgraph.nn.adjacency import FactorizedAdjacency
from scgraph.nn.block import Block
from scgraph.nn.conv.registry import conv_class

if TYPE_CHECKING:
    from scgraph.nn.conv.base import GeneConv
    from scgraph.nn.graph import CellGraph

__all__ = ["Stack", "build_adjacencies", "build_blocks", "build_convs"]


def build_convs(
    conv: str | type[GeneConv], channels: int, layers: int, options: dict[str, Any] | None
) -> list[GeneConv]:
    """Build a convolution a layer.

    Raises:
        ConfigError: an unknown name, or an option the convolution does not take.
    """
    cls = conv_class(conv) if isinstance(conv, str) else conv
    options = options or {}
    try:
        return [cls(channels, **options) for _ in range(layers)]
    except TypeError as error:
        raise ConfigError(
            f"{cls.__name__} cannot be built with channels={channels} and conv_options {options}: {error}."
        ) from error


def build_blocks(
    convs: list[GeneConv], *, activation: str | None, feed_forward: int | None, dropout: float, recompute: bool
) -> nn.ModuleList:
    """Put each convolution into a block; None takes what the convolution asks for."""
    cls = type(convs[0])
    if feed_forward is None:
        feed_forward = convs[0].channels if cls.feed_forward else 0
    return nn.ModuleList(
        Block(
            conv,
            activation=activation or cls.activation,
            feed_forward=feed_forward,
            dropout=dropout,
            recompute=recompute,
        )
        for conv in convs
    )


def build_adjacencies(convs: list[GeneConv], vocabulary_size: int, rank: int, *, shared: bool) -> nn.ModuleList:
    """Build the tables of the static logits: one pair or one a layer, none where the convolution reads none."""
    tables = (1 if shared else len(convs)) if convs[0].uses_adjacency else 0
    return nn.ModuleList(FactorizedAdjacency(vocabulary_size, rank) for _ in range(tables))


class Stack:
    """What can be done with blocks and the adjacencies they read.

    It holds no weights of its own: the module that owns both names them in the state dict.

    Args:
        blocks: the blocks, in order.
        adjacencies: as many as blocks, one for all, or none.
        rank: rank R of the adjacencies.
    """

    def __init__(self, blocks: nn.ModuleList, adjacencies: nn.ModuleList, rank: int) -> None:
        self.blocks = [block for block in blocks if isinstance(block, Block)]
        self.tables = [table for table in adjacencies if isinstance(table, FactorizedAdjacency)]
        self.rank = rank

    @property
    def channels(self) -> int:
        """Width C of the features."""
        return self.blocks[0].conv.channels

    def run(self, x: Tensor, graph: CellGraph) -> Tensor:
        """Run the blocks one after another. ``[B, G, C]`` to ``[B, G, C]``."""
        views = [table.view(graph) for table in self.tables]
        for number, block in enumerate(self.blocks):
            x = block(x, graph, views[number % len(views)] if views else None)
        return x
