"""What the processes of a run tell each other: sums of losses and counts, and who was asked to stop."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scgraph.train.distributed.world import World
    from scgraph.train.loader import CellBatch

__all__ = ["LossPart", "agreed_signal", "all_gather", "all_sum", "shared_losses"]


@dataclass(frozen=True)
class LossPart:
    """A part of the loss of a batch.

    Attributes:
        loss: a mean.
        weight: what it counts beside the others.
        count: how many masked values or cells it is the mean of.
    """

    loss: torch.Tensor
    weight: float
    count: int


def all_sum(values: Sequence[torch.Tensor | float], device: torch.device) -> list[float]:
    """Return the sums of the values over all processes; every process gets the same."""
    sums = torch.stack([torch.as_tensor(value, dtype=torch.float64, device=device) for value in values])
    distributed.all_reduce(sums)
    totals: list[float] = sums.tolist()
    return totals


def all_gather(value: Any, size: int) -> list[Any]:
    """Return the value of every process, in their order."""
    gathered: list[Any] = [None] * size
    distributed.all_gather_object(gathered, value)
    return gathered


def agreed_signal(seen: Sequence[int], world: World, device: torch.device) -> int:
    """Return the signal that asked any of the processes to stop; 0 for none."""
    if world.size == 1:
        return seen[0] if seen else 0
    return _signal(all_sum(_votes(seen), device))


def shared_losses(
    parts: Sequence[LossPart],
    mvp: torch.Tensor,
    batch: CellBatch,
    *,
    seen: Sequence[int],
    world: World,
) -> dict[str, Any]:
    r"""Turn the losses of this process's share into those of the whole batch.

    Process r holds :math:`n_{kr}` of the :math:`n_k` things that part k of the loss is the mean over, masked values or
    cells, and DistributedDataParallel averages gradients over the W processes. So each process goes backward from

    .. math:: W \sum_k \lambda_k \frac{n_{kr}}{n_k} L_{kr}

    and the averaged gradient is that of the batch as one process sees it, however unequal the shares are.

    Args:
        parts: the parts of the loss of the share.
        mvp: mean squared error over the masked values of expressed genes; reported, not gone backward from.
        batch: the share; its `rows` are empty where it only holds a stand-in.
        seen: signals that this process got.
        world: the processes.

    Returns:
        ``loss`` to go backward from; ``whole_loss``, ``mvp_loss``, ``masked`` (what the first part is the mean over)
        and ``masked_expressed`` of the whole batch; ``signal``, the one that asked any process to stop, or 0.
    """
    expressed = float(batch.masked_expressed.sum())
    own: list[torch.Tensor | float] = [mvp.detach() * expressed, expressed]
    for part in parts:
        own += [part.loss.detach() * part.count, float(part.count)]
    mvp_sum, all_expressed, *rest = all_sum([*own, *_votes(seen)], mvp.device)
    sums, votes = rest[: 2 * len(parts)], rest[2 * len(parts) :]
    loss, whole = torch.zeros((), device=mvp.device), 0.0
    for part, total, count in zip(parts, sums[::2], sums[1::2], strict=True):
        loss = loss + part.loss * (part.weight * world.size * part.count / max(count, 1))
        whole += part.weight * total / max(count, 1)
    return {
        "loss": loss,
        "whole_loss": torch.tensor(whole),
        "mvp_loss": torch.tensor(mvp_sum / max(all_expressed, 1)),
        "masked": int(sums[1]),
        "masked_expressed": int(all_expressed),
        "signal": _signal(votes),
    }


def _votes(seen: Sequence[int]) -> list[float]:
    number = seen[0] if seen else 0
    return [float(number == signal.SIGINT), float(number == signal.SIGTERM)]


def _signal(votes: Sequence[float]) -> int:
    return signal.SIGINT if votes[0] else signal.SIGTERM if votes[1] else 0
