"""Layers of PyTorch and PyTorch Geometric, and `gnn` as attention, against ours with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv as PyGGATConv
from torch_geometric.nn import TransformerConv as PyGTransformerConv

from scgraph.errors import ConfigError
from scgraph.nn import Block, CellGraph, FactorizedAdjacency
from scgraph.nn.conv import GNNConv, HybridConv, TransformerConv
from scgraph.nn.convert import (
    block_from_encoder_layer,
    gat_from_pyg,
    transformer_from_attention,
    transformer_from_gnn,
    transformer_from_pyg,
    with_tables,
)

GENES = torch.tensor([[3, 1, 4, 2, 6, 5], [9, 2, 6, 0, 0, 0]])
GRAPH = CellGraph(GENES)
C = 12

Run = Callable[[Tensor], Tensor]


@dataclass
class Pair:
    """Theirs and ours as functions of ``[B, G, C]``, and the parameters that hold the same numbers."""

    theirs: Run
    ours: Run
    parameters: list[tuple[list[Tensor], Tensor]]  # some of theirs, one below the other, are one of ours


def attention(**options: Any) -> Pair:
    theirs = noisy(nn.MultiheadAttention(C, 3, **options))
    ours = transformer_from_attention(theirs)

    def run(x: Tensor) -> Tensor:
        turned = x if theirs.batch_first else x.transpose(0, 1)
        y, _ = theirs(turned, turned, turned, key_padding_mask=~GRAPH.mask, need_weights=False)
        return y if theirs.batch_first else y.transpose(0, 1)

    same = [
        ([theirs.in_proj_weight], ours.query_key_value.weight),
        ([theirs.out_proj.weight], ours.out.weight),
    ]
    return Pair(run, lambda x: ours(x, GRAPH), same)


def encoder_layer(**options: Any) -> Pair:
    theirs = noisy(nn.TransformerEncoderLayer(C, 3, 20, batch_first=True, **{"dropout": 0.0} | options))
    ours = block_from_encoder_layer(theirs)
    norm, first, _, second, _ = ours.feed_forward
    same = [
        ([theirs.self_attn.in_proj_weight], ours.conv.query_key_value.weight),
        ([theirs.linear1.weight], first.weight),
        ([theirs.linear2.weight], second.weight),
        ([theirs.norm1.weight], ours.norm.weight),
        ([theirs.norm2.weight], norm.weight),
    ]
    return Pair(
        lambda x: theirs(x, src_key_padding_mask=~GRAPH.mask), lambda x: GRAPH.zero_padding(ours(x, GRAPH, None)), same
    )


def pyg_transformer(**options: Any) -> Pair:
    theirs = noisy(PyGTransformerConv(C, 4, heads=3, **options))
    ours = transformer_from_pyg(theirs)
    three = [theirs.lin_query.weight, theirs.lin_key.weight, theirs.lin_value.weight]
    return Pair(on_edges(theirs), lambda x: ours(x, GRAPH), [(three, ours.query_key_value.weight)])


def pyg_gat(**options: Any) -> Pair:
    theirs = noisy(PyGGATConv(C, 4, heads=3, **options))
    ours = gat_from_pyg(theirs)
    view = FactorizedAdjacency(9, 3).view(GRAPH)
    attributes = view.edge_logits(complete_edges()).unsqueeze(-1).detach()
    same = [([theirs.lin.weight], ours.linear.weight), ([theirs.att_src], ours.source)]
    return Pair(on_edges(theirs, attributes if ours.uses_adjacency else None), lambda x: ours(x, GRAPH, view), same)


def complete_edges() -> Tensor:
    edge_index = GRAPH.with_complete_edges().edge_index
    assert edge_index is not None
    return edge_index


def on_edges(conv: nn.Module, *inputs: Tensor | None) -> Run:
    return lambda x: conv(x.reshape(-1, C), complete_edges(), *inputs).view_as(x)


def noisy(module: Any) -> Any:
    """The module with no bias at zero and no norm at one."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return module


PAIRS: dict[str, tuple[Callable[..., Pair], dict[str, Any]]] = {
    "attention": (attention, {"batch_first": True}),
    "attention, genes first, no bias": (attention, {"bias": False}),
    "layer, norms in front, relu": (encoder_layer, {"norm_first": True}),
    "layer, norms in front, gelu, no bias": (
        encoder_layer,
        {"norm_first": True, "activation": "gelu", "bias": False, "layer_norm_eps": 0.1},
    ),
    "layer, norms behind": (encoder_layer, {"activation": nn.GELU()}),
    "TransformerConv": (pyg_transformer, {"root_weight": False}),
    "TransformerConv, root weight, no bias": (pyg_transformer, {"bias": False}),
    "GATConv": (pyg_gat, {}),
    "GATConv, no loops added, no bias": (pyg_gat, {"bias": False, "add_self_loops": False}),
    "GATConv, edge attribute": (pyg_gat, {"edge_dim": 1, "add_self_loops": False, "negative_slope": 0.4}),
}


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def near(request: pytest.FixtureRequest) -> Any:
    """Equal to 1e-5 of the largest number in float32, to 1e-10 in float64; what is built has that dtype."""

    def check(found: Tensor, expected: Tensor) -> None:
        assert found.dtype == expected.dtype == request.param
        scale = max(1.0, expected.abs().max().item())
        atol = {torch.float32: 1e-5, torch.float64: 1e-10}[request.param]
        torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=atol)

    torch.manual_seed(0)
    torch.set_default_dtype(request.param)
    yield check
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", PAIRS)
def test_it_equals_the_layer_it_was_made_of(name: str, near: Callable[[Tensor, Tensor], None]) -> None:
    make, options = PAIRS[name]
    pair = make(**options)
    x = torch.randn(2, 6, C, requires_grad=True)
    towards = GRAPH.zero_padding(torch.randn(2, 6, C))
    expected, found = pair.theirs(x), pair.ours(x)
    near(found[GRAPH.mask], expected[GRAPH.mask])
    assert not found[~GRAPH.mask].any()
    by_theirs, by_ours = (torch.autograd.grad((y * towards).sum(), x, retain_graph=True)[0] for y in (expected, found))
    near(by_ours, by_theirs)
    for theirs, ours in pair.parameters:
        parts = torch.autograd.grad((expected * towards).sum(), theirs, retain_graph=True)
        (own,) = torch.autograd.grad((found * towards).sum(), ours, retain_graph=True)
        near(own, torch.cat([part.reshape(-1, *own.shape[1:]) for part in parts]))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("recompute", [False, True])
def test_a_layer_goes_on_training_with_its_dropouts(norm_first: bool, recompute: bool) -> None:
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(C, 3, 20, dropout=0.4, batch_first=True, norm_first=norm_first)
    theirs.dropout.p, theirs.dropout2.p = 0.2, 0.3
    block = block_from_encoder_layer(theirs)
    block.recompute = recompute
    graph, x = CellGraph(GENES[:1], padded=False), torch.randn(1, 6, C, requires_grad=True)
    found = []
    for run in (theirs, lambda x: block(x, graph, None)):
        torch.manual_seed(1)
        y = run(x)
        found.append((y, *torch.autograd.grad(y.square().sum(), x)))
    for ours, expected in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)
    assert not block_from_encoder_layer(theirs.eval()).training


def test_attention_dropout_on_edges_and_without() -> None:
    torch.manual_seed(0)
    conv = TransformerConv(C, heads=3, attention_dropout=0.5)
    graph, x = CellGraph(GENES[:1].repeat(400, 1), padded=False), torch.randn(1, 6, C).repeat(400, 1, 1)
    without = conv.eval()(x, graph)
    torch.testing.assert_close(without, conv(x, graph.with_complete_edges()))
    conv.train()
    for drawn in (conv(x, graph), conv(x, graph.with_complete_edges())):
        assert not torch.allclose(drawn, without)
        torch.testing.assert_close(drawn.mean(dim=0), without.mean(dim=0), rtol=0, atol=0.06)
    with pytest.raises(ConfigError, match="attention_dropout"):
        TransformerConv(C, heads=3, attention_dropout=1.0)


@pytest.mark.parametrize(
    ("convert", "given", "said"),
    [
        (transformer_from_attention, lambda: nn.MultiheadAttention(C, 3, kdim=5), "kdim=5"),
        (transformer_from_attention, lambda: nn.MultiheadAttention(C, 3, vdim=5), "vdim=5"),
        (transformer_from_attention, lambda: nn.MultiheadAttention(C, 3, add_bias_kv=True), "add_bias_kv"),
        (transformer_from_attention, lambda: nn.MultiheadAttention(C, 3, add_zero_attn=True), "add_zero_attn"),
        (block_from_encoder_layer, lambda: nn.TransformerEncoderLayer(C, 3, activation=torch.tanh), "activation tanh"),
        (
            block_from_encoder_layer,
            lambda: nn.TransformerEncoderLayer(C, 3, activation=nn.GELU("tanh")),
            "approximate='tanh'",
        ),
        (transformer_from_pyg, lambda: PyGTransformerConv(C, 4, heads=3, beta=True), "beta=True"),
        (transformer_from_pyg, lambda: PyGTransformerConv(C, 4, heads=3, edge_dim=1), "edge_dim=1"),
        (transformer_from_pyg, lambda: PyGTransformerConv(C, C, heads=3, concat=False), "concat=False of 3 heads"),
        (transformer_from_pyg, lambda: PyGTransformerConv(C, 4, heads=2), "in_channels=12 for 8"),
        (transformer_from_pyg, lambda: PyGTransformerConv((C, C), 4, heads=3), r"in_channels=\(12, 12\)"),
        (transformer_from_pyg, lambda: PyGTransformerConv(C, 4, heads=3, aggr="max"), "aggr='max'"),
        (gat_from_pyg, lambda: PyGGATConv(C, 4, heads=3, edge_dim=2, add_self_loops=False), "edge_dim=2"),
        (gat_from_pyg, lambda: PyGGATConv(C, 4, heads=3, edge_dim=1), "add_self_loops=True with edge_dim=1"),
        (gat_from_pyg, lambda: PyGGATConv(C, 4, heads=3, residual=True), "residual"),
        (gat_from_pyg, lambda: PyGGATConv(C, 4, heads=3, dropout=0.6), "dropout=0.6"),
    ],
)
def test_what_has_no_counterpart_is_refused(convert: Any, given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        convert(given())


def test_double_weights_keep_their_digits() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(C, 3, batch_first=True).double()
    graph, x = CellGraph(GENES[:1], padded=False), torch.randn(1, 6, C).double()
    found = transformer_from_attention(theirs)(x, graph)
    torch.testing.assert_close(found, theirs(x, x, x)[0], rtol=0, atol=1e-12)
    gnn, view = GNNConv(C).double(), FactorizedAdjacency(9, 4).double().view(graph)
    attending = transformer_from_gnn(gnn, rank=4)(with_tables(x, view), graph)
    torch.testing.assert_close(attending[..., :C], gnn(x, graph, view), rtol=0, atol=1e-12)


def test_one_head_may_be_called_an_average() -> None:
    torch.manual_seed(0)
    theirs = PyGGATConv(C, C, concat=False)
    x = torch.randn(2, 6, C)
    expected = GRAPH.zero_padding(on_edges(theirs)(x))
    torch.testing.assert_close(gat_from_pyg(theirs)(x, GRAPH), expected, rtol=0, atol=1e-5)


def test_gnn_is_attention_whose_queries_and_keys_are_looked_up(near: Callable[[Tensor, Tensor], None]) -> None:
    gnn, adjacency = GNNConv(C), FactorizedAdjacency(9, 4)
    attending = transformer_from_gnn(gnn, rank=4)
    x = torch.randn(2, 6, C, requires_grad=True)
    towards = torch.randn(2, 6, C)
    learned = [x, adjacency.target, adjacency.source]
    expected = gnn(x, GRAPH, adjacency.view(GRAPH))
    whole = attending(with_tables(x, adjacency.view(GRAPH)), GRAPH)
    found = whole[..., :C]
    near(found, expected)
    assert not whole[..., C:].any()
    theirs = torch.autograd.grad((expected * towards).sum(), [*learned, gnn.linear.weight])
    *ours, maps = torch.autograd.grad((found * towards).sum(), [*learned, attending.query_key_value.weight])
    for own, other in zip([*ours, maps.view(3, C + 8, C + 8)[2, :C, :C]], theirs, strict=True):
        near(own, other)


def test_its_queries_and_keys_are_the_same_in_every_cell() -> None:
    adjacency = FactorizedAdjacency(9, 4)
    attending = transformer_from_gnn(GNNConv(C), rank=4)
    view = adjacency.view(GRAPH)
    one, other = (attending.query_key_value(with_tables(torch.randn(2, 6, C), view)).chunk(3, -1) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert not torch.allclose(one[2], other[2])
    assert torch.equal(one[0][0, 3], one[0][1, 1])  # gene 2 in either cell


def test_hybrid_without_its_dynamic_part_is_gnn(near: Callable[[Tensor, Tensor], None]) -> None:
    gnn, view = GNNConv(C), FactorizedAdjacency(9, 4).view(GRAPH)
    hybrid = HybridConv(C, heads=3)
    with torch.no_grad():
        hybrid.query_key_value.weight[: 2 * C].zero_()
        hybrid.query_key_value.weight[2 * C :] = gnn.linear.weight
        hybrid.query_key_value.bias.zero_()
        hybrid.query_key_value.bias[2 * C :] = gnn.linear.bias
        nn.init.eye_(hybrid.out.weight)
        nn.init.zeros_(hybrid.out.bias)
    x = torch.randn(2, 6, C)
    near(hybrid(x, GRAPH, view), gnn(x, GRAPH, view))


def test_the_two_arrangements_of_a_block_differ() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, C)
    torch.manual_seed(1)
    front = Block(TransformerConv(C, heads=3), activation="none", feed_forward=8, dropout=0.0)
    behind = Block(TransformerConv(C, heads=3), activation="none", feed_forward=8, dropout=0.0, norm_first=False)
    behind.load_state_dict(front.state_dict())
    y = behind(x, GRAPH, None)
    assert not torch.allclose(front(x, GRAPH, None), y)
    torch.testing.assert_close(y.mean(-1), torch.zeros(2, 6), rtol=0, atol=1e-5)
