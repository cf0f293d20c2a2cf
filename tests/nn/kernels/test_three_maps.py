"""Queries, keys and values in three products, against one product and its thirds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scgraph.nn.kernels.three_maps import three_maps, three_maps_reference


def _given(dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 5, 4), (12, 4), (12,))
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_three_products_equal_one(dtype: torch.dtype, close: float) -> None:
    inputs = _given(dtype)
    fast, plain = three_maps(*inputs), three_maps_reference(*inputs)
    assert all(part.is_contiguous() for part in fast)
    weights = [torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(n), dtype=dtype) for n in range(3)]
    gradients = []
    for parts in (fast, plain):
        loss = torch.stack([(part * weight).sum() for part, weight in zip(parts, weights, strict=True)]).sum()
        gradients.append(torch.autograd.grad(loss, inputs))
    for ours, theirs in zip((*fast, *gradients[0]), (*plain, *gradients[1]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=close, atol=close)


def test_gradients_are_those_of_differences() -> None:
    assert torch.autograd.gradcheck(three_maps, _given(torch.float64))


def test_under_autocast_the_plain_form_runs() -> None:
    inputs = _given(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        maps = three_maps(*inputs)
    assert {part.dtype for part in maps} == {torch.bfloat16}
    sum(part.float().sum() for part in maps).backward()
    assert all(tensor.grad is not None and tensor.grad.dtype == torch.float32 for tensor in inputs)
