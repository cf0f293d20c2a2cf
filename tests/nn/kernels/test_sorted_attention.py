"""Sorted sums as compiled loops against the operations of PyTorch and all pairs, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from scgraph.costs.machine import saved_bytes
from scgraph.nn.kernels import sorted_attention as module
from scgraph.nn.kernels.attention import pair_attention
from scgraph.nn.kernels.sorted_attention import sorted_attention, sorted_attention_reference


def _given(scale: float, dtype: torch.dtype, genes: int = 17) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, genes, 2, 4, generator=generator, dtype=dtype)
    target, source = (scale * torch.randn(2, 4, generator=generator, dtype=dtype) for _ in range(2))
    mask = torch.ones(3, 1, genes, dtype=torch.bool)
    mask[0, :, genes // 2 :] = False
    mask[1, :, 1:] = False
    return values.requires_grad_(), target.requires_grad_(), source.requires_grad_(), mask


def _all_pairs(values: Tensor, target: Tensor, source: Tensor, mask: Tensor | None, slope: float) -> Tensor:
    heads = values.transpose(1, 2)
    receives, sends = ((heads * weight.unsqueeze(1)).sum(-1) for weight in (target, source))
    logits = leaky_relu(receives.unsqueeze(-1) + sends.unsqueeze(-2), slope)
    return pair_attention(logits, mask, heads).transpose(1, 2)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
# 100: logits of some hundred, whose exponentials overflow float32 unless taken relative to the largest.
@pytest.mark.parametrize(
    ("scale", "dtype", "close"),
    [(1, torch.float64, 1e-12), (100, torch.float64, 1e-10), (1, torch.float32, 1e-5), (100, torch.float32, 5e-3)],
)
@pytest.mark.parametrize("plain", [sorted_attention_reference, _all_pairs])
def test_compiled_sums_equal_the_plain_forms(
    plain: object, scale: float, dtype: torch.dtype, close: float, slope: float, masked: bool
) -> None:
    *inputs, mask = _given(scale, dtype)
    keys = mask if masked else None
    fast, slow = sorted_attention(*inputs, keys, slope), plain(*inputs, keys, slope)  # type: ignore[operator]
    assert "_Sorted" in type(fast.grad_fn).__name__
    torch.testing.assert_close(fast, slow, rtol=close, atol=close)
    weight = torch.randn(fast.shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    ours, theirs = (torch.autograd.grad((y * weight).sum(), inputs) for y in (fast, slow))
    for found, wanted in zip(ours, theirs, strict=True):
        size = float(wanted.detach().abs().max()) + 1
        torch.testing.assert_close(found / size, wanted / size, rtol=0, atol=10 * close)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_differences(masked: bool) -> None:
    *inputs, mask = _given(1, torch.float64, genes=6)
    assert torch.autograd.gradcheck(lambda *given: sorted_attention(*given, mask if masked else None, 0.2), inputs)


def test_a_cell_is_computed_by_itself_to_the_last_bit_on_any_number_of_threads() -> None:
    values, target, source, _ = _given(1, torch.float32, genes=40)
    threads = torch.get_num_threads()
    found = []
    try:
        for number in (1, 4):
            torch.set_num_threads(number)
            y = sorted_attention(values, target, source, None, 0.2)
            found += [(y, *torch.autograd.grad(y.square().sum(), (values, target, source)))]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, several) for one, several in zip(*found, strict=True))
    alone = sorted_attention(values[1:2], target, source, None, 0.2)
    assert torch.equal(alone[0], found[0][0][1])


def test_equal_logits_weigh_the_same() -> None:
    values = torch.arange(8.0).view(1, 4, 1, 2)
    mean = sorted_attention(values, torch.zeros(1, 2), torch.zeros(1, 2), None, 0.2)
    torch.testing.assert_close(mean, values.mean(1, keepdim=True).expand_as(values))


def test_the_sums_are_not_kept() -> None:
    *inputs, _ = _given(1, torch.float32, genes=200)
    kept = saved_bytes(lambda: sorted_attention(*inputs, None, 0.2).sum(), torch.device("cpu"))
    assert kept < 3 * inputs[0].numel() * 4


def test_half_precision_and_traced_code_take_the_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    *inputs, _ = _given(1, torch.float32)
    narrow = [tensor.detach().bfloat16() for tensor in inputs]
    called: list[torch.dtype] = []

    def plain(values: Tensor, *given: object) -> Tensor:
        called.append(values.dtype)
        return sorted_attention_reference(values, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "sorted_attention_reference", plain)
    sorted_attention(*narrow, None, 0.2)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    sorted_attention(*inputs, None, 0.2)
    assert called == [torch.bfloat16, torch.float32]


def test_a_second_derivative_is_refused() -> None:
    *inputs, _ = _given(1, torch.float64)
    (once,) = torch.autograd.grad(sorted_attention(*inputs, None, 0.2).square().sum(), inputs[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        once.sum().backward()
