"""What a logger is told of a training: settings, losses, the learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.loggers import Logger

    from scgraph.train.checkpoint import Progress
    from scgraph.train.loader import CellBatch

__all__ = ["EVERY", "LogCallback"]

EVERY = 10
"""Steps from one entry of the losses of a batch to the next."""


class LogCallback(Callback):
    """Tells loggers of every tenth step and of every epoch.

    Stands behind `RunCallback`, which counts. Of a step: the losses of its batch and the learning rate, each with
    ``_step`` behind its name. Of an epoch: the row of history.csv, by the step that it ended with.

    Args:
        progress: how far the run is, counted by another callback.
        loggers: who is told.
        settings: nested JSON values, told as hyperparameters.
        known: loggers that know the settings already.
    """

    def __init__(
        self, progress: Progress, loggers: Sequence[Logger], settings: Mapping[str, Any], known: Collection[Logger]
    ) -> None:
        self.progress = progress
        self.loggers = loggers
        self.settings = dict(settings)
        self.known = known
        self.rows = len(progress.history)

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Tell the settings, before Lightning saves those of the module, which has none."""
        for logger in self.loggers:
            if logger not in self.known:
                logger.log_hyperparams(self.settings)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: CellBatch, batch_idx: int
    ) -> None:
        """Tell of the step, where its turn has come."""
        if self.progress.total_steps % EVERY:
            return
        self._tell(
            {
                "train_loss_step": float(outputs["whole_loss"]),
                "train_mvp_loss_step": float(outputs["mvp_loss"]),
                "learning_rate_step": trainer.optimizers[0].param_groups[0]["lr"],
            },
            self.progress.total_steps,
        )

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Tell of the epoch."""
        self._tell_epochs()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Tell of an epoch that was counted and saved before the run was stopped."""
        self._tell_epochs()

    def _tell_epochs(self) -> None:
        for row in self.progress.history[self.rows :]:
            self._tell({key: float(value) for key, value in row.items() if key != "step"}, row["step"])
            for logger in self.loggers:
                if isinstance(logger, TensorBoardLogger) and math.isfinite(row["validation_loss"]):
                    # What its page of hyperparameters compares runs by, under the name that Lightning has for it.
                    logger.log_metrics({"hp_metric": row["validation_loss"]}, row["step"])
                logger.save()
        self.rows = len(self.progress.history)

    def _tell(self, metrics: Mapping[str, float], step: int) -> None:
        finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
        for logger in self.loggers:
            logger.log_metrics(finite, step)
