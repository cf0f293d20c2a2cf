"""From genes and values to features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from scgraph.errors import ConfigError, did_you_mean
from scgraph.nn.bag import GeneBag, weighted_sums
from scgraph.nn.transforms import ValueTransform
from scgraph.nn.values import BinnedValues, DiscretisedValues

if TYPE_CHECKING:
    from scgraph.nn.graph import CellGraph

__all__ = ["VALUE_ENCODINGS", "GeneEncoder"]

VALUE_ENCODINGS = ("linear", "product", "bins", "discretised")


class GeneEncoder(nn.Module):
    """``x_i = E[g_i] + L(v_i)``, with a learned mask token in place of ``L(v_i)`` where the value is masked.

    ``L`` is a linear map of the value ("linear", the paper's Eq. 6) or ``v_i · E'[g_i]`` with a second table
    ("product"): the value scales a direction of the gene's own, so that the mean over the genes of a cell
    is a linear map of its whole expression vector. Or it is looked up in a table of bins: of fixed borders ("bins",
    see `BinnedValues`) or of soft ones that are learned ("discretised", see `DiscretisedValues`).

    Source: Eq. 6 of the paper.

    Args:
        vocabulary_size: number of genes V, without padding.
        channels: width C.
        value_encoding: "linear", "product", "bins" or "discretised".
        sd: standard deviation of the tables at the start. A norm follows, so smaller tables learn faster
            at the same rate.
        bins: number of bins, for the encodings that have some.
        values: what is made of the values first, see `ValueTransform`; with two kinds each multiplies one half of the
            channels of the table, which the product encoding alone can do.

    Raises:
        ConfigError: there is no such encoding, or it cannot take these values.

    Shapes:
        genes, values, mask ``[B, G]`` to ``[B, G, C]``, zero for padding.
    """

    def __init__(
        self,
        vocabulary_size: int,
        channels: int,
        *,
        value_encoding: str = "linear",
        sd: float = 1.0,
        bins: int = 32,
        values: str = "log1p",
    ) -> None:
        super().__init__()
        if value_encoding not in VALUE_ENCODINGS:
            raise ConfigError(
                f"There is no value encoding {value_encoding!r}." + did_you_mean(value_encoding, VALUE_ENCODINGS)
            )
        self.transform = ValueTransform(values, vocabulary_size)
        kinds = len(self.transform.kinds)
        if value_encoding in ("bins", "discretised") and values != "log1p":
            raise ConfigError(f"model.values: the bins of value_encoding {value_encoding} are of log1p, not {values}.")
        if kinds > 1 and (value_encoding != "product" or channels % kinds):
            raise ConfigError(
                f"model.values: {values} needs value_encoding product and a multiple of {kinds} channels, not "
                f"{value_encoding} and {channels}."
            )
        self.sd = sd
        self.gene = nn.Embedding(vocabulary_size + 1, channels, padding_idx=0)
        self.value: nn.Linear | nn.Embedding | BinnedValues | DiscretisedValues
        if value_encoding == "linear":
            self.value = nn.Linear(1, channels)
        elif value_encoding == "product":
            self.value = nn.Embedding(vocabulary_size + 1, channels, padding_idx=0)
        else:
            binned = BinnedValues if value_encoding == "bins" else DiscretisedValues
            self.value = binned(channels, bins=bins, sd=sd)
        self.mask_token = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw everything anew; the row of padding stays zero."""
        self.value.reset_parameters()
        nn.init.normal_(self.mask_token, std=self.sd)
        for table in (self.gene, self.value):
            if isinstance(table, nn.Embedding):
                nn.init.normal_(table.weight, std=self.sd)
                with torch.no_grad():
                    table.weight[0].zero_()

    def forward(self, graph: CellGraph, values: Tensor, mask: Tensor | None) -> Tensor:
        """Embed the genes of a batch. ``[B, G]`` to ``[B, G, C]``."""
        value = self.transform(values, graph.genes)
        if mask is not None:
            # The hidden value itself must not enter, not even times zero: it could be an infinity.
            value = value.masked_fill(mask.unsqueeze(-1), 0.0)
        if value.shape[-1] > 1:
            value = value.repeat_interleave(self.gene.embedding_dim // value.shape[-1], dim=-1)
        encoded = value * self.value(graph.genes) if isinstance(self.value, nn.Embedding) else self.value(value)
        if mask is not None:
            encoded = torch.where(mask.unsqueeze(-1), self.mask_token.to(encoded.dtype), encoded)
        return graph.zero_padding(self.gene(graph.genes) + encoded)

    def sums(self, bag: GeneBag) -> Tensor:
        """Return ``Σ_g t(v_g) E'[g]`` of every cell over all its expressed genes, ``[B, C]``; product encoding only."""
        assert isinstance(self.value, nn.Embedding)
        weights = self.transform(bag.values, bag.genes)
        return weighted_sums(bag, weights.to(self.value.weight.dtype), self.value.weight)
