"""A pass of synchronous training on many devices, computed and simulated from the rates of one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["Cluster", "Load", "simulate"]


@dataclass(frozen=True)
class Load:
    """What is trained.

    Attributes:
        cells: of a pass.
        batch: cells of a step on one device.
        cell_bytes: bytes read for a cell.
        gradient_bytes: bytes of all gradients of the model.
        cells_per_second: that one device learns from, nothing else to do.
        spread: standard deviation of the logarithm of the time of a step on one device.
    """

    cells: float
    batch: int
    cell_bytes: float
    gradient_bytes: float
    cells_per_second: float
    spread: float


@dataclass(frozen=True)
class Cluster:
    """Where it is trained.

    Attributes:
        devices: N.
        per_node: devices that share a machine, its reading and its network.
        link_bytes: bytes a second that a node sends to another.
        latency: seconds before the first byte of a message arrives.
        hour: price of a device for an hour.
    """

    devices: int
    per_node: int
    link_bytes: float
    latency: float
    hour: float


def simulate(load: Load, cluster: Cluster, *, steps: int = 2000, seed: int = 0) -> dict[str, Any]:
    r"""Return what a pass needs.

    A step takes as long as the slowest device, :math:`\max_n t_n`, :math:`t_n` log-normal of mean batch / rate, and
    then the exchange of the gradients, not hidden behind the backward pass. In a ring of N devices each sends
    :math:`2 (N - 1) / N` times the gradients; the link of a node to the next carries one stream of the ring, so an
    exchange takes :math:`2 (N - 1) / N \cdot G / B + 2 (N - 1) a` seconds for G bytes, B bytes a second and a latency
    a. Within one node nothing goes over a link, and the exchange takes no time here.

    Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations" (2009),
    doi:10.1016/j.jpdc.2008.09.002.

    Args:
        load: what is trained.
        cluster: where.
        steps: simulated ones, from which the mean step is taken.
        seed: of the times.

    Returns:
        ``hours`` of a pass, its ``price``, ``steps``, the ``step`` in seconds with the shares of it that devices
        compute, wait for the slowest and exchange gradients, ``node_cells_per_second`` and ``read`` bytes a second that
        a node must read, and ``sent`` bytes that a device sends in a step.
    """
    rng = np.random.default_rng(seed)
    mean = load.batch / load.cells_per_second
    times = mean * np.exp(load.spread * rng.standard_normal((steps, cluster.devices)) - load.spread**2 / 2)
    slowest = float(times.max(axis=1).mean())
    ring = 2 * (cluster.devices - 1)
    across = cluster.devices > cluster.per_node
    exchange = ring / cluster.devices * load.gradient_bytes / cluster.link_bytes + ring * cluster.latency
    exchange = exchange if across else 0.0
    step = slowest + exchange
    needed = load.cells / (load.batch * cluster.devices)
    hours = needed * step / 3600
    node_cells = min(cluster.devices, cluster.per_node) * load.batch / step
    return {
        **asdict(load),
        **asdict(cluster),
        "hours": hours,
        "price": hours * cluster.devices * cluster.hour,
        "steps": needed,
        "step": step,
        "share_computing": mean / step,
        "share_waiting": (slowest - mean) / step,
        "share_exchange": exchange / step,
        "node_cells_per_second": node_cells,
        "read": node_cells * load.cell_bytes,
        "sent": ring / cluster.devices * load.gradient_bytes,
    }
