"""Layers of PyTorch Geometric as convolutions: what they are given, and that they keep the contract."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch_geometric.nn as pyg
from torch_geometric.utils import softmax

from scgraph.errors import ConfigError, ContractError
from scgraph.nn import CellGraph, FactorizedAdjacency, GeneConv, GeneModel
from scgraph.nn.conv.registry import conv_class
from scgraph.testing import SENTENCES, check_conv, try_out

# Layer, its options, and what it asks for: edge weights, attributes, or neither.
LAYERS: list[tuple[str, dict[str, Any], str]] = [
    ("SAGEConv", {}, "neither"),
    ("GINConv", {"train_eps": True}, "neither"),
    ("GATv2Conv", {"heads": 4}, "attr"),
    ("GATConv", {"heads": 2, "concat": False}, "attr"),
    ("TransformerConv", {"heads": 2}, "attr"),
    ("TransformerConv", {"edge_dim": None}, "neither"),
    ("GCNConv", {}, "weight"),
    ("GraphConv", {"aggr": "mean"}, "weight"),
    ("PNAConv", {"towers": 2}, "attr"),
    ("ResGatedGraphConv", {}, "attr"),
    ("GENConv", {}, "attr"),
    ("TAGConv", {"K": 2}, "weight"),
    ("GINEConv", {"edge_dim": 16}, "attr"),
    ("CGConv", {}, "attr"),
    ("EdgeConv", {}, "neither"),
    ("ChebConv", {"K": 2}, "weight"),
]
GENES = torch.tensor([[3, 1, 4, 2, 6, 5], [9, 2, 6, 0, 0, 0]])


def built(name: str, channels: int = 16, **options: Any) -> Any:
    torch.manual_seed(0)
    return conv_class(f"torch_geometric.nn.{name}")(channels, **options)


@pytest.fixture
def graph() -> CellGraph:
    return CellGraph(GENES)


@pytest.fixture
def adjacency() -> FactorizedAdjacency:
    torch.manual_seed(1)
    return FactorizedAdjacency(9, 3)


@pytest.mark.parametrize(("name", "options", "_asks"), LAYERS, ids=str)
def test_layer_keeps_the_contract(name: str, options: dict[str, Any], _asks: str) -> None:
    """Shapes, gradients of all parameters and of the tables, permutation, padding, reset, state, counted cost."""
    remarks = check_conv(conv_class(f"torch_geometric.nn.{name}"), options)
    assert [remark[0] for remark in remarks if remark[0] != "2"] == ["3", "7", "8"]
    torch.manual_seed(0)
    SENTENCES[3](built(name, top_k=4, **options))
    SENTENCES[5](built(name, top_k=4, **options))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "options", "asks"), LAYERS, ids=str)
def test_equals_the_layer_called_by_hand(
    name: str, options: dict[str, Any], asks: str, training: bool, graph: CellGraph, adjacency: FactorizedAdjacency
) -> None:
    conv = built(name, top_k=3, **options).train(training)
    x, view = torch.randn(2, 6, 16), adjacency.view(graph)
    # By hand there is no padding: nine real genes, four of them of the second cell's own.
    real = graph.mask.flatten()
    edge_index = view.top_k_edges(3)
    logits = view.edge_logits(edge_index)
    weights = softmax(logits, edge_index[1], num_nodes=12)
    assert torch.allclose(torch.zeros(12).index_add(0, edge_index[1], weights.detach()), real.float())
    number = real.cumsum(0) - 1
    given = {
        "weight": {"edge_weight": weights},
        "attr": {"edge_attr": logits.unsqueeze(1).repeat(1, conv.edge_width or 1)},
        "neither": {},
    }[asks]
    expected = torch.zeros(12, 16)
    expected[real] = conv.layer(x.view(12, 16)[real], number[edge_index], **given)
    torch.testing.assert_close(conv(x, graph, view), expected.view(2, 6, 16))


def test_gcn_of_pyg_on_all_senders_is_gnn(adjacency: FactorizedAdjacency) -> None:
    graph = CellGraph(GENES[:1], padded=False)
    theirs, ours = built("GCNConv", 5), conv_class("gnn")(5)
    with torch.no_grad():
        ours.linear.weight.copy_(theirs.layer.lin.weight)
        ours.linear.bias.zero_()
    x = torch.randn(1, 6, 5)
    torch.testing.assert_close(theirs(x, graph, adjacency.view(graph)), ours(x, graph, adjacency.view(graph)))


@pytest.mark.parametrize("name", ["SAGEConv", "GCNConv", "GATv2Conv"])
def test_the_tables_learn_which_senders_help(name: str) -> None:
    """A target that only gene 1 can tell: more genes come to hear it, whatever the layer asks for."""
    graph = CellGraph(torch.arange(1, 9).repeat(16, 1), padded=False)

    def gains(seed: int) -> tuple[float, int]:
        """By how much the logits of gene 1 as a sender rise, and how many more genes hear it."""
        torch.manual_seed(seed)
        adjacency = FactorizedAdjacency(8, 4)
        conv = conv_class(f"torch_geometric.nn.{name}")(4, top_k=3)
        optimizer = torch.optim.Adam([*adjacency.parameters(), *conv.parameters()], lr=0.05)

        def as_sender() -> tuple[float, int]:
            source, target = adjacency.view(graph).top_k_edges(3)[:, : 8 * 3]
            logits = adjacency.logits(torch.arange(2, 9), torch.tensor(1)).detach()
            return float(logits.mean()), len(target[source == 0].unique())

        low, few = as_sender()
        for _ in range(150):
            x = torch.randn(16, 8, 4)
            loss = (conv(x, graph, adjacency.view(graph)) - x[:, :1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        high, many = as_sender()
        return high - low, many - few

    # GATv2 can also learn to hear nobody: of 24 starts half end so. A table without a gradient rises from none.
    logits, listeners = zip(*(gains(seed) for seed in range(4)), strict=True)
    assert max(logits) > 1
    assert max(listeners) > 0


def test_batch_norm_inside_a_layer_sees_no_padding(adjacency: FactorizedAdjacency) -> None:
    narrow, wide = CellGraph(GENES), CellGraph(torch.nn.functional.pad(GENES, (0, 4)))
    x = torch.randn(2, 6, 16)
    one, other = built("GENConv").train(), built("GENConv").train()
    y = one(x, narrow, adjacency.view(narrow))
    padded = other(torch.nn.functional.pad(x, (0, 0, 0, 4), value=7.0), wide, adjacency.view(wide))
    torch.testing.assert_close(padded[:, :6], y)
    for left, right in zip(one.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(left, right)


def test_counting_leaves_no_trace() -> None:
    conv = built("GENConv").train()
    before = {name: tensor.clone() for name, tensor in conv.state_dict().items()}
    state = torch.get_rng_state()
    # Two maps of the update, C to 2C to C, and one of the attributes, 1 to C for each of the 10 x 10 edges.
    assert conv.multiply_adds(10, 3) == 10 * 2 * 2 * 16**2 + 10 * 10 * 16
    assert conv.adjacency_multiply_adds(10, 3) == 10 * 10 * 3
    assert conv.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in conv.state_dict().items())


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", ["SAGEConv", "GCNConv"])
def test_a_model_of_them_states_what_a_run_counts(name: str, shared: bool) -> None:
    from scgraph.config import ModelConfig
    from scgraph.costs.profiling import profile

    config = ModelConfig(
        conv=f"torch_geometric.nn.{name}",
        channels=8,
        layers=3,
        rank=4,
        shared_adjacency=shared,
        conv_options={"top_k": 5},
    )
    cost = profile(config, genes=24, vocabulary_size=50, batch_size=2, seconds=0.01, peak=1e9)
    assert cost.multiply_adds == cost.counted_multiply_adds > 0
    assert cost.adjacency_multiply_adds == 24 * 24 * 4 * (1 if shared else 3)


def test_runs_in_mixed_precision_and_on_given_edges() -> None:
    for name in ("SAGEConv", "GCNConv", "TransformerConv"):
        model = GeneModel(9, conv=f"torch_geometric.nn.{name}", channels=8, layers=2, rank=3)
        with torch.autocast("cpu", torch.bfloat16):
            model(GENES, torch.rand(2, 6)).values.sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.blocks.parameters())
        edges = torch.tensor([[0, 1, 7], [1, 2, 6]])
        assert model(GENES, torch.rand(2, 6), edge_index=edges).values.isfinite().all()


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("ChebConv", {}, ["ChebConv needs K", "conv_options"]),
        ("NNConv", {}, ["NNConv needs nn", "subclass of your own"]),
        ("SAGEConv", {"agr": "max"}, ["takes no 'agr'", "Did you mean 'aggr'"]),
        ("GCNConv", {"cached": True}, ["cached", "leave it out"]),
        ("GATv2Conv", {"heads": 3}, ["heads (3) must divide channels (16)"]),
        ("SAGEConv", {"out_channels": 3}, ["out_channels follows from model.channels"]),
        ("SAGEConv", {"top_k": 0}, ["top_k"]),
        ("PNAConv", {"aggregators": ["nonsense"]}, ["PNAConv cannot be built", "nonsense"]),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_said(name: str, options: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        built(name, **options)
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("GCN2Conv", {"alpha": 0.1}, ["sentence 1", "it needs x_0"]),
        ("DynamicEdgeConv", {"k": 3}, ["sentence 1", "forward(x, batch) must take x and edge_index"]),
        ("MixHopConv", {}, ["sentence 1", "[19, 16] went in, [19, 48] came out"]),
        ("RGCNConv", {"num_relations": 2}, ["sentence 1", "x [19, 16], edge_index [2, 171]", "edge_type"]),
        ("GINEConv", {"edge_dim": None}, ["sentence 1", "GINEConv", "x [19, 16]"]),
    ],
    ids=str,
)
def test_what_cannot_run_is_told_the_sentence(name: str, options: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ContractError) as caught:
        try_out(built(name, **options))
    assert all(part in str(caught.value) for part in parts), caught.value


def test_a_subclass_that_hands_everything_on_is_built_as_its_base() -> None:
    from scgraph.nn.pyg.conv import wrapped

    class Handing(pyg.GCNConv):  # type: ignore[misc]
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)

    class Fixed(pyg.ChebConv):  # type: ignore[misc]
        def __init__(self, in_channels: int, out_channels: int) -> None:
            super().__init__(in_channels, out_channels, K=3)

    layer = wrapped(Handing)(16, improved=True).layer
    assert (layer.in_channels, layer.out_channels, layer.add_self_loops, layer.improved) == (16, 16, False, True)
    check_conv(wrapped(Fixed))
    with pytest.raises(ConfigError, match="Fixed: takes no 'K'"):
        wrapped(Fixed)(16, K=2)


def test_a_tuple_gives_its_first(graph: CellGraph, adjacency: FactorizedAdjacency) -> None:
    class WithAttention(pyg.GATv2Conv):  # type: ignore[misc]
        def forward(self, x: Any, edge_index: Any, edge_attr: Any = None) -> Any:
            return super().forward(x, edge_index, edge_attr, return_attention_weights=True)

    from scgraph.nn.pyg.conv import wrapped

    assert wrapped(WithAttention) is wrapped(WithAttention)
    conv: GeneConv = wrapped(WithAttention)(16)
    assert conv(torch.randn(2, 6, 16), graph, adjacency.view(graph)).shape == (2, 6, 16)
    check_conv(wrapped(WithAttention))
