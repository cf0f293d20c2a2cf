"""Every registered convolution against the whole contract, and the contract against broken layers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scgraph.errors import ContractError
from scgraph.nn import GeneConv, GeneModel
from scgraph.nn.contract import CHANNELS
from scgraph.nn.conv.registry import conv_class, conv_names
from scgraph.testing import SENTENCES, ConvContract, check_conv, try_out

# Options under which a layer runs other code; every name also runs with its defaults.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "gnn": [{"stream_from": 11}, {"stream_from": 12}],
    "gat": [{"heads": 1}, {"heads": 4, "use_adjacency": True}, {"negative_slope": 0.6}],
    "performer": [{"heads": 1, "features": 3}, {"heads": 4}],
    "tf": [{"heads": 1}, {"heads": 4, "root_weight": True}],
}
CASES = [(name, options) for name in conv_names() for options in [{}, *VARIANTS.get(name, [])]]


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_registered_conv_keeps_contract(name: str, options: dict[str, Any], sentence: int) -> None:
    torch.manual_seed(0)
    SENTENCES[sentence](conv_class(name)(CHANNELS, **options))


@pytest.mark.parametrize("name", conv_names())
def test_the_source_of_a_layer_can_be_opened(name: str) -> None:
    source = (conv_class(name).__doc__ or "").split("Source:")[1]
    assert re.search(r"https://(arxiv\.org/abs|doi\.org)/\S+", source)


def test_variants_name_registered_convs() -> None:
    assert set(VARIANTS) <= set(conv_names())


class Good(GeneConv):
    """``y_i = (1/G) Σ_j Θ x_j``.

    Shapes:
        ``[B, G, C]`` to ``[B, G, C]``.

    Source: this test; it runs on edges alone.
    """

    def __init__(self, channels: int, width: int | None = None) -> None:
        super().__init__(channels, aggr="mean")
        self.linear = nn.Linear(channels, width or channels)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.linear.reset_parameters()

    def message(self, x_j: Tensor) -> Tensor:
        return self.linear(x_j)

    def multiply_adds(self, genes: int, rank: int) -> int:
        return genes**2 * self.channels**2


class TestInherited(ConvContract):
    """The suite as the author of a layer uses it."""

    conv = Good


class Wide(Good):
    __doc__ = Good.__doc__

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * channels)


class OtherArguments(Good):
    __doc__ = Good.__doc__

    def message(self, x_j: Tensor, weather: Tensor) -> Tensor:
        return x_j * weather


class DeadParameter(Good):
    __doc__ = Good.__doc__

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.spare = nn.Parameter(torch.ones(2))


class OtherComplete(Good):
    __doc__ = Good.__doc__

    def complete(self, x: Tensor, graph: Any, view: Any) -> Tensor:
        return self.linear(x)


class Positional(Good):
    __doc__ = Good.__doc__

    def complete(self, x: Tensor, graph: Any, view: Any) -> Tensor:
        return x + torch.arange(x.shape[1]).view(1, -1, 1)


class Leaky(Good):
    __doc__ = Good.__doc__

    def complete(self, x: Tensor, graph: Any, view: Any) -> Tensor:
        return self.linear(x.mean(dim=1, keepdim=True)).expand_as(x)


class Unseeded(Good):
    __doc__ = Good.__doc__

    def reset_parameters(self) -> None:
        generator = torch.Generator()
        generator.seed()
        with torch.no_grad():
            self.linear.weight.normal_(generator=generator)


class Cheap(Good):
    __doc__ = Good.__doc__

    def multiply_adds(self, genes: int, rank: int) -> int:
        return 1


class Meddling(Good):
    __doc__ = Good.__doc__
    uses_adjacency = True

    def complete(self, x: Tensor, graph: Any, view: Any) -> Tensor:
        with torch.no_grad():
            view.softmax.mul_(0.5)  # which the next layer reads
        return self.linear(view.softmax @ x)


class Undocumented(Good):
    """A layer."""


@pytest.mark.parametrize(
    ("conv", "sentence"),
    [
        (Wide, 1),
        (OtherArguments, 1),
        (DeadParameter, 2),
        (OtherComplete, 3),
        (Positional, 4),
        (Leaky, 5),
        (Unseeded, 6),
        (Cheap, 7),
        (Undocumented, 8),
        (Meddling, 9),
    ],
)
def test_broken_layer_is_told_the_sentence(conv: type[GeneConv], sentence: int) -> None:
    torch.manual_seed(0)
    with pytest.raises(ContractError, match=f"{conv.__name__} breaks sentence {sentence} "):
        SENTENCES[sentence](conv(CHANNELS))
    with pytest.raises(ContractError):
        check_conv(conv)


class InPlace(Good):
    """``y_i = Θ relu(x_i + Σ_j x_j / G)``, in place wherever that is legal.

    Shapes:
        ``[B, G, C]`` to ``[B, G, C]``.

    Source: this test.
    """

    def complete(self, x: Tensor, graph: Any, view: Any) -> Tensor:
        mask = graph.mask.unsqueeze(-1)
        x += (x * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        torch.relu_(x)
        return self.linear(x)

    def on_edges(self, x: Tensor, edge_index: Tensor, **inputs: Tensor) -> Tensor:
        x += self.propagate(edge_index, x=x)
        torch.relu_(x)
        return self.linear(x)

    def message(self, x_j: Tensor) -> Tensor:
        return x_j

    def multiply_adds(self, genes: int, rank: int) -> int:
        return genes * self.channels**2


class TestInPlace(ConvContract):
    """A layer that works in place on what it is given keeps the contract."""

    conv = InPlace


class ChangedAfterwards(Good):
    __doc__ = Good.__doc__

    def message(self, x_j: Tensor) -> Tensor:
        weight = self.linear(x_j).exp()
        return weight.mul_(2.0)  # the exponential keeps its result for the backward pass


def test_a_layer_without_gradients_is_refused_before_it_trains() -> None:
    for check in (try_out, SENTENCES[2], SENTENCES[9]):
        with pytest.raises(ContractError, match=r"sentence 2 .* cannot be computed .*inplace operation"):
            check(ChangedAfterwards(CHANNELS))
    try_out(InPlace(CHANNELS))


@pytest.mark.parametrize("conv", [InPlace, Good])
@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_of_a_model_are_those_of_differences(conv: type[GeneConv], recompute: bool) -> None:
    torch.manual_seed(0)
    model = GeneModel(9, conv=conv, channels=6, layers=2, rank=4, recompute=recompute).double()
    genes, values = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 0]]), torch.rand(2, 4, dtype=torch.float64)

    def loss() -> Tensor:
        return model(genes, values).values.square().sum()

    weight = model.blocks[0].conv.linear.weight
    (gradient,) = torch.autograd.grad(loss(), weight)
    direction = torch.randn_like(weight)
    losses = []
    with torch.no_grad():
        for step in (1e-6, -2e-6):
            weight.add_(direction, alpha=step)
            losses.append(loss())
    torch.testing.assert_close((gradient * direction).sum(), (losses[0] - losses[1]) / 2e-6, rtol=1e-5, atol=1e-8)


def test_other_arguments_are_named_in_a_model() -> None:
    model = GeneModel(9, conv=OtherArguments, channels=4, layers=1, rank=4)
    with pytest.raises(ContractError, match=r"sentence 1 .* message\(x_j, weather\) is offered .* and nothing else"):
        model(torch.tensor([[1, 2]]), torch.ones(1, 2))
    with pytest.raises(ContractError, match=r"complete takes \(self, x, graph, view\), not \(self, x\)"):
        type("Short", (Good,), {"complete": lambda self, x: x})


def test_a_layer_that_states_no_cost_has_it_counted() -> None:
    class Silent(Good):
        __doc__ = Good.__doc__
        uses_adjacency = True
        multiply_adds = GeneConv.multiply_adds

        def message(self, x_j: Tensor, edge_logit: Tensor) -> Tensor:
            return self.linear(x_j) * edge_logit.unsqueeze(-1)

    notes = check_conv(Silent)
    assert [note[:2] for note in notes] == ["3:", "7:"]
    assert "all edges of cells of up to 512 genes" in notes[0]
    assert Silent(16).multiply_adds(10, 3) == 10**2 * 16**2
    assert Silent(16).adjacency_multiply_adds(10, 3) == 0, "on edges the logits are no product of matrices"

    class OnComplete(Silent):
        def complete(self, x: Tensor, graph: Any, view: Any) -> Tensor:
            return view.logits @ self.linear(x) / x.shape[1]

    assert OnComplete(16).multiply_adds(10, 3) == 10 * 16**2 + 10**2 * 16
    assert OnComplete(16).adjacency_multiply_adds(10, 3) == 10**2 * 3


def test_a_name_is_not_inherited() -> None:
    assert conv_class("none").key == "none"
    assert type("Derived", (conv_class("none"),), {}).key == ""


def test_wrong_shape_is_named_in_a_model() -> None:
    model = GeneModel(9, conv=Wide, channels=4, layers=1, rank=4)
    with pytest.raises(ContractError, match=r"\[1, 2, 4\] went in, \[1, 2, 8\] came out"):
        model(torch.tensor([[1, 2]]), torch.ones(1, 2))
