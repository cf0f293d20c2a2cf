"""What the processes of a run tell each other: sums of losses and counts, and who was asked to stop."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scgraph.train.distributed.world import World
    from scgraph.train.loader import CellBatch

__all__ = ["agreed_signal", "all_gather", "all_sum", "shared_losses"]


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
    masked_loss: torch.Tensor,
    mvp: torch.Tensor,
    cell: torch.Tensor | None,
    batch: CellBatch,
    *,
    cell_weight: float,
    seen: Sequence[int],
    world: World,
) -> dict[str, Any]:
    r"""Turn the losses of this process's share into those of the whole batch.

    Process r holds :math:`n_r` masked values and :math:`b_r` cells of a batch with n and b of them, and
    DistributedDataParallel averages gradients over the W processes. So each process goes backward from

    .. math:: W \left( \frac{n_r}{n} L_r + \lambda \frac{b_r}{b} L'_r \right)

    and the averaged gradient is that of the batch as one process sees it, however unequal the shares are.

    Args:
        masked_loss: mean squared error over the masked values of the share, :math:`L_r`.
        mvp: mean squared error over those of expressed genes; reported, not gone backward from.
        cell: mean squared error of the values predicted from the cells of the share, :math:`L'_r`, if there is one.
        batch: the share; its `rows` are empty where it only holds a stand-in.
        cell_weight: :math:`\lambda`.
        seen: signals that this process got.
        world: the processes.

    Returns:
        ``loss`` to go backward from; ``whole_loss``, ``mvp_loss``, ``masked`` and ``masked_expressed`` of the whole
        batch; ``signal``, the one that asked any process to stop, or 0.
    """
    masked, cells = float(batch.mask.sum()), float(len(batch.rows))
    expressed = float(batch.masked_expressed.sum())
    parts: list[torch.Tensor | float] = [
        masked_loss.detach() * masked,
        masked,
        mvp.detach() * expressed,
        expressed,
        cells if cell is None else cell.detach() * cells,
        cells,
    ]
    masked_sum, all_masked, mvp_sum, all_expressed, cell_sum, all_cells, *votes = all_sum(
        [*parts, *_votes(seen)], mvp.device
    )
    loss = masked_loss * (world.size * masked / max(all_masked, 1))
    whole = masked_sum / max(all_masked, 1)
    if cell is not None:
        loss = loss + cell * (cell_weight * world.size * cells / all_cells)
        whole += cell_weight * cell_sum / all_cells
    return {
        "loss": loss,
        "whole_loss": torch.tensor(whole),
        "mvp_loss": torch.tensor(mvp_sum / max(all_expressed, 1)),
        "masked": int(all_masked),
        "masked_expressed": int(all_expressed),
        "signal": _signal(votes),
    }


def _votes(seen: Sequence[int]) -> list[float]:
    number = seen[0] if seen else 0
    return [float(number == signal.SIGINT), float(number == signal.SIGTERM)]


def _signal(votes: Sequence[float]) -> int:
    return signal.SIGINT if votes[0] else signal.SIGTERM if votes[1] else 0
