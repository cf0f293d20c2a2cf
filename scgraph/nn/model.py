"""The model of the paper: all genes of the cell that are shown, one stack of blocks, a head for their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgraph.nn.cell_model import CellModel, ModelOutput
from scgraph.nn.graph import CellGraph
from scgraph.nn.kernels.recompute import recomputed

if TYPE_CHECKING:
    from torch import Tensor

    from scgraph.nn.bag import GeneBag

__all__ = ["GeneModel"]


class GeneModel(CellModel):
    """Gene and value embedding → L blocks (norm, conv, activation, residual) → norm → value head, readout.

    With the paper's sizes (L 6, C 256, G 512, R 48) its multiply-adds a cell are
    ``L (6·G·C² + 2·G²·C)`` for `tf` and ``L (G·C² + G²·C) + G²·R`` for `gnn` with a shared adjacency.

    Source: "Graph Neural Networks as a Substitute for Transformers in Single-Cell Transcriptomics", Eq. 6-8.

    Args:
        vocabulary_size: number of genes V, without padding.
        options: sizes and kinds of the parts, as for `CellModel`.

    Raises:
        ConfigError: an unknown name, or a number out of range.

    Shapes:
        genes and values ``[B, G]`` to values ``[B, G]`` and cells ``[B, C]``.
    """

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
        """Predict the values of all genes and embed the cells; see `CellModel`."""
        graph = CellGraph(genes, edge_index=edge_index, padded=padded)
        encoded = self.encode(graph, values, mask)
        with recomputed(self.norm, encoded.last) as normed:
            cell = self.cell_vector(encoded, normed=normed, bag=bag)
            predicted: Tensor = self.value_head(normed)
        if padded:
            predicted = predicted.masked_fill(~graph.mask, 0.0)
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
        """Return the vectors of the cells ``[B, C]`` and the features behind the blocks ``[B, G, C]``."""
        encoded = self.encode(graph, values, mask)
        return self.cell_vector(encoded, bag=bag), encoded.last
