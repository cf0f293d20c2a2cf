"""The vectorised models against Eq. 6 to 12 written out for one sample."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from scgraph.errors import ConfigError
from scgraph.synthetic.config import SyntheticConfig
from scgraph.synthetic.data import generate
from scgraph.synthetic.models import Model, Parameters, encode, predict, predict_plain
from scgraph.synthetic.run import variants
from scgraph.synthetic.train import Setting, _draw, _fixed_inputs

TF_LAYERS = [Model("tf", layer="linear"), Model("tf", layer="relu"), Model("tf", layer="residual", positions=False)]
MODELS = [*variants().values(), *TF_LAYERS]


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_fast_and_plain_prediction_agree(model: Model) -> None:
    runs, batch = 3, 20
    samples = [generate(batch, e_p=0.4, sigma=0.5, seed=seed) for seed in range(runs)]
    positions = torch.from_numpy(np.stack([s.positions.T for s in samples]))
    values = torch.from_numpy(np.stack([s.values.T for s in samples]))
    places = (positions.unsqueeze(1) == torch.arange(1, 5).view(4, 1, 1)).double()
    masked = torch.arange(batch) % 4
    parameters = Parameters(model)
    flat = torch.stack([parameters.draw(seed) for seed in range(runs)])
    inputs = encode(places, values, masked, positions=model.positions)
    fast = predict(model, parameters.split(flat), inputs)
    for run, row in product(range(runs), range(batch)):
        order = samples[run].positions[row].argsort()
        token = int(masked[row])
        assert inputs.target[run, row] == samples[run].values[row, token]
        one = {name: part[run] for name, part in parameters.split(flat).items()}
        shown = samples[run].values[row][order]
        plain = predict_plain(model, one, order.tolist(), shown.tolist(), int(samples[run].positions[row, token]) - 1)
        assert float(fast[run, row]) == pytest.approx(float(plain), abs=1e-12)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_masked_value_is_hidden_and_every_parameter_is_used(model: Model) -> None:
    config = SyntheticConfig(precision="float64")
    part = _draw(config, [Setting(0.5, 0.5, 0), Setting(0.1, 0.5, 0)], 40, 0)
    masked = torch.arange(40) % 4
    parameters = Parameters(model)
    flat = torch.stack([parameters.draw(seed) for seed in range(2)]).requires_grad_()
    first = predict(model, parameters.split(flat), encode(*part, masked, positions=model.positions))
    other = part.values.clone()
    other[:, masked, torch.arange(40)] = 7.0
    second = predict(model, parameters.split(flat), encode(part.places, other, masked, positions=model.positions))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    first.square().sum().backward()
    assert flat.grad is not None
    for name, grad in parameters.split(flat.grad).items():
        assert grad.abs().sum() > 0, name


def test_fixed_masks_are_fixed_and_hide_one_value_of_each_sample() -> None:
    part = _draw(SyntheticConfig(), [Setting(0.5, 0.5, 0)], 4500, 0)
    first, again = (_fixed_inputs(part, 1, positions=True) for _ in range(2))
    assert [piece.target.shape[1] for piece in first] == [2000, 2000, 500]
    for one, same in zip(first, again, strict=True):
        assert torch.equal(one.masked, same.masked)
        assert torch.equal(one.masked.sum(0), torch.ones(one.masked.shape[1]))
    share = torch.cat([piece.masked for piece in first], 1).mean(1)
    assert ((share - 0.25).abs() < 0.03).all()
    assert not torch.equal(first[0].masked, _fixed_inputs(part, 0, positions=True)[0].masked)


def test_without_positions_the_order_cannot_be_told() -> None:
    part = _draw(SyntheticConfig(), [Setting(0.5, 0.5, 0)], 8, 0)
    masked = torch.zeros(8, dtype=torch.int64)
    model = Model("tf", positions=False)
    parameters = Parameters(model)
    views = parameters.split(parameters.draw(0).float().unsqueeze(0))
    turned = part.places.roll(1, 1)
    a, b = (predict(model, views, encode(p, part.values, masked, positions=False)) for p in (part.places, turned))
    assert torch.equal(a, b)


def test_initial_values_are_those_of_torch_layers_and_differ_by_seed() -> None:
    parameters = Parameters(Model("gnn", layer="relu"))
    flat = torch.stack([parameters.draw(seed) for seed in range(400)])
    assert torch.equal(flat[3], parameters.draw(3))
    assert len(torch.unique(flat[:, 0])) == 400
    views = parameters.split(flat)
    assert float(views["embedding"][:, :8].std()) == pytest.approx(1, abs=0.02)
    assert float(views["embedding"][:, 8:10].abs().max()) == pytest.approx(1, abs=0.01)
    for name in ("weight", "bias", "head"):
        assert float(views[name].abs().max()) == pytest.approx(8**-0.5, abs=0.01), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "gn"}, "There is no kind 'gn'. Did you mean 'gnn'"),
        ({"kind": "gnn", "layer": "rellu"}, "There is no layer 'rellu'. Did you mean 'relu'"),
        ({"kind": "gnn", "adjacency": "pair"}, "There is no adjacency 'pair'"),
        ({"kind": "gnn", "adjacency": "position", "positions": False}, "needs models with positions"),
    ],
)
def test_an_impossible_model_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Model(**options)  # type: ignore[arg-type]
