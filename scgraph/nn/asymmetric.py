"""An asymmetric encoder-decoder: the encoder sees what is expressed, a light decoder all genes of a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from scgraph.errors import ConfigError
from scgraph.nn.cell_model import CellModel, ModelOutput
from scgraph.nn.cost import Cost, stack_cost
from scgraph.nn.graph import CellGraph
from scgraph.nn.head import ValueHead
from scgraph.nn.kernels.recompute import recomputed
from scgraph.nn.stack import Stack, build_adjacencies, build_blocks, build_convs

if TYPE_CHECKING:
    from scgraph.nn.bag import GeneBag
    from scgraph.nn.conv.base import GeneConv

__all__ = ["AsymmetricModel", "ValueDecoder", "decoder_width", "shown_genes"]

_SHARED = ("shared_adjacency", "embedding_sd", "dropout", "recompute")


class ValueDecoder(nn.Module):
    """``x_i = D[g_i] + P h_i`` for all genes of a panel, then blocks and a norm.

    ``h_i`` is what the encoder gives for a gene it saw, the zero token for a gene that is shown as unexpressed, and
    the mask token of the encoder for a gene whose value is hidden, whether it is zero or not.

    Args:
        vocabulary_size: number of genes V, without padding.
        encoded_channels: width C of what the encoder gives.
        conv: a registered name or a subclass of `GeneConv`.
        channels: width C' of the decoder.
        layers: number of blocks.
        rank: rank R of the adjacency, where the convolution reads one.
        options: keyword arguments of the convolution.
        shared_adjacency: one pair of tables for all layers, or one a layer.
        embedding_sd: standard deviation of the gene table and the zero token at the start.
        dropout: share of features dropped in the blocks.
        recompute: run the blocks again in the backward pass in place of keeping what they compute.

    Shapes:
        genes ``[B, P]``, encoded ``[B, W, C]`` to ``[B, P, C']``.
    """

    def __init__(
        self,
        vocabulary_size: int,
        encoded_channels: int,
        *,
        conv: str | type[GeneConv],
        channels: int,
        layers: int,
        rank: int,
        options: dict[str, Any] | None = None,
        shared_adjacency: bool = True,
        embedding_sd: float = 1.0,
        dropout: float = 0.0,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.rank = rank
        self.gene = nn.Embedding(vocabulary_size + 1, channels, padding_idx=0)
        nn.init.normal_(self.gene.weight, std=embedding_sd)
        with torch.no_grad():
            self.gene.weight[0].zero_()
        self.zero_token = nn.Parameter(embedding_sd * torch.randn(encoded_channels))
        self.project = nn.Linear(encoded_channels, channels)
        convs = build_convs(conv, channels, layers, options)
        self.blocks = build_blocks(convs, activation=None, feed_forward=None, dropout=dropout, recompute=recompute)
        self.adjacencies = build_adjacencies(convs, vocabulary_size, rank, shared=shared_adjacency)
        self.norm = nn.LayerNorm(channels)

    def forward(
        self, graph: CellGraph, encoded: Tensor, shown: Tensor, mask: Tensor | None, mask_token: Tensor
    ) -> Tensor:
        """Return the features of all genes of the panel, before the norm.

        Args:
            graph: the genes of the panel, ``[B, P]``.
            encoded: features of the shown genes, in their order, ``[B, W, C]``.
            shown: True for the genes that the encoder saw, ``[B, P]``.
            mask: True where the value is hidden, ``[B, P]``; None hides nothing.
            mask_token: what stands for a hidden value, ``[C]``.
        """
        cells, width, _ = encoded.shape
        rows = self.project(torch.cat((encoded.flatten(0, 1), torch.stack((self.zero_token, mask_token)))))
        first = torch.arange(cells, device=shown.device).unsqueeze(1) * width
        hidden = cells * width + (torch.zeros_like(graph.genes) if mask is None else mask.long())
        # One lookup of rows: much faster on a CPU than scattering features along an expanded index.
        row = torch.where(shown, first + shown.cumsum(dim=1) - 1, hidden)
        x = graph.zero_padding(self.gene(graph.genes) + embedding(row, rows))
        return self.stack.run(x, graph)

    @property
    def stack(self) -> Stack:
        """The blocks and the adjacencies they read."""
        return Stack(self.blocks, self.adjacencies, self.rank)


class AsymmetricModel(CellModel):
    """The blocks of a `CellModel` on the expressed, unmasked genes; a `ValueDecoder` on all genes of a panel.

    With W genes seen, P genes in the panel, and linear attention of M features in L' decoder layers of width C', a
    cell costs ``L (6·W·C² + 2·W²·C) + W·C·C' + L' P (6·C'² + 4·M·C' + M·H)`` multiply-adds where both are attention
    (`tf` and `performer`): the square is over the few genes that are expressed, the vocabulary is paid once a gene.

    The vector of a cell comes from the encoder alone, so embedding never runs the decoder.

    Source: Gong et al., "xTrimoGene: An Efficient and Scalable Representation Learner for Single-Cell RNA-Seq Data"
    (2023), with any convolution in place of its Transformer and of its decoder.

    Args:
        vocabulary_size: number of genes V, without padding.
        decoder: convolution of the decoder, a registered name or a subclass of `GeneConv`.
        decoder_layers: its number of blocks.
        decoder_channels: its width; None takes `decoder_width`.
        decoder_options: keyword arguments of its convolution.
        options: keyword arguments of `CellModel` but `network` and `positions`. Activation and feed-forward are the
            encoder's; the decoder takes what its convolution asks for.

    Raises:
        ConfigError: an unknown name, or a number out of range.
    """

    sees_zeros: ClassVar[bool] = True
    takes_network: ClassVar[bool] = False

    def __init__(
        self,
        vocabulary_size: int,
        *,
        decoder: str | type[GeneConv] = "performer",
        decoder_layers: int,
        decoder_channels: int | None = None,
        decoder_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        for name, what in {"network": "network", "positions": "model.positional"}.items():
            if options.get(name) is not None:
                raise ConfigError(f"{what}: an asymmetric model takes no gene network; its decoder sees all genes.")
        super().__init__(vocabulary_size, **options)
        width = decoder_width(self.channels) if decoder_channels is None else decoder_channels
        for name, number in {"decoder_layers": decoder_layers, "decoder_channels": width}.items():
            if number < 1:
                raise ConfigError(f"{name} must be at least 1, not {number}.")
        try:
            self.decoder = ValueDecoder(
                vocabulary_size,
                self.channels,
                conv=decoder,
                channels=width,
                layers=decoder_layers,
                rank=self.rank,
                options=decoder_options,
                **{key: options[key] for key in _SHARED if key in options},
            )
        except ConfigError as error:
            raise ConfigError(f"model.decoder, of width {width}: {error}") from error
        # In place of the head of the encoder's width, which has been drawn by now: a seed gives the weights it gave.
        self.value_head = ValueHead(width)

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
        width: int | None = None,
    ) -> ModelOutput:
        """Predict the values of all genes of the panel and embed the cells.

        Args:
            genes: vocabulary ids of the panel, 0 for padding anywhere, ``[B, P]`` int64.
            values: expression, 0 for an unexpressed gene, ``[B, P]``.
            mask: True where the value is hidden from the model, ``[B, P]``; None hides nothing.
            query: genes whose values the cell head predicts, ``[K]`` or ``[B, K]``; None takes `genes`.
            edge_index: has to be None: encoder and decoder run on different graphs.
            padded: False promises that no id is 0 and saves the masks of the decoder.
            bag: all expressed genes of the cells, for the pooled readout, where `genes` are a sample of them.
            width: most genes of a cell that the encoder sees; None counts them, for which a GPU has to be asked.

        Raises:
            ConfigError: edges are given.
        """
        if edge_index is not None:
            raise ConfigError("An asymmetric model runs on complete graphs; leave edge_index out.")
        panel = CellGraph(genes, padded=padded)
        cell, x = self.features(panel, values, mask, width=width, bag=bag)
        with recomputed(self.decoder.norm, x) as normed:
            predicted: Tensor = self.value_head(normed)
        if padded:
            predicted = predicted.masked_fill(~panel.mask, 0.0)
        cell_values = None if self.cell_head is None else self.cell_head(cell, genes if query is None else query)
        return ModelOutput(predicted, cell, cell_values)

    def features(
        self,
        graph: CellGraph,
        values: Tensor,
        mask: Tensor | None = None,
        *,
        width: int | None = None,
        bag: GeneBag | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of the cells ``[B, C]`` and the features behind the decoder's blocks ``[B, P, C']``."""
        shown = graph.mask & values.ne(0)
        if mask is not None:
            shown = shown & ~mask
        expressed, seen = shown_genes(graph.genes, values, shown, width)
        encoded = self.encode(expressed, seen)
        normed = self.norm(encoded.last)
        cell = self.cell_vector(encoded, normed=normed, bag=bag)
        return cell, self.decoder(graph, normed, shown, mask, self.encoder.mask_token)

    def cost(self, genes: int, *, zeros: int | None = None, edges: float = 0) -> Cost:
        """Return what encoder and decoder cost one cell, nothing masked.

        Args:
            genes: expressed genes of the cell, which the encoder sees.
            zeros: unexpressed genes that the decoder sees beside them; None takes as many.
            edges: makes no difference: there is no network.
        """
        panel = genes + (genes if zeros is None else zeros)
        project = self.decoder.project
        # Two tokens go through the projection beside the genes.
        projection = (genes + 2) * project.in_features * project.out_features
        return super().cost(genes).with_decoder(stack_cost(self.decoder.stack, panel), projection)

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The blocks of the encoder, then those of the decoder."""
        return (self.stack, self.decoder.stack)


def decoder_width(channels: int) -> int:
    """Return the usual width of a decoder: half of the encoder's, up to the next multiple of 8."""
    return -(-channels // 16) * 8


def shown_genes(genes: Tensor, values: Tensor, shown: Tensor, width: int | None = None) -> tuple[CellGraph, Tensor]:
    """Move the shown genes of each cell to the left and drop the others.

    Args:
        genes: vocabulary ids, ``[B, P]``.
        values: expression, ``[B, P]``.
        shown: True for the genes to keep, ``[B, P]``.
        width: most genes that are kept of a cell, W; None counts them.

    Returns:
        The graph of the kept genes in their order, ``[B, W]``, and their values.
    """
    count = shown.sum(dim=1, keepdim=True)
    width = max(1, int(count.max())) if width is None else width
    # What is dropped falls together into one more column, which is cut off.
    column = torch.where(shown, shown.cumsum(dim=1) - 1, width)
    order = torch.arange(genes.shape[1], device=genes.device).expand_as(genes)
    position = torch.zeros_like(genes[:, :1]).repeat(1, width + 1).scatter(1, column, order)[:, :width]
    padding = torch.arange(width, device=genes.device) >= count
    graph = CellGraph(genes.gather(1, position).masked_fill(padding, 0))
    return graph, values.gather(1, position).masked_fill(padding, 0.0)
