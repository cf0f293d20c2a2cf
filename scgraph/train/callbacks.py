"""What happens around the training steps: counting, saving, early stop, Ctrl-C, progress bar."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback

from scgraph.errors import TrainingError
from scgraph.reporting.bars import bar_columns
from scgraph.train.checkpoint import Sums, checkpoint_file
from scgraph.train.distributed.collective import agreed_signal
from scgraph.train.signals import StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lightning.pytorch import LightningModule, Trainer

    from scgraph.config import TrainConfig
    from scgraph.train.checkpoint import Progress
    from scgraph.train.loader import CellBatch, CellLoader

__all__ = ["ProgressBar", "RunCallback"]


class RunCallback(Callback):
    """Counts steps and losses, saves states and weights, and stops where the run should stop.

    Args:
        progress: brought up to date after every step.
        loader: told which epoch comes next.
        validation: the loader of the validation cells, whose waiting counts too.
        config: epochs, patience and how often a state is saved.
        out: folder of the run; None saves no state.
        keep: called after every epoch with ``weights=True`` when its weights are the ones to keep.
        seen: signals that this process got; the first ends the run after the step under way.
        on_epoch: called with the number of every epoch that is over and saved; what it raises ends the run.
    """

    def __init__(
        self,
        progress: Progress,
        loader: CellLoader,
        config: TrainConfig,
        *,
        validation: CellLoader | None,
        out: Path | None,
        keep: Callable[..., None],
        seen: Sequence[int],
        on_epoch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.progress = progress
        self.loader = loader
        self.config = config
        self.out = out
        self.keep = keep
        self.seen = seen
        self.world = loader.world
        self.on_epoch = on_epoch
        self.loaders = [loader] if validation is None else [loader, validation]
        self.clock = self.waited = 0.0
        self.validation = Sums()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clocks."""
        self.clock, self.waited = time.perf_counter(), self._waiting()
        if self.world.size > 1 and threading.current_thread() is threading.main_thread():
            # Lightning's own handler of SIGTERM would begin a collective in the middle of another one.
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: CellBatch, batch_idx: int
    ) -> None:
        """Count the step and save the state where it is due.

        Raises:
            StopRequested: the user asked for it.
        """
        progress = self.progress
        progress.step += 1
        progress.total_steps += 1
        progress.sums.add(outputs)
        # Behind the last step of an epoch comes its validation: the state is saved after that.
        if progress.step < self.loader.steps:
            # One process may have seen a signal that the others have not: all go by what came with the loss.
            asked = outputs["signal"] if self.world.size > 1 else agreed_signal(self.seen, self.world, module.device)
            if asked or progress.total_steps % self.config.checkpoint_every == 0:
                self._save_state(trainer, module)
            if asked:
                raise StopRequested(asked)

    def on_validation_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Begin the sum."""
        self.validation = Sums()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: CellBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the loss of the batch."""
        self.validation.add(outputs)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Write the row of the epoch, keep the weights, decide whether to go on.

        Raises:
            StopRequested: the user asked for it.
            TrainingError: the validation loss or a weight is not finite.
        """
        progress = self.progress
        train, train_mvp = progress.sums.means()
        validation, validation_mvp = self.validation.means()
        if self.validation.masked and not math.isfinite(validation):
            raise TrainingError(
                f"Training stopped after epoch {progress.epoch}: the validation loss is {validation}. "
                "The last good state is kept. Lower the learning rate."
            )
        self._check_weights(module)
        self._tick()
        progress.history.append(
            {
                "epoch": progress.epoch,
                "step": progress.total_steps,
                "train_loss": train,
                "validation_loss": validation,
                "train_mvp_loss": train_mvp,
                "validation_mvp_loss": validation_mvp,
                "seconds": round(progress.seconds, 3),
                "seconds_waiting": round(progress.seconds_waiting, 3),
            }
        )
        patience = self.config.patience
        better = patience is None or progress.best is None or validation < progress.best
        if better:
            progress.best, progress.epochs_since_best = validation, 0
        else:
            progress.epochs_since_best += 1
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.sums, progress.seconds, progress.seconds_waiting = Sums(), 0.0, 0.0
        out_of_patience = patience is not None and progress.epochs_since_best >= patience
        progress.finished = out_of_patience or progress.epoch >= self.config.epochs
        self.loader.seek(progress.epoch)
        # Weights, history, state, in this order: a kill in between only repeats some steps.
        self.keep(weights=better)
        self._save_state(trainer, module)
        self.on_epoch(progress.epoch - 1)
        trainer.should_stop = progress.finished
        asked = agreed_signal(self.seen, self.world, module.device)
        if asked and not progress.finished:
            raise StopRequested(asked)

    def _save_state(self, trainer: Trainer, module: LightningModule) -> None:
        if self.out is None:
            return
        self._check_weights(module)
        self._tick()
        trainer.save_checkpoint(checkpoint_file(self.out))

    def _check_weights(self, module: LightningModule) -> None:
        if not all(bool(torch.isfinite(weight).all()) for weight in module.parameters()):
            raise TrainingError(
                f"Training stopped after step {self.progress.total_steps}: a weight is NaN or infinite. "
                "The last good state is kept. Lower the learning rate."
            )

    def _tick(self) -> None:
        now = time.perf_counter()
        self.progress.seconds += now - self.clock
        self.clock = now
        waiting = self._waiting()
        self.progress.seconds_waiting += waiting - self.waited
        self.waited = waiting

    def _waiting(self) -> float:
        return sum(loader.seconds_waiting for loader in self.loaders)


class ProgressBar(Callback):
    """One line on the terminal: epoch, step, losses, cells a second.

    Args:
        progress: read after every step.
        epochs: epochs of the whole run.
        steps: steps of an epoch.
    """

    def __init__(self, progress: Progress, *, epochs: int, steps: int) -> None:
        from rich.console import Console
        from rich.progress import Progress, TextColumn

        self.progress = progress
        self.epochs = epochs
        self.bar = Progress(
            *bar_columns(),
            TextColumn("{task.fields[losses]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self.task = self.bar.add_task("", total=epochs * steps, completed=progress.total_steps, losses="")

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Show the bar."""
        self.bar.start()

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the bar."""
        progress = self.progress
        train = progress.sums.means()[0]
        losses = f"train {train:.4f}" if math.isfinite(train) else ""
        if progress.history and math.isfinite(progress.history[-1]["validation_loss"]):
            losses += f"  validation {progress.history[-1]['validation_loss']:.4f}"
        self.bar.update(
            self.task,
            completed=progress.total_steps,
            description=f"epoch {min(progress.epoch + 1, self.epochs)}/{self.epochs}",
            losses=losses,
        )

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Remove the bar, also after an error."""
        self.bar.stop()
