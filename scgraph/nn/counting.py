"""Count the multiply-adds of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["counted_multiply_adds"]


def counted_multiply_adds(run: Callable[[], object]) -> int:
    """Return the multiply-adds of the matrix products of one forward run.

    PyTorch counts two operations a multiply-add. The fused attention of the CPU is unknown to its
    counter, so attention runs as plain products here: the same number, other kernels.
    """
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops()) // 2
