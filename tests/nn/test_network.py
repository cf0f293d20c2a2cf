"""A gene network restricts every layer to its edges; positional hints say where a gene stands in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import AddLaplacianEigenvectorPE, AddRandomWalkPE
from torch_geometric.utils import to_undirected

from scgraph.errors import ConfigError
from scgraph.nn import (
    CellGraph,
    GeneConv,
    GeneModel,
    Restriction,
    counted_multiply_adds,
    network,
    positional,
    positional_encoding,
)
from scgraph.nn.conv.registry import conv_class, conv_names

if TYPE_CHECKING:
    from scgraph.nn.conv.plan import Plan

V = 30
GENES = torch.tensor([[3, 17, 8, 1, 25, 0, 0], [30, 2, 3, 4, 5, 6, 7], [9, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]])


def some_edges(count: int = 60, seed: int = 0) -> Tensor:
    return torch.randint(1, V + 1, (2, count), generator=torch.Generator().manual_seed(seed))


def run_on_pairs(monkeypatch: pytest.MonkeyPatch, name: str, share: float) -> None:
    """Have a layer that keeps to pairs take them from another share of all pairs on."""
    cls = conv_class(name)
    plan = cls.plan

    def planned(conv: GeneConv, genes: int) -> Plan:
        own = plan(conv, genes)
        return own if own.pairs_from is None else replace(own, pairs_from=share)

    monkeypatch.setattr(cls, "plan", planned)


def plain_edges(genes: Tensor, edge_index: Tensor) -> set[tuple[int, int]]:
    """The definition, gene by gene."""
    joined = set(zip(*edge_index.tolist(), strict=True))
    width = genes.shape[1]
    return {
        (b * width + j, b * width + i)
        for b, cell in enumerate(genes.tolist())
        for i, target in enumerate(cell)
        for j, source in enumerate(cell)
        if target and source and (target == source or (source, target) in joined)
    }


@pytest.mark.parametrize("count", [0, 60, 400])
def test_edges_of_a_batch_are_those_of_the_definition(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    edge_index = some_edges(count)
    net = Restriction.from_edges(V, edge_index)
    found = net.edges(GENES)
    assert found.shape[1] == len(set(zip(*found.tolist(), strict=True)))
    assert set(zip(*found.tolist(), strict=True)) == plain_edges(GENES, edge_index)
    assert (found[1].diff() >= 0).all()
    monkeypatch.setattr(network, "LARGEST_LOOKUP", 1)  # one cell at a time
    assert torch.equal(net.edges(GENES), found)
    graph = net.restrict(CellGraph(GENES), pairs_from=0.0)
    assert graph.pairs is not None
    assert set(zip(*graph.with_complete_edges().edge_index.tolist(), strict=True)) == plain_edges(GENES, edge_index)
    assert graph.pairs.diagonal(dim1=1, dim2=2).all()
    assert net.edges(GENES[:, :0]).shape == (2, 0)


def test_direction_is_source_to_target() -> None:
    net = Restriction.from_edges(V, torch.tensor([[5], [6]]))
    assert net.edges(torch.tensor([[5, 6]])).tolist() == [[0, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize("name", [*conv_names(), "torch_geometric.nn.SAGEConv"])
def test_every_layer_keeps_to_the_network(name: str) -> None:
    """What a gene says reaches those it has an edge to, and nobody else."""
    torch.manual_seed(0)
    edge_index = some_edges(40, seed=1)
    net = Restriction.from_edges(V, edge_index)
    model = GeneModel(V, conv=name, channels=8, layers=1, rank=4, network=net).eval()
    values = torch.rand(GENES.shape)
    graph = CellGraph(GENES)

    def features(values: Tensor) -> Tensor:
        return model.encode(graph, values).last.detach().flatten(0, 1)

    first = features(values)
    allowed = plain_edges(GENES, edge_index)
    reached = set()
    for at in GENES.flatten().nonzero().flatten().tolist():
        changed = values.clone()
        changed.view(-1)[at] += 1.0
        differs = (features(changed) - first).abs().amax(dim=1) > 1e-7
        reached |= {(at, int(other)) for other in differs.nonzero().flatten()}
    loops = {(at, at) for at, _ in allowed}
    assert reached <= allowed
    assert reached == (loops if name == "none" else allowed)
    out = model(GENES, values)
    out.values.square().sum().backward()
    assert torch.isfinite(out.values).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("name", ["gnn", "tf", "hybrid", "gat"])
def test_pairs_equal_edges_in_outputs_and_gradients(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    torch.manual_seed(0)
    net = Restriction.from_edges(V, some_edges(200))
    model = GeneModel(V, conv=name, channels=8, layers=2, rank=4, network=net, recompute=name == "gnn").double()
    values = torch.rand(GENES.shape, dtype=torch.float64)
    found = []
    for share, pairs in ((0.0, True), (2.0, False)):
        run_on_pairs(monkeypatch, name, share)
        assert (model.restricted(CellGraph(GENES)).pairs is not None) == pairs
        out = model(GENES, values)
        loss = out.values.square().sum() + out.cell.sum()
        found.append((out.values, torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-9, atol=1e-9)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["gnn", "tf", "gcn"])
def test_a_network_of_all_edges_is_the_complete_graph(name: str) -> None:
    torch.manual_seed(0)
    every = torch.cartesian_prod(torch.arange(1, V + 1), torch.arange(1, V + 1)).T
    full = GeneModel(V, conv=name, channels=8, layers=2, rank=4).eval()
    restricted = GeneModel(V, conv=name, channels=8, layers=2, rank=4, network=Restriction.from_edges(V, every)).eval()
    restricted.load_state_dict(full.state_dict(), strict=False)
    values = torch.rand(GENES.shape)
    torch.testing.assert_close(restricted(GENES, values).values, full(GENES, values).values, rtol=1e-4, atol=1e-5)


def test_a_model_without_a_network_has_no_new_keys() -> None:
    without = GeneModel(V, channels=8, layers=1, rank=4)
    assert not [key for key in without.state_dict() if "network" in key or "position" in key]
    net = Restriction.from_edges(V, some_edges())
    hints = positional_encoding("random_walk", V, some_edges(), dim=3)
    with_both = GeneModel(V, channels=8, layers=1, rank=4, network=net, positions=hints)
    new = set(with_both.state_dict()) - set(without.state_dict())
    assert new == {"network.indptr", "network.indices", "positions.encoding", "positions.linear.weight"}
    assert with_both.double().state_dict()["network.indices"].dtype == torch.int32


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("name", ["gnn", "tf", "gat", "gcn", "torch_geometric.nn.GATConv"])
def test_stated_cost_is_counted(monkeypatch: pytest.MonkeyPatch, name: str, pairs: bool) -> None:
    run_on_pairs(monkeypatch, name, 0.0 if pairs else 2.0)
    net = Restriction.from_edges(V, some_edges(200))
    model = GeneModel(V, conv=name, channels=8, layers=2, rank=4, network=net)
    graph, values = CellGraph(torch.arange(1, 9).unsqueeze(0), padded=False), torch.ones(1, 8)
    edges = net.edges(graph.genes).shape[1]
    whole = counted_multiply_adds(lambda: model.encode(graph, values))
    embedding = counted_multiply_adds(lambda: model.encoder(graph, values, None))
    assert model.cost(8, edges=edges).multiply_adds == whole - embedding
    assert model.cost(8, edges=edges).path == (
        "network pairs" if pairs and name in ("gnn", "tf", "gat") else "network edges"
    )


@pytest.mark.parametrize(
    ("indptr", "indices"),
    [
        ([0, 0, 2, 1], [1, 2]),
        ([0, 1, 2, 2], [1, 2]),
        ([0, 0, 1, 2], [1, 3]),
        ([0, 0, 1, 2], [0, 1]),
        ([0, 0, 1, 3], [1, 2]),
    ],
)
def test_damaged_networks_are_refused(indptr: list[int], indices: list[int]) -> None:
    with pytest.raises(ConfigError, match="network: "):
        Restriction(torch.tensor(indptr), torch.tensor(indices, dtype=torch.int32))


def test_networks_of_other_vocabularies_are_refused() -> None:
    with pytest.raises(ConfigError, match="an edge joins ids outside 1 to 30"):
        Restriction.from_edges(V, torch.tensor([[1], [31]]))
    with pytest.raises(ConfigError, match="network: is of 30 genes, and the vocabulary has 31"):
        GeneModel(V + 1, channels=8, layers=1, rank=4, network=Restriction.from_edges(V, some_edges()))
    with pytest.raises(ConfigError, match="positions: is of 9 genes"):
        GeneModel(V, channels=8, layers=1, rank=4, positions=torch.zeros(10, 3))


def two_parts() -> tuple[Tensor, Tensor]:
    """A component of 120 genes (ARPACK), one of 20 (dense), one of 2, and isolated genes; with weights."""
    generator = torch.Generator().manual_seed(3)
    large = torch.randint(1, 121, (2, 600), generator=generator)
    small = torch.randint(130, 150, (2, 80), generator=generator)
    edges = torch.cat((large, small, torch.tensor([[160], [161]])), dim=1)
    edges = to_undirected(edges[:, edges[0] != edges[1]])
    weight = torch.rand(200, 200, generator=generator).double() + 0.1
    return edges, (weight + weight.T)[edges[0], edges[1]]


def test_laplacian_encoding_is_pygs_a_component() -> None:
    edges, weight = two_parts()
    place = positional_encoding("laplacian", 180, edges, dim=6, edge_weight=weight).double()
    assert place.shape == (181, 6)
    joined = edges[0].unique()
    lone = torch.ones(181, dtype=torch.bool).index_fill(0, joined, False)
    assert not place[lone].any()
    assert place[joined].square().mean(dim=0).numpy() == pytest.approx(1.0, abs=1e-5)
    assert place[160, 0] == -place[161, 0] != 0
    assert not place[160:162, 1:].any()
    for first, last in ((1, 121), (130, 150)):
        own = (edges[0] >= first) & (edges[0] < last)
        data = Data(edge_index=edges[:, own] - first, edge_weight=weight[own], num_nodes=last - first)
        theirs = AddLaplacianEigenvectorPE(6, is_undirected=True)(data).laplacian_eigenvector_pe
        ours = place[first:last]
        ratio = (ours * theirs).sum(dim=0) / theirs.square().sum(dim=0)
        torch.testing.assert_close(ours, theirs * ratio, rtol=1e-3, atol=1e-3)
        assert (ours.gather(0, ours.abs().argmax(dim=0, keepdim=True)) > 0).all()


@pytest.mark.parametrize("kind", ["laplacian", "random_walk"])
def test_encodings_are_the_same_every_time_and_draw_nothing(kind: str) -> None:
    edges, _ = two_parts()
    torch.manual_seed(5)
    first = positional_encoding(kind, 180, edges, dim=4)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), after)
    torch.manual_seed(77)
    np.random.seed(3)  # noqa: NPY002 - what ARPACK would draw from
    shuffled = edges[:, torch.randperm(edges.shape[1])]
    assert torch.equal(positional_encoding(kind, 180, shuffled, dim=4), first)
    one_way = edges[:, edges[0] < edges[1]]
    assert torch.equal(positional_encoding(kind, 180, one_way, dim=4), first)


def test_random_walk_encoding_is_pygs(monkeypatch: pytest.MonkeyPatch) -> None:
    edges, _ = two_parts()
    place = positional_encoding("random_walk", 180, edges, dim=6).double()
    theirs = AddRandomWalkPE(6)(Data(edge_index=edges, num_nodes=181)).random_walk_pe.double()
    joined = edges[0].unique()
    assert not place[:, 0].any()
    ratio = place[1, 1:] / theirs[1, 1:]
    torch.testing.assert_close(place[joined][:, 1:], theirs[joined][:, 1:] * ratio, rtol=1e-4, atol=1e-5)
    own = edges[0] < 121
    part = edges[:, own] - 1
    exact = positional._walk(120, part, 7)
    sketch = positional._sketched_walk(120, part, 7, columns=4096)
    for steps in (2, 4, 6):
        torch.testing.assert_close(sketch[:, steps - 1], exact[:, steps - 1], rtol=0.12, atol=0)
    assert (sketch[:, 0] == 0).all()
    assert (sketch[:, 2] - exact[:, 2]).abs().max() < 0.05 * exact[:, 1].max()
    called = []
    monkeypatch.setattr(positional, "_sketched_walk", lambda *given: called.append(given) or exact)
    monkeypatch.setattr(positional, "LARGEST_DENSE", 119)
    positional._walk(120, part, 7)
    assert called


def test_hints_enter_through_a_linear_map() -> None:
    torch.manual_seed(0)
    edges, _ = two_parts()
    hints = positional_encoding("laplacian", 180, edges, dim=4)
    model = GeneModel(180, conv="none", channels=8, layers=1, rank=4, positions=hints)
    plain = GeneModel(180, conv="none", channels=8, layers=1, rank=4)
    plain.load_state_dict(model.state_dict(), strict=False)
    genes, values = torch.tensor([[5, 170, 0]]), torch.rand(1, 3)
    graph = CellGraph(genes)
    assert model.positions is not None
    added = model.positions(graph)
    torch.testing.assert_close(added[0, 0], model.positions.linear.weight @ hints[5])
    assert not added[0, 1:].any()
    assert not torch.equal(model.encode(graph, values).last[0, 0], plain.encode(graph, values).last[0, 0])
    assert torch.equal(model.encode(graph, values).last[0, 1:], plain.encode(graph, values).last[0, 1:])
    with pytest.raises(ConfigError, match="Did you mean 'laplacian'"):
        positional_encoding("laplace", 180, edges)


def test_pairs_reach_only_layers_that_read_them() -> None:
    """A layer whose dense path knows no pairs runs their edges."""
    torch.manual_seed(0)
    conv = conv_class("mean")(4)
    pairs = torch.eye(3, dtype=torch.bool).unsqueeze(0)
    graph = replace(CellGraph(torch.tensor([[1, 2, 3]]), padded=False), pairs=pairs)
    x = torch.randn(1, 3, 4)
    torch.testing.assert_close(conv(x, graph), conv.linear(x))
