"""A Lightning Trainer that writes nothing by itself, says nothing by itself and changes nothing for good."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from scgraph.errors import ConfigError, argument
from scgraph.train.distributed.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lightning.pytorch import Callback, Trainer
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.plugins.io import CheckpointIO

    from scgraph.config import TrainConfig

__all__ = ["check_world", "deterministic_on_cpu", "make_trainer", "quiet_lightning", "resolve_device"]

_SILENCED = (
    ".*you have set wrong precision.*",
    ".*available but not used.*",
    ".*but have no `val_dataloader`.*",
    ".*isinstance.treespec, LeafSpec.. is deprecated.*",
    ".*`torch.jit.script` is deprecated.*",
    ".*It is recommended to use `self.log.*sync_dist=True.*",
)


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device of this machine.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device: there is no device {name!r}; use auto, cpu, cuda, cuda:N or mps.") from error
    counts = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if (device.index or 0) >= counts.get(device.type, 0):
        raise ConfigError(f"device: {name!r} is not on this machine; use auto or cpu.")
    return device


def check_world(world: World, config: TrainConfig, device: torch.device, *, batch_size: int) -> None:
    """Refuse more processes than there are devices or cells of a batch.

    Raises:
        ConfigError: says how many there are.
    """
    if world.size == 1:
        return
    if ":" in config.device:
        raise ConfigError(f"device: {config.device!r} is one device; with several write {device.type!r}.")
    counts = {"cpu": os.cpu_count() or 1, "cuda": torch.cuda.device_count()}
    available = counts.get(device.type, 1)
    if world.devices > available:
        kind = {"cpu": "cores", "cuda": "GPUs"}.get(device.type, "devices of this kind")
        raise ConfigError(
            f"devices is {world.devices}, and this machine has {available} {kind}. Use "
            f"{argument('devices', available)} or fewer."
        )
    if batch_size < world.size:
        raise ConfigError(
            f"batch_size is {batch_size}, and there are {world.size} devices: each needs a cell of every batch. "
            "Choose a larger batch or fewer devices."
        )


def make_trainer(
    device: torch.device,
    *,
    precision: Any,
    epochs: int,
    clip: float | None,
    callbacks: Sequence[Callback],
    checkpoint_io: CheckpointIO | None,
    loggers: Sequence[Logger] = (),
    world: World | None = None,
    unused: bool = False,
) -> Trainer:
    """Build a Trainer without checkpoints, summary or bar of its own, and without a logger that was not given.

    Args:
        device: where this process computes; of several processes, the kind of device.
        precision: Lightning's name.
        epochs: passes over the cells.
        clip: largest gradient norm; None for no clipping.
        callbacks: what happens around the steps.
        checkpoint_io: reads and writes the state of the run.
        loggers: told by a callback; opened and closed here.
        world: the processes that train together; all of them run already.
        unused: whether some parameter may take no part in the loss, which several processes must be told.
    """
    from lightning.pytorch import Trainer
    from lightning.pytorch.plugins import environments
    from lightning.pytorch.strategies import DDPStrategy

    known: Any = environments  # the classes are public, only not listed
    world = world or World()
    # The plain environment keeps Lightning from taking over signals and devices where SLURM runs the job.
    environment = {
        "none": known.LightningEnvironment,
        "torchrun": known.TorchElasticEnvironment,
        "slurm": partial(known.SLURMEnvironment, auto_requeue=False),
    }[world.launcher]
    plugins: list[Any] = [environment()]
    if checkpoint_io is not None:
        plugins.append(checkpoint_io)
    devices: dict[str, Any] = {"devices": [device.index or 0] if device.type == "cuda" else 1}
    if world.size > 1:
        devices = {
            "devices": world.devices,
            "num_nodes": world.nodes,
            "strategy": DDPStrategy(find_unused_parameters=unused),
            "use_distributed_sampler": False,
        }
    return Trainer(
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        **devices,
        precision=precision,
        max_epochs=epochs,
        gradient_clip_val=clip,
        callbacks=list(callbacks),
        plugins=plugins,
        logger=list(loggers) or False,
        log_every_n_steps=1,  # nothing is logged by Lightning's own counters, which a resumed run starts anew
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Hold back Lightning's tips and hardware notes; its warnings and errors still come through."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    loggers += [logging.getLogger(f"lightning.{part}.utilities.rank_zero") for part in ("pytorch", "fabric")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for text in _SILENCED:
                warnings.filterwarnings("ignore", text)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def deterministic_on_cpu(device: torch.device) -> Iterator[None]:
    """Use deterministic kernels only, on a CPU; elsewhere they are slow or missing and nothing is changed."""
    if device.type != "cpu":
        yield
        return
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    settings: Any = torch.utils.deterministic
    fill = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)  # noqa: FBT003 - torch's signature
    # Filling fresh memory finds bugs of kernels and costs time; it changes no result.
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        settings.fill_uninitialized_memory = fill
