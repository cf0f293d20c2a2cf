"""Fast kernels against their plain references, outputs and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn.functional import leaky_relu

from scgraph.costs.machine import saved_bytes
from scgraph.nn import CellGraph, FactorizedAdjacency
from scgraph.nn.conv import GNNConv, HybridConv, TransformerConv
from scgraph.nn.kernels.attention import (
    gat_attention,
    hybrid_attention,
    masked_softmax,
    pair_attention,
    row_normalized,
    static_attention,
    streaming_attention,
    symmetric_normalized,
)

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_masked_softmax_gives_masked_entries_nothing() -> None:
    logits = torch.tensor([[[1.0, 50.0], [0.0, 0.0]]])
    weights = masked_softmax(logits, torch.tensor([[[True, False]]]))
    assert torch.equal(weights, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))


def _same_with_gradients(
    fast: torch.Tensor, plain: torch.Tensor, inputs: tuple[torch.Tensor, ...], close: float
) -> None:
    torch.testing.assert_close(fast, plain, rtol=close, atol=close)
    weight = torch.randn(fast.shape, generator=torch.Generator().manual_seed(1), dtype=fast.dtype)
    for ours, theirs in zip(
        torch.autograd.grad((fast * weight).sum(), inputs),
        torch.autograd.grad((plain * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=close, atol=close)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("normalized", [row_normalized, symmetric_normalized])
def test_normalized_tables_equal_the_matrix(
    normalized: Callable[..., tuple[torch.Tensor, torch.Tensor]], dtype: torch.dtype, close: float, padded: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    target, source = (torch.rand(2, 9, 3, generator=generator, dtype=dtype) for _ in range(2))
    x = torch.randn(2, 9, 5, generator=generator, dtype=dtype).requires_grad_()
    if padded:
        target[0, 6:] = source[0, 6:] = 0
    target.requires_grad_()
    source.requires_grad_()
    dense = target @ source.transpose(1, 2)
    degree = dense.sum(-1, keepdim=True)
    degree = degree.masked_fill(degree == 0, 1)
    weights = dense / degree if normalized is row_normalized else dense / (degree * degree.transpose(1, 2)).sqrt()
    fast_target, fast_source = normalized(target, source)
    _same_with_gradients(fast_target @ (fast_source.transpose(1, 2) @ x), weights @ x, (target, source, x), close)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("block", [1, 4, 9, 256])
def test_streaming_attention_equals_static_attention(
    block: int, dtype: torch.dtype, close: float, padded: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    target, source = (2 * torch.randn(2, 9, 3, generator=generator, dtype=dtype) for _ in range(2))
    x = torch.randn(2, 9, 5, generator=generator, dtype=dtype)
    for tensor in (target, source, x):
        tensor.requires_grad_()
    mask = None
    if padded:
        mask = torch.ones(2, 1, 9, dtype=torch.bool)
        mask[0, :, 6:] = False
    fast = streaming_attention(target, source, mask, x, block=block)
    _same_with_gradients(fast, static_attention(target, source, mask, x), (target, source, x), close)


def test_streaming_attention_in_half_precision_takes_its_softmax_in_float32() -> None:
    target, source, x = (torch.randn(20, 40, 8, generator=torch.Generator().manual_seed(n)) for n in range(3))
    exact = static_attention(2 * target, source, None, x)
    half = streaming_attention(2 * target, source, None, x.bfloat16(), block=16)
    assert half.dtype == torch.bfloat16
    # Of 20 seeds .0085 to .0097; .0206 to .0225 where the softmax is taken in half precision too.
    assert (half.float() - exact).square().mean().sqrt() < 0.014 * exact.square().mean().sqrt()


def test_streaming_attention_refuses_a_second_derivative_and_what_is_changed_in_place() -> None:
    target, source, x = (torch.randn(1, 9, 4).requires_grad_() for _ in range(3))
    loss = streaming_attention(target, source, None, x).square().sum()
    (once,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        once.sum().backward()
    for changed in ("x", "y"):
        given = x * 1.0
        y = streaming_attention(target, source, None, given)
        (given if changed == "x" else y).mul_(2.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_streaming_attention_never_holds_all_weights() -> None:
    genes = 600
    target, source, x = (torch.randn(1, genes, 4).requires_grad_() for _ in range(3))
    kept = saved_bytes(lambda: streaming_attention(target, source, None, x, block=8).sum(), torch.device("cpu"))
    assert kept < genes * genes * 4 / 20
    assert saved_bytes(lambda: static_attention(target, source, None, x).sum(), torch.device("cpu")) >= genes**2 * 4


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_hybrid_attention_equals_all_pairs(dtype: torch.dtype, close: float, masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(3, 2, 17, 4, generator=generator, dtype=dtype).requires_grad_() for _ in range(3))
    target, source = (torch.randn(3, 17, 5, generator=generator, dtype=dtype).requires_grad_() for _ in range(2))
    keys = _cells(1, dtype)[-1] if masked else None
    static = (target @ source.transpose(1, 2)).unsqueeze(1)
    plain = pair_attention(query @ key.transpose(-1, -2) / 2 + static, keys, value)
    fast = hybrid_attention(query, key, value, target, source, keys)
    _same_with_gradients(fast, plain, (query, key, value, target, source), close)


def test_hybrid_is_tf_without_tables_and_weighs_as_gnn_without_queries() -> None:
    torch.manual_seed(0)
    hybrid, transformer, gnn = HybridConv(8, heads=2), TransformerConv(8, heads=2), GNNConv(8)
    transformer.load_state_dict(hybrid.state_dict())
    adjacency = FactorizedAdjacency(9, rank=3)
    graph = CellGraph(torch.tensor([[3, 1, 4, 0], [2, 5, 6, 7]]))
    x = torch.randn(2, 4, 8)
    with torch.no_grad():
        hybrid.query_key_value.weight[:16] = 0
        hybrid.query_key_value.bias[:16] = 0
        gnn.linear.weight.copy_(hybrid.query_key_value.weight[16:])
        gnn.linear.bias.copy_(hybrid.query_key_value.bias[16:])
        view = adjacency.view(graph)
        mapped = graph.zero_padding(hybrid.out(gnn(x, graph, view)))
        torch.testing.assert_close(hybrid(x, graph, view), mapped)
        hybrid.load_state_dict(transformer.state_dict())
        assert not torch.allclose(hybrid(x, graph, view), transformer(x, graph))
        adjacency.target.zero_()
        torch.testing.assert_close(hybrid(x, graph, adjacency.view(graph)), transformer(x, graph))
