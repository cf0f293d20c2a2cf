"""What one cell costs a model, as its layers state it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scgraph.display import short_repr

if TYPE_CHECKING:
    from scgraph.nn.stack import Stack

__all__ = ["Cost", "stack_cost"]


@short_repr
@dataclass(frozen=True)
class Cost:
    """Multiply-adds of the matrix products of one cell, and the weights behind them.

    The embeddings and the heads are left out, as in the paper: they are the same for every model. Weighing and adding
    messages along edges is no product of matrices.

    Attributes:
        multiply_adds: of the blocks and the static logits, of encoder and decoder.
        adjacency_multiply_adds: the part that forms the static logits, once an adjacency.
        block_parameters: weights in the blocks, without the tables of the vocabulary and the heads.
        path: how a layer runs such a cell, in a word; that of the decoder behind a comma.
        decoder_multiply_adds: the decoder's part, with what takes the encoder's features to it; 0 where there is none.
    """

    multiply_adds: int
    adjacency_multiply_adds: int
    block_parameters: int
    path: str
    decoder_multiply_adds: int = 0

    @property
    def encoder_multiply_adds(self) -> int:
        """What embedding a cell takes, which never runs a decoder."""
        return self.multiply_adds - self.decoder_multiply_adds

    def with_decoder(self, decoder: Cost, projection: int) -> Cost:
        """Return the cost of an encoder and a decoder.

        Args:
            decoder: of its blocks.
            projection: multiply-adds that take the encoder's features to the decoder.
        """
        decoding = decoder.multiply_adds + projection
        return Cost(
            multiply_adds=self.multiply_adds + decoding,
            adjacency_multiply_adds=self.adjacency_multiply_adds + decoder.adjacency_multiply_adds,
            block_parameters=self.block_parameters + decoder.block_parameters,
            path=f"{self.path}, {decoder.path}",
            decoder_multiply_adds=decoding,
        )


def stack_cost(stack: Stack, genes: int, *, edges: float | None = None) -> Cost:
    """Return what a stack of blocks costs a cell.

    Args:
        stack: the blocks and the adjacencies they read.
        genes: genes of the cell, G.
        edges: edges between them in the network that restricts them, self loops included; None for the complete graph.
            With edges a layer is run to count it.
    """
    conv = stack.blocks[0].conv
    plan = conv.plan(genes)
    path = plan.path
    if edges is None:
        layers = sum(block.conv.multiply_adds(genes, stack.rank) for block in stack.blocks)
        first = conv.adjacency_multiply_adds(genes, stack.rank)
    else:
        on_pairs = plan.pairs_from is not None and edges >= plan.pairs_from * genes**2
        path = "network pairs" if on_pairs else "network edges"
        layer, first = conv.restricted_multiply_adds(genes, stack.rank, None if on_pairs else round(edges))
        layers = layer * len(stack.blocks)
    adjacency = first * len(stack.tables)
    feed_forward = sum(2 * genes * block.conv.channels * block.width for block in stack.blocks)
    return Cost(
        multiply_adds=layers + feed_forward + adjacency,
        adjacency_multiply_adds=adjacency,
        block_parameters=sum(weight.numel() for block in stack.blocks for weight in block.parameters()),
        path=path,
    )
