"""Fine-tuning as a LightningModule, and the callback that keeps its best weights."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule
from torch import nn
from torch.nn.functional import cross_entropy

from scgraph.errors import TrainingError
from scgraph.nn.bag import GeneBag

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from scgraph.nn import CellModel
    from scgraph.train.labelled_batches import LabelledBatch

__all__ = ["FinetuningModule", "KeepBest"]


class FinetuningModule(LightningModule):
    """The last layers of a model under a linear head: ``softmax(W (z - m) / s + b)`` of the cell's vector z.

    Args:
        model: changed in place.
        vectors: of some cells before fine-tuning, `[n, C]`, whose means m and standard deviations s scale the head.
        classes: number of classes.
        learning_rate: of Adam.
    """

    def __init__(self, model: CellModel, vectors: torch.Tensor, *, classes: int, learning_rate: float) -> None:
        super().__init__()
        self.model = model
        self.learning_rate = learning_rate
        self.centre: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("centre", vectors.mean(dim=0))
        spread = vectors.std(dim=0, correction=0)
        self.register_buffer("scale", torch.where(spread > 0, spread, torch.ones_like(spread)))
        self.head = nn.Linear(vectors.shape[1], classes)
        model.requires_grad_(requires_grad=False)
        for part in (model.blocks[-1], model.norm, model.readout, model.pooled_readout, model.cell_layers):
            if part is not None:
                part.requires_grad_(requires_grad=True)

    def loss(self, batch: LabelledBatch) -> torch.Tensor:
        """Return the mean cross entropy of a batch."""
        bag = GeneBag(batch.bag_genes, batch.bag_values, batch.bag_starts)
        vectors = self.model.embed(batch.genes, batch.values, bag=bag)
        return cross_entropy(self.head((vectors - self.centre) / self.scale), batch.codes)

    def training_step(self, batch: LabelledBatch, batch_idx: int) -> torch.Tensor:
        """Return the loss of a training batch.

        Raises:
            TrainingError: it is not finite.
        """
        loss = self.loss(batch)
        if not bool(torch.isfinite(loss)):
            raise TrainingError("Fine-tuning stopped: the loss is not finite. Look at the values of the cells.")
        return loss

    def validation_step(self, batch: LabelledBatch, batch_idx: int) -> None:
        """Log the loss of a validation batch."""
        self.log("validation_loss", self.loss(batch), batch_size=len(batch.codes))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam on what is trained."""
        return torch.optim.Adam([one for one in self.parameters() if one.requires_grad], lr=self.learning_rate)


class KeepBest(Callback):
    """Keeps the weights of a model after the epoch of the lowest validation loss.

    Attributes:
        weights: those weights.
    """

    def __init__(self, model: CellModel) -> None:
        self.model = model
        self.weights: dict[str, Any] = {}
        self._lowest = math.inf

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the weights where the loss is lower than before."""
        loss = float(trainer.callback_metrics["validation_loss"])
        if loss < self._lowest or not self.weights:
            self._lowest = loss
            self.weights = copy.deepcopy(self.model.state_dict())
