"""Fast kernels against their plain references, outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import leaky_relu

from scgraph.nn.functional import gat_attention, masked_softmax, normalized_low_rank, pair_attention


def _cells(scale: float, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    target, source = (scale * torch.randn(3, 2, 17, generator=generator, dtype=dtype) for _ in range(2))
    values = torch.randn(3, 2, 17, 4, generator=generator, dtype=dtype)
    mask = torch.ones(3, 1, 17, dtype=torch.bool)
    mask[0, :, 11:] = False
    mask[1, :, 1:] = False
    return target.requires_grad_(), source.requires_grad_(), values.requires_grad_(), mask


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
# 300: exponents that overflow float32 unless every factor is taken relative to the largest.
@pytest.mark.parametrize(
    ("scale", "dtype", "close"),
    [(1, torch.float64, 1e-12), (300, torch.float64, 1e-10), (1, torch.float32, 2e-6), (300, torch.float32, 2e-3)],
)
def test_gat_attention_equals_all_pairs(
    scale: float, dtype: torch.dtype, close: float, slope: float, masked: bool
) -> None:
    target, source, values, mask = _cells(scale, dtype)
    keys = mask if masked else None
    fast = gat_attention(target, source, keys, values, slope)
    plain = pair_attention(leaky_relu(target.unsqueeze(-1) + source.unsqueeze(-2), slope), keys, values)
    torch.testing.assert_close(fast, plain, rtol=close, atol=close)
    weight = torch.randn(fast.shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    inputs = (target, source, values)
    for ours, theirs in zip(
        torch.autograd.grad((fast * weight).sum(), inputs),
        torch.autograd.grad((plain * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=10 * close, atol=10 * close)


def test_gat_attention_with_equal_sources() -> None:
    target, values = torch.zeros(1, 1, 4), torch.arange(8.0).view(1, 1, 4, 2)
    mean = gat_attention(target, torch.zeros(1, 1, 4), None, values, 0.2)
    torch.testing.assert_close(mean, values.mean(2, keepdim=True).expand_as(values))


@pytest.mark.parametrize("padded", [False, True])
def test_normalized_low_rank_equals_the_matrix(padded: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    target, source = (torch.rand(2, 9, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    x = torch.randn(2, 9, 5, generator=generator, dtype=torch.float64)
    if padded:
        target[0, 6:] = source[0, 6:] = 0
    dense = target @ source.transpose(1, 2)
    degree = dense.sum(-1, keepdim=True)
    scale = torch.where(degree > 0, degree, 1).rsqrt()
    torch.testing.assert_close(normalized_low_rank(target, source, x), scale * (dense @ (scale * x)))


def test_masked_softmax_gives_masked_entries_nothing() -> None:
    logits = torch.tensor([[[1.0, 50.0], [0.0, 0.0]]])
    weights = masked_softmax(logits, torch.tensor([[[True, False]]]))
    assert torch.equal(weights, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))
