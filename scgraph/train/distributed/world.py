"""Which process of a run this is: the only one, or one of several that torchrun, SLURM or scgraph started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from scgraph.errors import ConfigError, argument

__all__ = ["World", "find_world", "torchrun_environment", "torchrun_rank"]

_EXAMPLE = (
    "torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint FIRST_NODE:29500 "
    "-m scgraph.cli pretrain ..."
)


@dataclass(frozen=True)
class World:
    """The processes of a run, one a device.

    Attributes:
        rank: number of this process, from 0; process 0 writes and speaks.
        size: number of processes.
        devices: processes on each node.
        nodes: machines.
        launcher: what started the processes; none where they are still to be started.
    """

    rank: int = 0
    size: int = 1
    devices: int = 1
    nodes: int = 1
    launcher: Literal["none", "torchrun", "slurm"] = "none"


def find_world(devices: int, nodes: int) -> World:
    """Return the world that settings and environment name together.

    torchrun alone says how many processes there are. SLURM is asked only where several devices are set: many
    tasks of one job may be many runs.

    Args:
        devices: `train.devices`.
        nodes: `train.nodes`.

    Raises:
        ConfigError: settings and environment disagree, or several nodes have no launcher.
    """
    wanted, env = devices * nodes, os.environ
    if torchrun_rank() is not None:
        size, local = int(env["WORLD_SIZE"]), int(env["LOCAL_WORLD_SIZE"])
        if wanted not in (1, size):
            raise ConfigError(
                f"torchrun started {size} processes, and devices x nodes is {wanted}. Leave "
                f"{argument('devices')} and {argument('nodes')} out: "
                "torchrun decides."
            )
        return World(int(env["RANK"]), size, local, size // local, "torchrun")
    if wanted == 1:
        return World()
    tasks = int(env.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks > 1 and "SLURM_PROCID" in env:
        if tasks != wanted:
            raise ConfigError(f"srun started {tasks} tasks, and devices x nodes is {wanted}. Make them equal.")
        return World(int(env["SLURM_PROCID"]), tasks, devices, nodes, "slurm")
    if nodes > 1:
        raise ConfigError(f"nodes is {nodes}: start the run on every node, without {argument('nodes')}: {_EXAMPLE}.")
    return World(0, devices, devices)


def torchrun_rank() -> int | None:
    """Return the number of this process among those that torchrun started; None where it started one or none."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" not in env or int(env.get("WORLD_SIZE", "1")) == 1:
        return None
    return int(env["RANK"])


def torchrun_environment(rank: int, size: int, port: int) -> dict[str, str]:
    """Return the variables that torchrun would set for a process of one machine."""
    return {
        "TORCHELASTIC_RUN_ID": "scgraph",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
