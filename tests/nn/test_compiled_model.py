"""The compiled loop over whole cells gives what the modules give, for all that it says it knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import erf

from scgraph.nn import AsymmetricModel, CellModel, GeneModel, Restriction
from scgraph.nn.compiled_model import CompiledModel
from scgraph.nn.conv.gnn_linear import GNNLinearConv
from scgraph.nn.kernels.compiled import activate, exponentials, standardize
from scgraph.train import embed
from tests.train.helpers import counted_store

SIZES: dict[str, Any] = {"channels": 24, "layers": 2, "rank": 5}
POOLED: dict[str, Any] = {"readout": "pooled", "value_encoding": "product", "values": "sqrt+pearson"}

FORMS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "product": {"value_encoding": "product", "readout_norm": False},
    "square roots": {"value_encoding": "product", "values": "sqrt"},
    "linear Pearson values": {"values": "pearson"},
    "pooled": POOLED,
    "linear part in front": POOLED | {"readout": "linear+pooled", "cell_layers": 1, "cell_width": 10},
    "pooled, layers of the cell": POOLED | {"cell_layers": 2, "cell_width": 10, "readout_norm": False},
    "tables a layer": {"shared_adjacency": False, "layers": 3},
    "one layer": {"layers": 1},
    "ReLU": {"activation": "relu"},
    "no activation": {"activation": "none"},
    "hints of place": {"positions": torch.randn(41, 3, generator=torch.Generator().manual_seed(0))},
}


def drawn(model: CellModel) -> CellModel:
    """Draw what starts at 0 or 1 too: a mistake there would not show."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim == 1 or not parameter.any():
            with torch.no_grad():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    if model.pooled_readout is not None:
        model.pooled_readout.fit(torch.linspace(-1, 1, 24), torch.linspace(0.5, 2, 24))
    return model.eval()


def assert_alike(model: CellModel, *, genes: int | None = None) -> None:
    assert CompiledModel.of(model) is not None
    store = counted_store(60)
    plain = embed(model, store, genes=genes, device="cpu", form="plain")
    found = embed(model, store, genes=genes, device="cpu")
    assert np.ptp(plain, axis=0).min() > 0
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("conv", ["gnn", "gnn-linear", "gcn"])
@pytest.mark.parametrize("form", FORMS)
def test_vectors_are_those_of_the_modules(conv: str, form: str) -> None:
    torch.manual_seed(0)
    model = drawn(GeneModel(40, conv=conv, **SIZES | FORMS[form]))
    assert_alike(model)
    assert_alike(model, genes=9)


@pytest.mark.parametrize("options", [{"stream_from": 1}, {"stream_from": 20}])
def test_long_cells_are_streamed(options: dict[str, int]) -> None:
    torch.manual_seed(0)
    assert_alike(drawn(GeneModel(40, conv="gnn", **SIZES, conv_options=options)))


def test_logits_that_overflow_are_shifted() -> None:
    torch.manual_seed(0)
    model = drawn(GeneModel(40, conv="gnn", **SIZES))
    with torch.no_grad():
        for table in model.adjacencies:
            table.target.mul_(30)
            table.source.mul_(30)
    assert_alike(model)


def test_cells_of_many_tiles() -> None:
    torch.manual_seed(0)
    model = drawn(GeneModel(700, conv="gnn", **SIZES))
    compiled = CompiledModel.of(model)
    assert compiled is not None
    genes = np.arange(1, 701, dtype=np.int32)
    values = np.random.default_rng(0).uniform(0.1, 4, 700).astype(np.float32)
    found = compiled.embed((np.asarray([0, 300, 700]), genes, values))
    with torch.inference_mode():
        for row, part in enumerate((slice(0, 300), slice(300, 700))):
            ids = torch.from_numpy(genes[part].astype(np.int64))[None]
            plain = model.embed(ids, torch.from_numpy(values[part])[None])[0].numpy()
            np.testing.assert_allclose(found[row], plain, rtol=1e-4, atol=1e-5)


def test_encoder_of_an_asymmetric_model() -> None:
    torch.manual_seed(0)
    assert_alike(drawn(AsymmetricModel(40, conv="gnn-linear", **SIZES, decoder_layers=1)))


@pytest.mark.parametrize("options", [{}, POOLED])
def test_a_piece_of_a_file_has_the_same_bits_though_only_the_file_is_sampled(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, store = drawn(GeneModel(40, conv="gnn-linear", **SIZES | options)), counted_store(60)
    lengths = np.diff(store.indptr)
    limit = int(np.median(lengths))
    short = np.flatnonzero(lengths <= limit)
    whole = embed(model, store, genes=limit, device="cpu")
    assert 0 < len(short) < 60
    assert np.array_equal(embed(model, store.subset(short), genes=limit, device="cpu"), whole[short])


class Derived(GNNLinearConv):
    """A layer of one's own."""


def heard() -> CellModel:
    model = GeneModel(40, conv="gnn", **SIZES)
    model.norm.register_forward_hook(lambda *_: None)
    return model


def nowhere_finite() -> CellModel:
    model = GeneModel(40, conv="gnn", **SIZES)
    with torch.no_grad():
        model.adjacencies[0].source[3] = torch.nan
    return model


@pytest.mark.parametrize(
    "model",
    [
        lambda: GeneModel(40, conv="tf", **SIZES),
        lambda: GeneModel(40, conv=Derived, **SIZES),
        lambda: GeneModel(40, conv="gnn", **SIZES, feed_forward=8),
        lambda: GeneModel(40, conv="gnn", **SIZES, value_encoding="bins"),
        lambda: GeneModel(40, conv="gnn", **SIZES, network=Restriction.from_edges(40, torch.tensor([[1, 2], [2, 3]]))),
        lambda: GeneModel(40, conv="gnn", **SIZES).double(),
        heard,
        nowhere_finite,
    ],
)
def test_what_the_loop_does_not_know_is_left_to_the_modules(model: Any) -> None:
    assert CompiledModel.of(model()) is None


def test_elementwise_kernels() -> None:
    x = np.linspace(-9, 9, 20_001, dtype=np.float32).reshape(3, -1)
    y, exact = x.copy(), x.astype(np.float64)
    activate(y, 2)
    np.testing.assert_allclose(y, exact * (1 + erf(exact / np.sqrt(2))) / 2, rtol=0, atol=2e-6)
    y, sums = (8 * x).copy(), np.empty(3, np.float32)
    exponentials(y, np.empty(x.shape[1], np.int32), sums)
    np.testing.assert_allclose(y, np.exp(8 * exact), rtol=1e-6)
    np.testing.assert_allclose(sums, np.exp(8 * exact).sum(axis=1), rtol=1e-5)
    standardize(x, np.float32(1e-5), y)
    plain = torch.nn.functional.layer_norm(torch.from_numpy(x), x.shape[1:]).numpy()
    np.testing.assert_allclose(y, plain, atol=1e-5)


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_activations_keep_what_is_not_a_number(kind: int) -> None:
    y = np.full((1, 9), np.nan, dtype=np.float32)
    activate(y, kind)
    assert np.isnan(y).all()
