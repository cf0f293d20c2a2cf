"""Pretraining as a LightningModule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch.nn.functional import mse_loss

from scgraph.errors import TrainingError
from scgraph.train.distributed.collective import LossPart, all_gather, shared_losses
from scgraph.train.distributed.world import World
from scgraph.train.loss import count_loss, mvp_loss, neighbor_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scgraph.config import TrainConfig
    from scgraph.nn import CellModel, ModelOutput
    from scgraph.train.loader import CellBatch

__all__ = ["PretrainingModule"]


class PretrainingModule(LightningModule):
    """Trains a `CellModel` without labels.

    The loss is a sum of parts, each times its weight in the settings:

    - `mvp_loss` of the values predicted from the features of the genes: with a decoder, the mean over all that is
      masked, zeros and non-zeros together, a masked gene counting once;
    - `cell_loss`, the mean squared error of the values predicted from the vector of the cell: of `cell_loss_genes`
      genes of the vocabulary drawn for each step, zeros included;
    - `count_loss` of the shares of counts that the vector of the cell lets expect: of the counts that thinning left
      out, or of all where nothing is thinned;
    - `neighbor_loss` of the vector of the cell, see `scgraph.train.neighbors`.

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
        self.total_steps = total_steps
        self.warmup_steps = round(config.warmup_share * total_steps)
        self.steps_done = 0
        if config.freeze_values:
            model.encoder.value.requires_grad_(requires_grad=False)
        # A function and no second submodule: the names of the weights stay those of the model.
        self.predict: Callable[..., ModelOutput] = model.__call__
        if config.compile:
            self.predict = torch.compile(model.__call__, dynamic=True)

    def losses(self, batch: CellBatch) -> dict[str, Any]:
        """Return the losses of a batch.

        Returns:
            ``loss`` to go backward from; ``whole_loss``, and ``mvp_loss`` over the masked values of expressed genes
            alone, scalars over the share of all processes; ``masked``, how many masked values the first part of the
            loss is the mean of, or cells where nothing is masked, and ``masked_expressed``, that of ``mvp_loss``;
            ``signal``, the one that asked any process to stop, or 0.
        """
        width = {} if batch.width is None else {"width": batch.width}
        out = self.predict(
            batch.genes, batch.values, batch.mask, query=batch.query, padded=batch.padded, bag=batch.bag, **width
        )
        masked = mvp_loss(out.values, batch.values, batch.mask)
        expressed = batch.masked_expressed
        mvp = masked if batch.width is None else mvp_loss(out.values.detach(), batch.values, expressed)
        parts = self.parts(batch, out, masked)
        if self.world.size > 1:
            return shared_losses(parts, mvp, batch, seen=self.seen, world=self.world)
        loss = sum((part.weight * part.loss for part in parts[1:]), parts[0].weight * parts[0].loss)
        return {
            "loss": loss,
            "whole_loss": loss.detach(),
            "mvp_loss": mvp.detach(),
            "masked": parts[0].count,
            "masked_expressed": int(expressed.sum()),
            "signal": 0,
        }

    def parts(self, batch: CellBatch, out: ModelOutput, masked: torch.Tensor) -> list[LossPart]:
        """Return the parts of the loss that count for something; a subclass adds its own behind them.

        Args:
            batch: the cells.
            out: what the network says of them.
            masked: the first part, `mvp_loss` of the masked values.
        """
        config, cells = self.config, len(batch.rows)
        parts = [LossPart(masked, config.mvp_loss, int(batch.mask.sum()))] if config.mvp_loss > 0 else []
        if batch.targets is not None and out.cell_values is not None:
            parts.append(LossPart(mse_loss(out.cell_values.float(), batch.targets), config.cell_loss, cells))
        if batch.count_genes is not None and batch.count_shares is not None and batch.count_cells is not None:
            log_shares = self.model.log_shares(out.cell)
            counts = count_loss(log_shares, batch.count_genes, batch.count_shares, batch.count_cells)
            parts.append(LossPart(counts, config.count_loss, cells))
        if batch.vectors is not None:
            parts.append(LossPart(neighbor_loss(out.cell, batch.vectors), config.neighbor_loss, cells))
        return parts

    def on_train_batch_start(self, batch: CellBatch, batch_idx: int) -> None:
        """Set learning rate and dropout seed from the step alone, so that a resume needs no state of them."""
        rate = self.config.learning_rate * min(1.0, (self.steps_done + 1) / max(1, self.warmup_steps))
        if self.config.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, self.steps_done / self.total_steps)))
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate * group["rate_multiple"]
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
        self.log("train_loss", loss, batch_size=len(batch.rows), logger=False)
        self.steps_done += 1
        return losses

    def validation_step(self, batch: CellBatch, batch_idx: int) -> dict[str, Any]:
        """Return the losses of a validation batch."""
        losses = self.losses(batch)
        self.log("validation_loss", losses["whole_loss"], batch_size=len(batch.rows), logger=False)
        return losses

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, or AdamW with a weight decay; the decoder of the cell's vector has a rate of its own."""
        decoder = [] if self.model.cell_head is None else list(self.model.cell_head.parameters())
        others = set(self.model.parameters()).difference(decoder)
        weights = [weight for weight in self.model.parameters() if weight.requires_grad and weight in others]
        groups: list[dict[str, Any]] = [{"params": weights, "rate_multiple": 1.0}]
        if decoder:
            groups.append({"params": decoder, "rate_multiple": self.config.decoder_rate})
        if self.config.weight_decay > 0:
            return torch.optim.AdamW(groups, lr=self.config.learning_rate, weight_decay=self.config.weight_decay)
        return torch.optim.Adam(groups, lr=self.config.learning_rate)

    def describe_failure(self, what: str, batch: CellBatch) -> str:
        """Say which step failed and which cells were in its batch."""
        rows = batch.rows.tolist()
        with torch.no_grad():
            out = self.model(batch.genes, batch.values, batch.mask, padded=batch.padded, bag=batch.bag)
            finite = torch.isfinite(out.values).all(dim=1) & torch.isfinite(out.cell).all(dim=1)
            not_finite = (~finite).cpu().numpy()
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
