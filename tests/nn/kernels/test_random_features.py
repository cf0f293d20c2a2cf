"""Attention by random features: the kernel against its reference, and the layer against the attention it stands for."""

from __future__ import annotations

import pytest
import torch

from scgraph.nn import CellGraph
from scgraph.nn.conv import PerformerConv, TransformerConv
from scgraph.nn.kernels.random_features import (
    feature_attention,
    feature_attention_reference,
    log_features,
    orthogonal_gaussian,
)


@pytest.mark.parametrize("masked", [False, True])
# 300: features that overflow float32, and queries whose best feature no key shares.
@pytest.mark.parametrize(
    ("scale", "dtype", "close"), [(1, torch.float64, 1e-12), (300, torch.float64, 1e-10), (300, torch.float32, 2e-4)]
)
def test_kernel_equals_all_pairs(scale: float, dtype: torch.dtype, close: float, masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (scale * torch.randn(3, 2, 9, 5, generator=generator, dtype=dtype) for _ in range(2))
    value = torch.randn(3, 2, 9, 4, generator=generator, dtype=dtype)
    mask = torch.ones(3, 1, 9, dtype=torch.bool)
    mask[0, :, 6:] = False
    mask[1, :, 1:] = False
    inputs = tuple(tensor.requires_grad_() for tensor in (query, key, value))
    fast = feature_attention(query, key, mask if masked else None, value)
    plain = feature_attention_reference(query, key, mask if masked else None, value)
    torch.testing.assert_close(fast, plain, rtol=close, atol=close)
    weight = torch.randn(fast.shape, generator=generator, dtype=dtype)
    for ours, theirs in zip(
        torch.autograd.grad((fast * weight).sum(), inputs),
        torch.autograd.grad((plain * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=10 * close, atol=10 * close)


def test_rows_are_orthogonal_and_normally_distributed() -> None:
    torch.manual_seed(0)
    rows = orthogonal_gaussian(20_000, 8)
    block = rows[:8] / rows[:8].norm(dim=1, keepdim=True)
    torch.testing.assert_close(block @ block.T, torch.eye(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.T @ rows / len(rows), torch.eye(8), atol=0.04, rtol=0)
    # The squared length of D independent normal numbers has mean D and variance 2 D.
    lengths = rows.square().sum(dim=1)
    assert float(lengths.mean()) == pytest.approx(8, rel=0.02)
    assert float(lengths.var()) == pytest.approx(16, rel=0.06)


def test_features_give_the_exponential_of_the_product() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 5, 4, dtype=torch.float64) / 3
    rows = orthogonal_gaussian(200_000, 4).double()
    kernel = log_features(x, rows).exp() @ log_features(y, rows).exp().T
    torch.testing.assert_close(kernel, (x @ y.T).exp(), rtol=0.02, atol=0)


@torch.no_grad()
def test_error_against_softmax_attention_falls_with_the_root_of_the_features() -> None:
    torch.manual_seed(0)
    exact = TransformerConv(16, heads=2)
    # Small logits: the variance of a feature grows with the exponential of |q + k|².
    graph, x = CellGraph(torch.arange(1, 65).unsqueeze(0), padded=False), torch.randn(1, 64, 16) / 2
    wanted = exact(x, graph)
    errors = []
    for features in (64, 256, 1024):
        found = []
        for _ in range(8):
            conv = PerformerConv(16, heads=2, features=features)
            conv.load_state_dict(exact.state_dict() | {"rows": conv.rows})
            found.append(float((conv(x, graph) - wanted).square().mean()))
        errors.append((sum(found) / len(found)) ** 0.5)
    # Sixteen times the features leave a quarter of the error: of 12 seeds 3.3 to 5.2.
    assert errors[0] > errors[1] > errors[2]
    assert 2 < errors[0] / errors[2] < 8, errors
    assert errors[2] < 0.4 * float((wanted - wanted.mean(dim=1, keepdim=True)).square().mean().sqrt())


def test_features_are_drawn_by_the_seed_and_saved() -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(PerformerConv(8, heads=2))
    assert torch.equal(drawn[0].rows, drawn[1].rows)
    assert not torch.equal(drawn[0].rows, drawn[2].rows)
    drawn[2].load_state_dict(drawn[0].state_dict())
    assert torch.equal(drawn[0].rows, drawn[2].rows)
    assert "rows" not in dict(drawn[0].named_parameters())


def test_half_precision_keeps_the_digits_of_the_exponent() -> None:
    torch.manual_seed(0)
    conv = PerformerConv(16, heads=2)
    graph, x = CellGraph(torch.arange(1, 33).unsqueeze(0), padded=False), 3 * torch.randn(1, 32, 16)
    full = conv(x, graph)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = conv(x, graph)
        edges = conv(x, graph.with_complete_edges())
    torch.testing.assert_close(narrow.float(), full, atol=0.03, rtol=0.03)
    torch.testing.assert_close(edges.float(), full, atol=0.03, rtol=0.03)
