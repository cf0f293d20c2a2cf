"""What the ideas add to the package's pretraining: parts of the loss, and a readout."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from scgraph.nn.bag import GeneBag
from scgraph.nn.model import GeneModel
from scgraph.train.distributed.collective import LossPart
from scgraph.train.loss import count_loss
from scgraph.train.module import PretrainingModule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from scgraph.nn import CellModel, ModelOutput
    from scgraph.nn.cell_model import Encoded
    from scgraph.nn.graph import CellGraph
    from scgraph.train.loader import CellBatch, CellLoader

__all__ = [
    "AttentionModel",
    "BatchDecoder",
    "CrossCorrelation",
    "Labelled",
    "attention_model",
    "cross_correlation_loss",
]

_OFF_DIAGONAL = 0.005
_PROJECTED = 256


def cross_correlation_loss(one: Tensor, other: Tensor) -> Tensor:
    r"""Distance of the cross-correlation of two views from the identity, by channel.

    .. math:: L = \frac{1}{C} \Big( \sum_i (1 - R_{ii})^2 + 0.005 \sum_{i \ne j} R_{ij}^2 \Big)

    Source: Zbontar et al. 2021, "Barlow Twins", arXiv:2103.03230.

    Args:
        one: vectors of cells ``[B, C]``.
        other: of the same cells in another view ``[B, C]``.
    """
    a, b = ((x - x.mean(dim=0)) / (x.std(dim=0, correction=0) + 1e-5) for x in (one.float(), other.float()))
    correlation = a.T @ b / len(a)
    diagonal = correlation.diagonal()
    others = correlation.square().sum() - diagonal.square().sum()
    return ((1 - diagonal).square().sum() + _OFF_DIAGONAL * others) / len(correlation)


class CrossCorrelation(PretrainingModule):
    """Adds `cross_correlation_loss` of two views of every cell, each thinned by itself, behind a projector.

    Args:
        model: the network.
        loader: makes the second view, that of an epoch which the run never reaches.
        weight: of this part.
        more: as for `PretrainingModule`.
    """

    def __init__(self, model: CellModel, *, loader: CellLoader, weight: float, **more: Any) -> None:
        super().__init__(model, **more)
        self.loader = loader
        self.weight = weight
        self.projector = nn.Sequential(
            nn.Linear(model.channels, _PROJECTED), nn.ReLU(), nn.Linear(_PROJECTED, _PROJECTED)
        )

    def parts(self, batch: CellBatch, out: ModelOutput, masked: Tensor) -> list[LossPart]:
        """Add the part."""
        other = self.loader.batch(batch.rows, self.loader.epoch + self.config.epochs, 0)
        view = self.predict(other.genes, other.values, other.mask, padded=other.padded, bag=other.bag)
        loss = cross_correlation_loss(self.projector(out.cell), self.projector(view.cell))
        return [*super().parts(batch, out, masked), LossPart(loss, self.weight, len(batch.rows))]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Train the projector too."""
        return _also(super().configure_optimizers(), self.projector)


class Labelled(PretrainingModule):
    """Adds the cross entropy of a linear head on the vector of the cell: the labels of the train part are seen.

    Args:
        model: the network.
        codes: class of every training cell ``[n]``.
        classes: number of classes.
        weight: of this part.
        more: as for `PretrainingModule`.
    """

    def __init__(self, model: CellModel, *, codes: NDArray[np.int64], classes: int, weight: float, **more: Any) -> None:
        super().__init__(model, **more)
        self.codes = torch.from_numpy(codes)
        self.weight = weight
        self.head = nn.Linear(model.channels, classes)

    def parts(self, batch: CellBatch, out: ModelOutput, masked: Tensor) -> list[LossPart]:
        """Add the part."""
        loss = cross_entropy(self.head(out.cell.float()), self.codes[batch.rows])
        return [*super().parts(batch, out, masked), LossPart(loss, self.weight, len(batch.rows))]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Train the head too."""
        return _also(super().configure_optimizers(), self.head)


class BatchDecoder(PretrainingModule):
    """Tells the decoder, and it alone, the batch of a cell: ``log softmax(P z + b + D[batch])``.

    Args:
        model: the network.
        batches: code of the batch of every training cell ``[n]``.
        more: as for `PretrainingModule`.
    """

    def __init__(self, model: CellModel, *, batches: NDArray[np.int64], **more: Any) -> None:
        super().__init__(model, **more)
        assert model.cell_head is not None
        self.batches = torch.from_numpy(batches)
        self.shift = nn.Embedding(int(batches.max()) + 1, len(model.cell_head.bias) - 1)
        nn.init.zeros_(self.shift.weight)

    def parts(self, batch: CellBatch, out: ModelOutput, masked: Tensor) -> list[LossPart]:
        """Replace the part of the counts."""
        assert batch.count_genes is not None
        assert batch.count_shares is not None
        assert batch.count_cells is not None
        shifted = self.model.log_shares(out.cell) + self.shift(self.batches[batch.rows])
        loss = count_loss(shifted.log_softmax(dim=1), batch.count_genes, batch.count_shares, batch.count_cells)
        others = super().parts(replace(batch, count_genes=None), out, masked)
        return [*others, LossPart(loss, self.config.count_loss, len(batch.rows))]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Train what is added too."""
        return _also(super().configure_optimizers(), self.shift, multiple=self.config.decoder_rate)


class GeneAttention(nn.Module):
    r"""``W [r_1, ..., r_k]``, ``r_q = Σ_i softmax_i(s_q · K x_i / √C) V x_i``: learned queries over the genes.

    Source: pooling by multihead attention of Lee et al. 2019, "Set Transformer", arXiv:1810.00825.
    """

    def __init__(self, channels: int, queries: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.queries = nn.Parameter(torch.randn(queries, channels))
        self.key, self.value = (nn.Linear(channels, channels) for _ in range(2))
        self.out = nn.Linear(queries * channels, channels)

    def forward(self, x: Tensor, graph: CellGraph) -> Tensor:
        """Pool the real genes of the cells, ``[B, G, C]`` to ``[B, C]``."""
        x = self.norm(x)
        scores = self.key(x) @ self.queries.T / x.shape[-1] ** 0.5
        weights = scores.masked_fill(~graph.mask.unsqueeze(-1), -1e9).softmax(dim=1)
        pooled = torch.einsum("bgq,bgc->bqc", weights, self.value(x)).flatten(1)
        result: Tensor = self.out(pooled)
        return result


class AttentionModel(GeneModel):
    """Adds what attention reads from the genes to the pooled input, behind the gate, which is closed at the start."""

    attention: GeneAttention

    def cell_vector(self, encoded: Encoded, *, normed: Tensor | None = None, bag: GeneBag | None = None) -> Tensor:
        """Return the vectors of the cells ``[B, C]``."""
        assert self.pooled_readout is not None
        whole = GeneBag.of_padded(encoded.graph.genes, encoded.values) if bag is None else bag
        added = self.attention(encoded.last, encoded.graph)
        cell: Tensor = self.pooled_readout(self.encoder.sums(whole), added)
        return cell if self.cell_layers is None else self.cell_layers(cell)


def attention_model(start: CellModel, options: dict[str, Any], *, queries: int, seed: int) -> AttentionModel:
    """Return the network with an attention readout and all the weights of the one it starts from."""
    assert start.cell_head is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AttentionModel(len(start.cell_head.bias) - 1, **options)
        model.attention = GeneAttention(model.channels, queries)
    model.load_state_dict(start.state_dict(), strict=False)
    return model


def _also(optimizer: torch.optim.Optimizer, part: nn.Module, *, multiple: float = 1.0) -> torch.optim.Optimizer:
    optimizer.add_param_group({"params": list(part.parameters()), "rate_multiple": multiple})
    return optimizer
