"""What happens around the training steps: counting, saving, early stop, Ctrl-C, progress bar."""

from __future__ import annotations

import math
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback

from scgraph.errors import TrainingError
from scgraph.train.state import Sums, state_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from lightning.pytorch import LightningModule, Trainer

    from scgraph.config import TrainConfig
    from scgraph.train.loader import CellBatch, CellLoader
    from scgraph.train.state import Progress

__all__ = ["Bar", "Runner", "Stopped", "stop_signals"]


class Stopped(Exception):
    """The run was asked to stop, and its state is saved."""


class Runner(Callback):
    """Counts steps and losses, saves states and weights, and stops where the run should stop.

    Args:
        progress: brought up to date after every step.
        loader: told which epoch comes next.
        config: epochs, patience and how often a state is saved.
        out: folder of the run; None saves no state.
        keep: called after every epoch with ``weights=True`` when its weights are the ones to keep.
        stop: set from outside to end the run after the step under way.
    """

    def __init__(
        self,
        progress: Progress,
        loader: CellLoader,
        config: TrainConfig,
        *,
        out: Path | None,
        keep: Callable[..., None],
        stop: threading.Event,
    ) -> None:
        self.progress = progress
        self.loader = loader
        self.config = config
        self.out = out
        self.keep = keep
        self.stop = stop
        self.clock = 0.0
        self.validation = Sums()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock."""
        self.clock = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: CellBatch, batch_idx: int
    ) -> None:
        """Count the step and save the state where it is due.

        Raises:
            Stopped: the user asked for it.
        """
        progress = self.progress
        progress.step += 1
        progress.total_steps += 1
        progress.sums.add(outputs, int(batch.mask.sum()))
        # Behind the last step of an epoch comes its validation: the state is saved after that.
        if progress.step < self.loader.steps:
            if self.stop.is_set() or progress.total_steps % self.config.checkpoint_every == 0:
                self._save_state(trainer, module)
            self._stop_if_asked()

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
        self.validation.add(outputs, int(batch.mask.sum()))

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Write the row of the epoch, keep the weights, decide whether to go on.

        Raises:
            Stopped: the user asked for it.
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
            }
        )
        patience = self.config.patience
        better = patience is None or progress.best is None or validation < progress.best
        if better:
            progress.best, progress.epochs_since_best = validation, 0
        else:
            progress.epochs_since_best += 1
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.sums, progress.seconds = Sums(), 0.0
        tired = patience is not None and progress.epochs_since_best >= patience
        progress.finished = tired or progress.epoch >= self.config.epochs
        self.loader.seek(progress.epoch)
        # Weights, history, state, in this order: a kill in between only repeats some steps.
        self.keep(weights=better)
        self._save_state(trainer, module)
        trainer.should_stop = progress.finished
        if not progress.finished:
            self._stop_if_asked()

    def _save_state(self, trainer: Trainer, module: LightningModule) -> None:
        if self.out is None:
            return
        self._check_weights(module)
        self._tick()
        trainer.save_checkpoint(state_file(self.out))

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

    def _stop_if_asked(self) -> None:
        if self.stop.is_set():
            raise Stopped


class Bar(Callback):
    """One line on the terminal: epoch, step, losses, cells a second.

    Args:
        progress: read after every step.
        epochs: epochs of the whole run.
        steps: steps of an epoch.
    """

    def __init__(self, progress: Progress, *, epochs: int, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = progress
        self.epochs = epochs
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
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


@contextmanager
def stop_signals() -> Iterator[tuple[threading.Event, list[int]]]:
    """Turn the first Ctrl-C or SIGTERM into a wish to stop after the step under way.

    A second one ends the run at once. Yields the event and the signals seen so far. Outside the main
    thread, where Python delivers no signals, nothing is changed.
    """
    wish, seen = threading.Event(), []

    def handle(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if wish.is_set():
            raise KeyboardInterrupt
        wish.set()

    if threading.current_thread() is not threading.main_thread():
        yield wish, seen
        return
    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish, seen
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
