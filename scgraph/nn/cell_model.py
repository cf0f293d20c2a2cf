"""What all models have: genes and values become features, blocks mix them, a readout makes the vector of the cell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from scgraph.display import short_repr
from scgraph.errors import ConfigError, did_you_mean
from scgraph.nn.bag import GeneBag
from scgraph.nn.cost import Cost, stack_cost
from scgraph.nn.encoder import GeneEncoder
from scgraph.nn.graph import CellGraph
from scgraph.nn.head import CellHead, ValueHead
from scgraph.nn.positional import GenePositions
from scgraph.nn.readout import LINEAR_SHARE, READOUTS, CellLayers, MeanReadout, PooledReadout
from scgraph.nn.stack import Stack, build_adjacencies, build_blocks, build_convs

if TYPE_CHECKING:
    from scgraph.nn.conv.base import GeneConv
    from scgraph.nn.network import Restriction

__all__ = ["CellModel", "Encoded", "ModelOutput"]


@short_repr
@dataclass(frozen=True)
class ModelOutput:
    """What a forward pass gives.

    Attributes:
        values: predicted value of every gene of the cell, ``[B, G]``, zero for padding.
        cell: features of the cell, ``[B, C]``.
        cell_values: values of the queried genes predicted from `cell` alone, ``[B, K]``, if there is a head.
    """

    values: Tensor
    cell: Tensor
    cell_values: Tensor | None


@dataclass(frozen=True)
class Encoded:
    """Features of the genes of a batch.

    Attributes:
        graph: the genes, ``[B, G]``.
        values: their expression, ``[B, G]``.
        first: features in front of the first block, ``[B, G, C]``.
        last: features behind the last block, before the last norm, ``[B, G, C]``.
    """

    graph: CellGraph
    values: Tensor
    first: Tensor
    last: Tensor


class CellModel(nn.Module, ABC):
    """Gene and value embedding → L blocks (norm, conv, activation, residual) → norm → readout, and heads.

    What predicts the values of the genes is a subclass's own; the vector of a cell is that of `embed` for all of them.

    Args:
        vocabulary_size: number of genes V, without padding.
        conv: a registered name or a subclass of `GeneConv`.
        channels: width C.
        layers: number of blocks L.
        rank: rank R of the adjacency.
        shared_adjacency: one pair of tables for all layers, or one a layer.
        value_encoding: see `GeneEncoder`.
        value_bins: bins of the value encodings that have some.
        values: what is made of the values at the input, see `scgraph.nn.transforms.ValueTransform`.
        readout: "mean" of the features of the genes, or "pooled", see `PooledReadout`, which needs the product
            encoding; "linear+pooled" also puts half its linear part in front where cells are embedded.
        cell_layers: residual layers on the vector of the cell, see `CellLayers`.
        cell_width: their hidden width.
        embedding_sd: standard deviation of its tables at the start.
        dropout: share of features dropped in the blocks.
        activation: activation behind the convolution; None takes the convolution's own.
        feed_forward: width of the feed-forward, 0 for none; None takes C where the convolution asks for one.
        cell_head: whether values are also predicted from the cell's vector.
        readout_norm: whether the readout averages the features behind the last norm, as the value head reads
            them, or before it. Before it the vector of a cell keeps how strongly each gene is expressed: with
            the product encoding and without blocks it is a linear map of the expression vector. It makes no
            difference to the pooled readout, which reads no norm.
        recompute: run the blocks again in the backward pass in place of keeping what they compute: about a third
            more multiply-adds, a fraction of the memory, the same numbers.
        conv_options: keyword arguments of the convolution.
        network: which genes may send to which; None for all to all. Saved with the weights.
        positions: place of every gene in a network, ``[V + 1, k]``, see `positional_encoding`; a linear map of it
            is added to the embedding of the gene. Saved with the weights.

    Raises:
        ConfigError: an unknown name, or a number out of range.

    Attributes:
        sees_zeros: whether it is shown unexpressed genes beside the expressed ones.
        takes_network: whether a gene network can restrict it or tell it the places of its genes.
    """

    sees_zeros: ClassVar[bool] = False
    takes_network: ClassVar[bool] = True

    def __init__(
        self,
        vocabulary_size: int,
        *,
        conv: str | type[GeneConv] = "gnn",
        channels: int,
        layers: int,
        rank: int,
        shared_adjacency: bool = True,
        value_encoding: str = "linear",
        value_bins: int = 32,
        values: str = "log1p",
        readout: str = "mean",
        cell_layers: int = 0,
        cell_width: int = 256,
        embedding_sd: float = 1.0,
        dropout: float = 0.0,
        activation: str | None = None,
        feed_forward: int | None = None,
        cell_head: bool = False,
        readout_norm: bool = True,
        recompute: bool = False,
        conv_options: dict[str, Any] | None = None,
        network: Restriction | None = None,
        positions: Tensor | None = None,
    ) -> None:
        super().__init__()
        for name, number in {
            "vocabulary_size": vocabulary_size,
            "channels": channels,
            "layers": layers,
            "rank": rank,
        }.items():
            if number < 1:
                raise ConfigError(f"{name} must be at least 1, not {number}.")
        self.channels = channels
        self.rank = rank
        convs = build_convs(conv, channels, layers, conv_options)
        self.encoder = GeneEncoder(
            vocabulary_size, channels, value_encoding=value_encoding, sd=embedding_sd, bins=value_bins, values=values
        )
        self.blocks = build_blocks(
            convs, activation=activation, feed_forward=feed_forward, dropout=dropout, recompute=recompute
        )
        self.adjacencies = build_adjacencies(convs, vocabulary_size, rank, shared=shared_adjacency)
        self.norm = nn.LayerNorm(channels)
        self.readout_norm = readout_norm
        if readout not in READOUTS:
            raise ConfigError(f"model.readout: there is no readout {readout!r}.{did_you_mean(readout, READOUTS)}")
        if readout != "mean" and value_encoding != "product":
            raise ConfigError(
                f"model.readout: {readout} sums the table of the product encoding; use value_encoding product."
            )
        self.readout = MeanReadout()
        self.pooled_readout = None if readout == "mean" else PooledReadout(channels)
        self.linear_in_front = readout == "linear+pooled"
        self.cell_layers = CellLayers(channels, layers=cell_layers, width=cell_width) if cell_layers else None
        self.value_head = ValueHead(channels)
        self.cell_head = CellHead(vocabulary_size, channels) if cell_head else None
        sizes = {"network": network and network.size, "positions": None if positions is None else len(positions) - 1}
        for name, size in sizes.items():
            if size not in (None, vocabulary_size):
                raise ConfigError(f"{name}: is of {size:,} genes, and the vocabulary has {vocabulary_size:,}.")
        self.network = network
        self.positions = None if positions is None else GenePositions(positions, channels)

    @abstractmethod
    def forward(
        self,
        genes: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        *,
        query: Tensor | None = None,
        edge_index: Tensor | None = None,
        padded: bool = True,
        bag: GeneBag | None = None,
    ) -> ModelOutput:
        """Predict the values of all genes and embed the cells.

        Args:
            genes: vocabulary ids, 0 for padding, ``[B, G]`` int64.
            values: expression, ``[B, G]``.
            mask: True where the value is hidden from the model, ``[B, G]``; None hides nothing.
            query: genes whose values the cell head predicts, ``[K]`` or ``[B, K]``; None takes `genes`.
            edge_index: edges between flattened nodes, ``[2, E]``; None for the complete graph, or what the
                network leaves of it.
            padded: False promises that no id is 0 and saves the masks.
            bag: all expressed genes of the cells, for the pooled readout, where `genes` are a sample of them.
        """

    @abstractmethod
    def features(
        self,
        graph: CellGraph,
        values: Tensor,
        mask: Tensor | None = None,
        *,
        width: int | None = None,
        bag: GeneBag | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of the cells ``[B, C]``, and what the value head reads, before its norm.

        Args:
            graph: the genes, ``[B, G]``.
            values: expression, ``[B, G]``.
            mask: True where the value is hidden, ``[B, G]``; None hides nothing.
            width: most genes of a cell that are expressed and not hidden; None counts them where it matters.
            bag: all expressed genes of the cells, for the pooled readout; None where the given ones are all.
        """

    def encode(self, graph: CellGraph, values: Tensor, mask: Tensor | None = None) -> Encoded:
        """Return the features of the genes before and behind the blocks."""
        first = self.embedded(graph, values, mask)
        return Encoded(graph, values, first, self.stack.run(first, self.restricted(graph)))

    def embedded(self, graph: CellGraph, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features of the genes in front of the first block, with hints of their place, ``[B, G, C]``."""
        x: Tensor = self.encoder(graph, values, mask)
        return x if self.positions is None else x + self.positions(graph)

    def restricted(self, graph: CellGraph) -> CellGraph:
        """Return the graph that the blocks run on: with the edges of the network, if there is one, or its pairs."""
        if self.network is None or not graph.is_complete:
            return graph
        return self.network.restrict(graph, pairs_from=self.stack.blocks[0].conv.plan(graph.genes.shape[1]).pairs_from)

    def embed(self, genes: Tensor, values: Tensor, bag: GeneBag | None = None) -> Tensor:
        """Return the vectors of the cells with nothing masked. ``[B, G]`` to ``[B, width]``; `bag` as in `forward`.

        With the linear part in front they are ``[l / 2, z]``, ``[B, 2 C]``: that of `linear_vector` and `cell_vector`.
        """
        encoded = self.encode(CellGraph(genes), values)
        if not self.linear_in_front:
            return self.cell_vector(encoded, bag=bag)
        whole = GeneBag.of_padded(genes, values) if bag is None else bag
        return torch.cat([LINEAR_SHARE * self.linear_vector(whole), self.cell_vector(encoded, bag=whole)], dim=1)

    def cell_vector(self, encoded: Encoded, *, normed: Tensor | None = None, bag: GeneBag | None = None) -> Tensor:
        """Return the vectors of the cells, ``[B, C]``.

        Args:
            encoded: features of the genes.
            normed: their last norm, where it has been computed.
            bag: all expressed genes of the cells, for the pooled readout; None where the encoded ones are all.
        """
        graph, x = encoded.graph, encoded.last
        cell: Tensor
        if self.pooled_readout is not None:
            whole = GeneBag.of_padded(graph.genes, encoded.values) if bag is None else bag
            cell = self.pooled_readout(self.encoder.sums(whole), self.readout(x - encoded.first, graph))
        elif self.readout_norm:
            cell = self.readout(self.norm(x) if normed is None else normed, graph)
        else:
            cell = self.readout(x, graph)
        return cell if self.cell_layers is None else self.cell_layers(cell)

    def linear_vector(self, bag: GeneBag) -> Tensor:
        """Return the pooled input of cells, which is their vector before anything was learned, ``[B, C]``.

        Raises:
            ConfigError: the readout is not the pooled one.
        """
        if self.pooled_readout is None:
            raise ConfigError("model.readout: only the pooled readout has a linear part; use readout pooled.")
        return self.pooled_readout.linear(self.encoder.sums(bag))

    def log_shares(self, cell: Tensor) -> Tensor:
        """Return the logarithm of the share of its counts that a cell is expected to have in every gene, ``[B, V]``.

        Args:
            cell: vectors of `cell_vector` ``[B, C]``.

        Raises:
            ConfigError: the model has no cell head.
        """
        if self.cell_head is None:
            raise ConfigError("model.cell_head: this model expects nothing of the genes of a cell; set it to true.")
        return self.cell_head.log_shares(cell)

    def cost(self, genes: int, *, zeros: int | None = None, edges: float = 0) -> Cost:
        """Return what one cell costs.

        Args:
            genes: expressed genes of the cell, G.
            zeros: unexpressed genes beside them where `sees_zeros`; None takes as many.
            edges: edges between the genes in the network, self loops included, where there is one.
        """
        return stack_cost(self.stack, genes, edges=None if self.network is None else edges)

    @property
    def width(self) -> int:
        """Numbers of the vector of an embedded cell: C, or 2 C with the linear part in front."""
        return 2 * self.channels if self.linear_in_front else self.channels

    @property
    def stack(self) -> Stack:
        """The blocks and the adjacencies they read, which embed the cell."""
        return Stack(self.blocks, self.adjacencies, self.rank)

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """All stacks of blocks, that which embeds the cell first."""
        return (self.stack,)
