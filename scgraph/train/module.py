"""Masked value prediction as a LightningModule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch.nn.functional import mse_loss

from scgraph.errors import TrainingError
from scgraph.train.distributed.collective import all_gather, shared_losses
from scgraph.train.distributed.world import World
from scgraph.train.loss import mvp_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scgraph.config import TrainConfig
    from scgraph.nn import CellModel, ModelOutput
    from scgraph.train.loader import CellBatch

__all__ = ["MaskedValueModule"]


class MaskedValueModule(LightningModule):
    """Trains a `CellModel` to predict the values that were hidden from it.

    The loss is `mvp_loss` of the values predicted from the features of the genes: with a decoder, the mean over all
    that is masked, zeros and non-zeros together, a masked gene counting once. Where the model has a cell
    head and `cell_loss` is above 0, that times the mean squared error of the values predicted from the vector
    of the cell is added: of `cell_loss_genes` genes of the vocabulary drawn for each step, zeros included.

    Args:
        model: the network.
        config: rates, weights and seed.
        total_steps: optimizer steps of the whole run, for the warm-up.
        world: the processes that train together.
        seen: signals that this process got; shared with the others beside the losses.
        cell_names: names the cells of rows in a message, as `CellStore.describe`.
    """

    def __init__(
        self,
        model: CellModel,
        config: TrainConfig,
        *,
        total_steps: int,
        world: World | None = None,
        seen: Sequence[int] = (),
        cell_names: Callable[[Sequence[int]], str] = lambda rows: f"rows {rows}",
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.world = world or World()
        self.seen = seen
        self.cell_names = cell_names
        self.warmup_steps = round(config.warmup_share * total_steps)
        self.steps_done = 0
        # A function and no second submodule: the names of the weights stay those of the model.
        self.predict: Callable[..., ModelOutput] = model.__call__
        if config.compile:
            self.predict = torch.compile(model.__call__, dynamic=True)

    def losses(self, batch: CellBatch) -> dict[str, Any]:
        """Return the losses of a batch.

        Returns:
            ``loss`` to go backward from; ``whole_loss``, and ``mvp_loss`` over the masked values of expressed genes
            alone, its first part where no zeros are masked, scalars over the share of all processes; ``masked`` and
            ``masked_expressed``, how many values they are the mean of; ``signal``, the one that asked any process to
            stop, or 0.
        """
        width = {} if batch.width is None else {"width": batch.width}
        out = self.predict(batch.genes, batch.values, batch.mask, query=batch.query, padded=batch.padded, **width)
        masked = mvp_loss(out.values, batch.values, batch.mask)
        expressed = batch.masked_expressed
        mvp = masked if batch.width is None else mvp_loss(out.values.detach(), batch.values, expressed)
        cell = None
        if batch.targets is not None and out.cell_values is not None:
            cell = mse_loss(out.cell_values.float(), batch.targets)
        weight = self.config.cell_loss
        if self.world.size > 1:
            return shared_losses(masked, mvp, cell, batch, cell_weight=weight, seen=self.seen, world=self.world)
        loss = masked if cell is None else masked + weight * cell
        return {
            "loss": loss,
            "whole_loss": loss.detach(),
            "mvp_loss": mvp.detach(),
            "masked": int(batch.mask.sum()),
            "masked_expressed": int(expressed.sum()),
            "signal": 0,
        }

    def on_train_batch_start(self, batch: CellBatch, batch_idx: int) -> None:
        """Set learning rate and dropout seed from the step alone, so that a resume needs no state of them."""
        rate = self.config.learning_rate * min(1.0, (self.steps_done + 1) / max(1, self.warmup_steps))
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate
        # Process 0 draws the dropout of a run on one device; the others must not repeat it on other cells.
        torch.manual_seed((self.config.seed * 0x9E3779B97F4A7C15 + self.steps_done + (self.world.rank << 40)) % 2**63)

    def training_step(self, batch: CellBatch, batch_idx: int) -> dict[str, Any]:
        """Return the losses of a training batch.

        Raises:
            TrainingError: the loss is NaN or infinite; the weights are those before this batch.
        """
        losses = self.losses(batch)
        loss = losses["whole_loss"]
        if not bool(torch.isfinite(loss)):
            raise TrainingError(self.describe_failure(f"the loss is {float(loss)}", batch))
        self.log("train_loss", loss, batch_size=len(batch.rows))
        self.steps_done += 1
        return losses

    def validation_step(self, batch: CellBatch, batch_idx: int) -> dict[str, Any]:
        """Return the losses of a validation batch."""
        losses = self.losses(batch)
        self.log("validation_loss", losses["whole_loss"], batch_size=len(batch.rows))
        return losses

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, or AdamW with a weight decay."""
        if self.config.weight_decay > 0:
            return torch.optim.AdamW(
                self.model.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay
            )
        return torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate)

    def describe_failure(self, what: str, batch: CellBatch) -> str:
        """Say which step failed and which cells were in its batch."""
        rows = batch.rows.tolist()
        with torch.no_grad():
            predicted = self.model(batch.genes, batch.values, batch.mask, padded=batch.padded).values
            not_finite = (~torch.isfinite(predicted)).any(dim=1).cpu().numpy()
        culprits = batch.rows[not_finite[: len(batch.rows)]].tolist()
        if self.world.size > 1:
            shares = all_gather((rows, culprits), self.world.size)
            rows, culprits = ([row for part in parts for row in part] for parts in zip(*shares, strict=True))
        batch_cells, culprit_cells = f"The batch holds {self.cell_names(rows)}.", ""
        if 0 < len(culprits) < len(rows):
            culprit_cells = f" Not finite are the predictions of {self.cell_names(culprits)}."
        return (
            f"Training stopped at step {self.steps_done}: {what}. {batch_cells}{culprit_cells} The last good state is "
            "kept. Lower the learning rate or look at the values of these cells."
        )
