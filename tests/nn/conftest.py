"""A batch of small cells, one of them padded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor


@pytest.fixture
def cells() -> tuple[Tensor, Tensor, Tensor]:
    """Genes, values and mask of three cells, ``[3, 12]``, on a vocabulary of 30 genes."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.stack([torch.randperm(30, generator=generator)[:12] + 1 for _ in range(3)])
    ids[0, -2:] = 0
    return ids, torch.rand(3, 12, generator=generator), torch.rand(3, 12, generator=generator) < 0.3
