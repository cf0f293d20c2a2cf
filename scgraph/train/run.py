"""A run of pretraining from where it stands to its end, in this process or in one a device."""

from __future__ import annotations

import copy
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scgraph.files import write_atomic
from scgraph.models.saved import load_model, save_model
from scgraph.reporting.escape import csv_text
from scgraph.train.checkpoint import checkpoint_file, read_progress
from scgraph.train.distributed.launcher import importable_conv, launch
from scgraph.train.distributed.world import World
from scgraph.train.loggers import close_loggers, is_begun, make_loggers
from scgraph.train.signals import StopRequested, exit_code, stop_signals
from scgraph.train.trainer import deterministic_on_cpu, make_trainer, quiet_lightning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd
    import torch
    from lightning.pytorch.loggers import Logger

    from scgraph.config import ModelConfig, TrainConfig
    from scgraph.data import CellStore, Vocabulary
    from scgraph.nn import CellModel
    from scgraph.train.checkpoint import Progress
    from scgraph.train.loader import CellLoader

__all__ = ["HISTORY", "Run", "history_frame"]

HISTORY = "history.csv"
_COLUMNS = [
    "epoch",
    "step",
    "train_loss",
    "validation_loss",
    "train_mvp_loss",
    "validation_mvp_loss",
    "seconds",
    "seconds_waiting",
]


@dataclass
class Run:
    """A run of pretraining, begun or to be continued.

    Attributes:
        model: the network; changed in place.
        model_config: what it was built from.
        config: the training.
        vocabulary: genes of the model.
        metadata: recorded with the model.
        out: folder of the run; None writes nothing.
        done: how far it has come.
        world: the processes that train together.
        on_epoch: called with the network and the number of every epoch that is over.
        log: names of loggers, see `scgraph.train.loggers`; only process 0 tells them anything.
        license: name of the licence for the card of the model; None keeps what the card says.
    """

    model: CellModel
    model_config: ModelConfig
    config: TrainConfig
    vocabulary: Vocabulary
    metadata: dict[str, Any]
    out: Path | None
    done: Progress
    world: World = field(default_factory=World)
    on_epoch: Callable[[CellModel, int], None] | None = None
    log: tuple[str, ...] = ()
    license: str | None = None
    best_weights: dict[str, torch.Tensor] | None = None

    def delegate(
        self,
        train: CellStore,
        validation: CellStore | None,
        identity: Mapping[str, Any],
        *,
        checkpoint: Path | None,
        progress: bool,
        in_memory: bool,
    ) -> None:
        """Let one process a device train from where `done` says to the end.

        Raises:
            ConfigError: the other processes cannot import the convolution.
            ScgraphError: see `scgraph.train.distributed.launcher.launch`.
        """
        assert self.out is not None
        job = {
            "model": self.model_config.model_dump(mode="json"),
            "training": self.config.model_dump(mode="json"),
            "conv_modules": [importable_conv(name) for name in self.model_config.convs()],
            "identity": dict(identity),
            "metadata": self.metadata,
            "out": str(self.out),
            "checkpoint": None if checkpoint is None else str(checkpoint),
            "progress": progress,
            "log": list(self.log),
            "license": self.license,
        }
        launch(self.model, train, validation, job, size=self.world.size, out=None if in_memory else self.out)
        self.done = read_progress(checkpoint_file(self.out))[0]

    def fit(
        self,
        loader: CellLoader,
        validation: CellLoader | None,
        identity: Mapping[str, Any],
        *,
        device: torch.device,
        checkpoint: Path | None,
        progress: bool,
        seen: list[int] | None = None,
    ) -> None:
        """Train from where `done` says to the end.

        Args:
            loader: training cells, with this process's share of the batches.
            validation: the same for validation.
            identity: see `scgraph.train.checkpoint.fingerprint`.
            device: where to compute.
            checkpoint: file to resume from.
            progress: show a bar where standard error is a terminal.
            seen: signals that somebody else collects; by default they are collected here.
        """
        import torch

        with quiet_lightning():
            from scgraph.train.callbacks import ProgressBar, RunCallback
            from scgraph.train.checkpoint_io import SafetensorsIO
            from scgraph.train.module import PretrainingModule

        config, done, world = self.config, self.done, self.world
        loader.seek(done.epoch, done.step)
        with (
            quiet_lightning(),
            deterministic_on_cpu(device),
            torch.random.fork_rng(devices=[]),
            stop_signals() if seen is None else nullcontext(seen) as seen,
        ):
            steps, cell_names = config.epochs * loader.steps, loader.store.describe
            module = PretrainingModule(
                self.model, config, total_steps=steps, world=world, seen=seen, cell_names=cell_names
            )
            module.steps_done = done.total_steps
            callbacks: list[Any] = [
                RunCallback(
                    done,
                    loader,
                    config,
                    validation=validation,
                    out=self.out,
                    keep=self.keep,
                    seen=seen,
                    on_epoch=self._epoch_over,
                ),
            ]
            if progress and world.rank == 0 and sys.stderr.isatty():
                callbacks.append(ProgressBar(done, epochs=config.epochs, steps=loader.steps))
            loggers: list[Logger] = []
            if self.log and world.rank == 0:
                loggers = self._open_loggers(loader, validation, callbacks)
            trainer = make_trainer(
                device,
                precision=config.precision,
                epochs=config.epochs - done.epoch,
                clip=config.clip,
                callbacks=callbacks,
                checkpoint_io=SafetensorsIO(identity, done),
                loggers=loggers,
                world=world,
                unused=config.strategy.endswith("unused_parameters_true")
                or config.mvp_loss == 0
                or (self.model_config.cell_head and not (loader.query or config.count_loss > 0)),
            )
            try:
                trainer.fit(module, loader, validation, ckpt_path=checkpoint)
            except StopRequested as stop:
                raise exit_code(stop.number) from None
            except SystemExit:
                # Lightning turns a KeyboardInterrupt into exit(1).
                if len(seen) < 2:
                    raise
                raise KeyboardInterrupt from None
            finally:
                if self.out is not None:
                    close_loggers(loggers, self.out, failed=sys.exc_info()[0] is not None)
                if world.size > 1 and torch.distributed.is_initialized():
                    torch.distributed.destroy_process_group()

    def _open_loggers(self, loader: CellLoader, validation: CellLoader | None, callbacks: list[Any]) -> list[Logger]:
        """Open the loggers and add what tells them, behind the callback that counts."""
        from scgraph.train.log_callback import LogCallback

        assert self.out is not None
        begun = [is_begun(name, self.out) for name in self.log]
        loggers = make_loggers(self.log, self.out, step=self.done.total_steps)
        settings = {
            "model": self.model_config.model_dump(mode="json"),
            "train": self.config.model_dump(mode="json"),
            "data": {
                "genes": len(self.vocabulary),
                "training_cells": len(loader.rows),
                "validation_cells": 0 if validation is None else len(validation.rows),
            },
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
        }
        known = [logger for logger, goes_on in zip(loggers, begun, strict=True) if goes_on]
        callbacks.append(LogCallback(self.done, loggers, settings, known))
        return loggers

    def _epoch_over(self, epoch: int) -> None:
        if self.on_epoch is not None:
            self.on_epoch(self.model, epoch)

    def keep(self, *, weights: bool) -> None:
        """Keep the history, and the weights of the epoch that just ended where they are the ones to keep."""
        if self.world.rank and self.out is not None:
            return
        if weights and self.out is not None:
            seconds = round(sum(row["seconds"] for row in self.done.history), 3)
            save_model(
                self.out,
                self.model,
                self.vocabulary,
                self.model_config,
                metadata=self.metadata,
                progress={**self.done.history[-1], "seconds_in_all": seconds},
                license=self.license,
            )
        elif weights and self.config.patience is not None:
            self.best_weights = copy.deepcopy(self.model.state_dict())
        if self.out is not None:
            write_atomic(self.out / HISTORY, csv_text(history_frame(self.done)))

    def take_best(self) -> None:
        """Put the kept weights into the model, where they may not be those of the last epoch."""
        if self.out is not None:
            saved = load_model(self.out, allow_conv=self.model_config.convs())
            self.model.load_state_dict(saved.model.state_dict())
        elif self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)


def history_frame(done: Progress) -> pd.DataFrame:
    """Return the epochs that are over, one a row."""
    import pandas as pd

    return pd.DataFrame(done.history, columns=_COLUMNS)
