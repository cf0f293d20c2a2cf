"""How far a run has come, and whether another one may go on from there."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scgraph.errors import ConfigError, ModelFileError, flag
from scgraph.models.tensors import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scgraph.config import ModelConfig, TrainConfig
    from scgraph.data import CellStore

__all__ = [
    "CHECKPOINT_FORMAT",
    "FREE",
    "Progress",
    "Sums",
    "check_same_run",
    "checkpoint_file",
    "fingerprint",
    "read_progress",
]

CHECKPOINT_FORMAT = 1
# What may differ between a run and its continuation: where it runs and how often it saves.
FREE = ("device", "devices", "nodes", "strategy", "checkpoint_every", "num_workers")


@dataclass
class Sums:
    """Losses added up over batches; a batch counts by its masked genes, its mvp_loss by the expressed ones of them.

    Attributes:
        loss: sum over the masked genes.
        mvp_loss: sum over those that are expressed.
        masked: number of masked genes.
        masked_expressed: number of those that are expressed; where a state does not say, all of them.
    """

    loss: float = 0.0
    mvp_loss: float = 0.0
    masked: int = 0
    masked_expressed: int = -1

    def __post_init__(self) -> None:
        if self.masked_expressed < 0:
            self.masked_expressed = self.masked

    def add(self, losses: Mapping[str, Any]) -> None:
        """Add a batch."""
        self.loss += float(losses["whole_loss"]) * losses["masked"]
        self.mvp_loss += float(losses["mvp_loss"]) * losses["masked_expressed"]
        self.masked += losses["masked"]
        self.masked_expressed += losses["masked_expressed"]

    def means(self) -> tuple[float, float]:
        """Return mean loss and mean mvp_loss, NaN where nothing was masked."""
        loss = self.loss / self.masked if self.masked else math.nan
        return loss, self.mvp_loss / self.masked_expressed if self.masked_expressed else math.nan


@dataclass
class Progress:
    """How far a run has come. Lightning's own counters are not used: a resumed run starts them anew.

    Attributes:
        epoch: the epoch under way, counted from 0.
        step: batches of it that are done.
        total_steps: optimizer steps since the beginning.
        sums: losses of the batches of this epoch.
        seconds: time spent on this epoch, over all processes.
        seconds_waiting: the part of it that was spent waiting for batches.
        history: one row an epoch that is over.
        best: lowest validation loss.
        epochs_since_best: for early stopping.
        finished: whether the run is over.
    """

    epoch: int = 0
    step: int = 0
    total_steps: int = 0
    sums: Sums = field(default_factory=Sums)
    seconds: float = 0.0
    seconds_waiting: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    epochs_since_best: int = 0
    finished: bool = False


def checkpoint_file(out: Path) -> Path:
    """Return where a run that writes to `out` keeps its state."""
    return out / "state" / "run.safetensors"


def read_progress(path: Path) -> tuple[Progress, dict[str, Any]]:
    """Read how far a run had come and its fingerprint.

    Raises:
        ModelFileError: the file is damaged or of a newer version.
    """
    _, header = read_tensors(path)
    version = header.get("format")
    if version != CHECKPOINT_FORMAT:
        raise ModelFileError(
            f"{path}: has format {version}, and this scgraph resumes format {CHECKPOINT_FORMAT} only. "
            f"Resume with the version that wrote it, or start anew with {flag('overwrite')}."
        )
    try:
        values = header["progress"]
        return Progress(**values | {"sums": Sums(**values["sums"])}), header["run"]
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"{path}: is damaged ({error}). Start anew with {flag('overwrite')}.") from error


def fingerprint(
    model: ModelConfig, training: TrainConfig, train: CellStore, validation: CellStore | None
) -> dict[str, Any]:
    """Return what decides the outcome of a run, as flat JSON values with names a user knows."""
    settings = {f"model.{key}": value for key, value in model.model_dump(mode="json").items()}
    settings |= {f"training.{key}": value for key, value in training.model_dump(mode="json").items() if key not in FREE}
    return settings | {
        "data.vocabulary": f"{len(train.vocabulary):,} genes, {train.vocabulary.sha256[:16]}",
        "data.training cells": _describe(train),
        "data.validation cells": "none" if validation is None else _describe(validation),
        "data.batches": "none" if train.batches is None else hashlib.sha256(train.batches.tobytes()).hexdigest()[:16],
    }


def check_same_run(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse to resume another run.

    Raises:
        ConfigError: lists every setting that differs, with both values.
    """
    differing = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]
    if differing:
        raise ConfigError(
            f"{path.parent.parent}: cannot be resumed, it is another run: {'; '.join(differing)}. "
            "Resume with the old settings, or start anew in another folder."
        )


def _describe(store: CellStore) -> str:
    return f"{len(store):,} cells, {hashlib.sha256(store.keys.tobytes()).hexdigest()[:16]}"
