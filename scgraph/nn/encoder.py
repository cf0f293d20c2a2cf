"""From genes and values to features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from scgraph.errors import ConfigError, did_you_mean
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

    Shapes:
        genes, values, mask ``[B, G]`` to ``[B, G, C]``, zero for padding.
    """

    def __init__(
        self, vocabulary_size: int, channels: int, *, value_encoding: str = "linear", sd: float = 1.0, bins: int = 32
    ) -> None:
        super().__init__()
        if value_encoding not in VALUE_ENCODINGS:
            raise ConfigError(
                f"There is no value encoding {value_encoding!r}." + did_you_mean(value_encoding, VALUE_ENCODINGS)
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
        value = values.unsqueeze(-1)
        if mask is not None:
            # The hidden value itself must not enter, not even times zero: it could be an infinity.
            value = value.masked_fill(mask.unsqueeze(-1), 0.0)
        encoded = value * self.value(graph.genes) if isinstance(self.value, nn.Embedding) else self.value(value)
        if mask is not None:
            encoded = torch.where(mask.unsqueeze(-1), self.mask_token.to(encoded.dtype), encoded)
        return graph.zero_padding(self.gene(graph.genes) + encoded)
