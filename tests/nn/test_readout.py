"""The pooled readout: its sums against a plain reference, what it starts as, what it does not depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from scgraph.errors import ConfigError
from scgraph.nn import CellGraph, GeneModel
from scgraph.nn.asymmetric import AsymmetricModel
from scgraph.nn.bag import GeneBag, weighted_sums, weighted_sums_reference
from scgraph.nn.readout import LINEAR_SHARE, CellLayers
from scgraph.train.expected import expected_fractions

if TYPE_CHECKING:
    from scgraph.nn.cell_model import CellModel

SIZES = {"channels": 8, "layers": 2, "rank": 4}
GENES = torch.tensor([[1, 3, 4, 0], [2, 3, 5, 6]])
VALUES = torch.tensor([[1.0, 0.5, 2.0, 0.0], [0.3, 1.2, 0.7, 2.5]])


def _model(conv: str = "gnn", **options: object) -> GeneModel:
    torch.manual_seed(0)
    settings = {"conv": conv, "readout": "pooled", "value_encoding": "product", "values": "sqrt+pearson"}
    return GeneModel(6, **SIZES | settings | options)  # type: ignore[arg-type]


def _opened(model: CellModel) -> CellModel:
    """Return the model with its gate open and its layers doing something."""
    assert model.pooled_readout is not None
    torch.nn.init.normal_(model.pooled_readout.gate)
    if model.cell_layers is not None:
        for weight in model.cell_layers.parameters():
            torch.nn.init.normal_(weight)
    return model.eval()


@pytest.mark.parametrize("kinds", [1, 2])
def test_sums_equal_the_reference_with_their_gradients(kinds: int) -> None:
    bag = GeneBag(torch.tensor([1, 3, 0, 2, 2, 5]), torch.rand(6), torch.tensor([0, 3, 3, 5]))
    results = []
    for compute in (weighted_sums, weighted_sums_reference):
        torch.manual_seed(0)
        table = torch.randn(7, 8, dtype=torch.float64).requires_grad_()
        with torch.no_grad():
            table[0] = 0
        weights = torch.rand(6, kinds, dtype=torch.float64)
        sums = compute(bag, weights, table)
        torch.autograd.backward((sums * torch.arange(8)).sin().sum())
        results.append((sums.detach(), table.grad))
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain)
    assert not results[0][0][1].any()  # a cell without genes


def test_the_vector_of_an_untrained_model_is_its_pooled_input() -> None:
    model = _model(cell_layers=2).eval()
    torch.testing.assert_close(model.embed(GENES, VALUES), model.linear_vector(GeneBag.of_padded(GENES, VALUES)))
    transformed = model.encoder.transform(VALUES, GENES)
    table = model.encoder.value.weight[GENES]  # type: ignore[union-attr, index]
    plain = (transformed.repeat_interleave(4, dim=-1) * table).sum(dim=1)
    torch.testing.assert_close(model.embed(GENES, VALUES), plain)


@pytest.mark.parametrize("kind", ["plain", "asymmetric"])
def test_the_linear_part_stands_in_front_at_half_its_size(kind: str) -> None:
    cls, options = (GeneModel, {}) if kind == "plain" else (AsymmetricModel, {"decoder_layers": 1})
    settings = {"conv": "gnn", "value_encoding": "product", "cell_head": True, "cell_layers": 1}
    models = []
    for readout in ("pooled", "linear+pooled"):
        torch.manual_seed(0)
        models.append(_opened(cls(6, readout=readout, **SIZES | settings | options)))  # type: ignore[arg-type]
    trained, model = models
    assert (trained.width, model.width) == (8, 16)
    bag = GeneBag.of_padded(GENES, VALUES)
    for own in (None, bag):
        out = model.embed(GENES, VALUES, bag=own)
        torch.testing.assert_close(out[:, :8], LINEAR_SHARE * model.linear_vector(bag))
        torch.testing.assert_close(out[:, 8:], trained.embed(GENES, VALUES, bag=own))
    # The decoder reads what is trained, and nothing that is trained reads the linear part.
    torch.testing.assert_close(model(GENES, VALUES).cell, trained(GENES, VALUES).cell)
    vectors = model.embed(GENES, VALUES).detach().numpy()
    torch.testing.assert_close(
        torch.from_numpy(expected_fractions(model, vectors)), model.log_shares(model(GENES, VALUES).cell).exp()
    )


@pytest.mark.parametrize("kind", ["plain", "asymmetric"])
def test_what_the_blocks_see_need_not_be_all_that_is_pooled(kind: str) -> None:
    sample = torch.tensor([[1, 4], [3, 6]])
    seen = torch.tensor([[1.0, 2.0], [1.2, 2.5]])
    if kind == "plain":
        model = _opened(_model())
    else:
        torch.manual_seed(0)
        options = {"conv": "gnn", "readout": "pooled", "value_encoding": "product", "decoder_layers": 1}
        model = _opened(AsymmetricModel(6, **SIZES | options))  # type: ignore[arg-type]
    bag = GeneBag.of_padded(GENES, VALUES)
    out = model(sample, seen, bag=bag).cell
    assert model.pooled_readout is not None
    encoded = model.encode(CellGraph(sample), seen)
    added = (encoded.last - encoded.first).mean(dim=1) * model.pooled_readout.gate
    torch.testing.assert_close(out, model.linear_vector(bag) + added)
    assert not torch.allclose(out, model(sample, seen).cell)


@pytest.mark.parametrize("conv", ["gnn", "gnn-linear", "gcn", "gat", "tf", "mean", "none"])
def test_order_and_padding_change_nothing(conv: str) -> None:
    # In double precision: the layers of this test are large, and sums in another order differ in their last bits.
    model, values = _opened(_model(conv, cell_layers=1)).double(), VALUES.double()
    whole = model.embed(GENES, values)
    order = torch.tensor([3, 1, 0, 2])
    torch.testing.assert_close(model.embed(GENES[:, order], values[:, order]), whole)
    torch.testing.assert_close(model.embed(GENES[:1, :3], values[:1, :3]), whole[:1])


def test_cell_layers_start_as_the_identity_and_reset_to_it() -> None:
    layers = CellLayers(8, layers=3, width=16)
    z = torch.randn(5, 8)
    assert torch.equal(layers(z), z)
    torch.nn.init.ones_(layers.layers[0][-1].weight)  # type: ignore[index, arg-type]
    assert not torch.equal(layers(z), z)
    layers.reset_parameters()
    assert torch.equal(layers(z), z)


def test_expected_shares_add_up_to_one_and_need_a_head() -> None:
    model = _model(cell_head=True)
    shares = model.log_shares(model.embed(GENES, VALUES)).exp()
    assert shares.shape == (2, 6)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))
    with pytest.raises(ConfigError, match=r"model\.cell_head"):
        _model().log_shares(torch.zeros(1, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"readout": "pooled", "value_encoding": "linear", "values": "log1p"}, "pooled sums the table of the product"),
        ({"readout": "pool"}, "Did you mean 'pooled'"),
        ({"values": "sqrt+pearson", "value_encoding": "linear", "readout": "mean"}, "needs value_encoding product"),
        ({"values": "sqrt+pearson", "channels": 9}, "a multiple of 2 channels"),
        (
            {"values": "sqrt", "value_encoding": "bins", "readout": "mean"},
            "the bins of value_encoding bins are of log1p",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _model(**options)


def test_only_the_pooled_readout_has_a_linear_part() -> None:
    model = _model(readout="mean")
    with pytest.raises(ConfigError, match="only the pooled readout"):
        model.linear_vector(GeneBag.of_padded(GENES, VALUES))
