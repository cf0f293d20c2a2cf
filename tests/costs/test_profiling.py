"""What is said of costs is what a run shows."""

from __future__ import annotations

import resource

import pytest
import torch

from scgraph.config import ModelConfig
from scgraph.costs.loading import loading_rate
from scgraph.costs.machine import matmul_peak, saved_bytes
from scgraph.costs.profiling import profile, saving
from scgraph.memory import available_memory, is_out_of_memory, limited_memory
from scgraph.nn.conv.registry import conv_names


def test_an_encoder_and_a_light_decoder_save_one_to_two_orders_of_magnitude() -> None:
    c, v, w = 256, 20_000, 2_000
    plain = 6 * (6 * v * c**2 + 2 * v**2 * c)
    own = 6 * (6 * w * c**2 + 2 * w**2 * c) + (w + 2) * c * 128 + 2 * v * (6 * 128**2 + 4 * 32 * 128 + 32 * 8)
    config = ModelConfig(conv="tf", asymmetric=True)
    assert saving(config, genes=w) == pytest.approx(plain / own)
    assert 10 < saving(config, genes=4_000) < saving(config, genes=w) < saving(config, genes=500)
    assert saving(config, genes=w, zeros=w) > saving(config, genes=w)
    assert saving(ModelConfig(conv="tf"), genes=v) == 1


@pytest.mark.parametrize("conv", ["gnn", "tf"])
def test_costs_of_encoder_and_decoder(conv: str) -> None:
    config = ModelConfig(conv=conv, channels=16, layers=2, rank=4, value_encoding="discretised", asymmetric=True)
    cost = profile(config, genes=24, zeros=10, vocabulary_size=50, batch_size=2, seconds=0.01, peak=1e9)
    assert cost.model == f"asym:{conv}"
    assert cost.counted_multiply_adds == cost.multiply_adds
    assert cost.panel == 34
    assert 0 < cost.decoder_multiply_adds < cost.multiply_adds
    assert cost.saved_mb > 0
    wider = profile(config, genes=24, vocabulary_size=50, batch_size=2, seconds=0.01)
    assert wider.panel == 48
    assert wider.decoder_multiply_adds > cost.decoder_multiply_adds


@pytest.mark.parametrize("name", conv_names())
def test_stated_and_counted_agree(name: str) -> None:
    config = ModelConfig(conv=name, channels=16, layers=2, rank=4, value_encoding="product", cell_head=True)
    cost = profile(config, genes=24, vocabulary_size=50, batch_size=2, seconds=0.01, peak=1e9)
    assert cost.multiply_adds == cost.counted_multiply_adds
    assert cost.saved_mb > 0
    assert cost.cells_per_second > 0
    assert cost.matmul_share == pytest.approx(6 * cost.multiply_adds * cost.cells_per_second / 1e9)


def test_math_attention_keeps_the_scores() -> None:
    config = ModelConfig(conv="tf", channels=16, layers=2, rank=4, conv_options={"heads": 4})
    fused, math = (
        profile(config, genes=64, vocabulary_size=80, batch_size=2, seconds=0.01, attention=attention)
        for attention in ("fused", "math")
    )
    scores = 2 * 4 * 64 * 64 * 4 / 1e6  # layers x heads x G x G in float32
    assert math.saved_mb > fused.saved_mb + 0.9 * scores  # the fused kernel keeps a sum a row instead
    assert math.multiply_adds == fused.multiply_adds


def test_saved_bytes_counts_what_is_kept_and_nothing_that_was_there() -> None:
    layer = torch.nn.Linear(8, 8, bias=False)
    x = torch.randn(4, 8)

    def forward() -> torch.Tensor:
        y = layer(x)
        return (y * y).sum() + y.exp().sum()

    # y and exp(y), 4 x 8 floats each, and the result; y * y is gone again, x and the weights were there before.
    assert saved_bytes(forward, torch.device("cpu")) == 2 * 4 * 8 * 4 + 4


def test_matmul_peak_is_a_rate() -> None:
    assert 1e8 < matmul_peak(size=256) < 1e14


def test_waiting_is_the_share_of_loading_in_a_step() -> None:
    config = ModelConfig(conv="none", channels=8, layers=1, rank=2)
    cost = profile(config, genes=16, vocabulary_size=20, batch_size=2, seconds=0.01)
    assert cost.waiting_share is None
    assert cost.waiting_at(cost.cells_per_second).waiting_share == pytest.approx(0.5)
    assert cost.waiting_at(3 * cost.cells_per_second).waiting_share == pytest.approx(0.25)
    few, many = (loading_rate(genes, batch_size=64, vocabulary_size=4000, seconds=0.2) for genes in (16, 2000))
    assert few > 2 * many > 0


def test_a_model_that_needs_more_memory_than_there_is_is_said_so() -> None:
    # 8 cells x 8 heads of 100,000 x 100,000 scores: 2.5 terabytes.
    sizes = {"genes": 100_000, "vocabulary_size": 100_000, "batch_size": 8, "attention": "math", "seconds": 0.01}
    cost = profile(ModelConfig(conv="tf", channels=8, layers=1), **sizes)
    assert cost.out_of_memory
    assert cost.saved_mb != cost.saved_mb
    assert cost.matmul_share is None
    assert cost.counted_multiply_adds == cost.multiply_adds


def test_memory_is_limited_only_within() -> None:
    size = available_memory() // 4
    with limited_memory(), pytest.raises(RuntimeError) as caught:
        [torch.empty(size, dtype=torch.uint8) for _ in range(8)]  # granted without a limit, as nothing is written
    assert is_out_of_memory(caught.value)
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
