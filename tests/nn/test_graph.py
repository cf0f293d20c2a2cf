"""A layer against PyTorch Geometric's own (the others are in test_convert.py), and graphs to PyG and back."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Batch
from torch_geometric.nn import GCNConv as PyGGCNConv
from torch_geometric.transforms import LocalDegreeProfile

from scgraph.nn import CellGraph, FactorizedAdjacency
from scgraph.nn.conv import GCNConv

GENES = torch.tensor([[3, 1, 4, 2, 6, 5], [9, 2, 6, 0, 0, 0]])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _flat(graph: CellGraph, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    edge_index = graph.with_complete_edges().edge_index
    assert edge_index is not None
    return x.reshape(-1, x.shape[-1]), edge_index


def test_gcn_equals_pyg_with_the_same_edge_weights() -> None:
    ours, theirs = GCNConv(5), PyGGCNConv(5, 5, add_self_loops=False)
    with torch.no_grad():
        theirs.lin.weight.copy_(ours.linear.weight)
        ours.linear.bias.zero_()
    graph, x = CellGraph(GENES), torch.randn(2, 6, 5)
    flat, edge_index = _flat(graph, x)
    view = FactorizedAdjacency(9, 3).view(graph)
    expected = theirs(flat, edge_index, view.edge_weights(edge_index)).view(2, 6, 5)
    torch.testing.assert_close(ours(x, graph, view), graph.zero_padding(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("k", [None, 2])
def test_graph_goes_to_pyg_and_back(k: int | None) -> None:
    graph, x = CellGraph(GENES), torch.randn(2, 6, 5)
    view = FactorizedAdjacency(9, 3).view(graph)
    with_edges = graph.with_complete_edges() if k is None else view.top_k_graph(k)
    assert with_edges.edge_index is not None
    batch = with_edges.to_batch(x=x, values=torch.ones(2, 6), edge_logits=view.edge_logits(with_edges.edge_index))
    assert isinstance(batch, Batch)
    assert batch.num_graphs == 2
    assert batch.num_nodes == 9
    assert batch.edge_attr.shape == (batch.num_edges,)
    batch.validate()
    back, features = CellGraph.from_batch(batch)
    assert torch.equal(back.genes, GENES)
    assert features is not None
    assert torch.equal(features, graph.zero_padding(x))
    assert back.edge_index is not None
    assert {*zip(*back.edge_index.tolist(), strict=True)} == {*zip(*with_edges.edge_index.tolist(), strict=True)}


def test_pyg_transforms_run_on_a_cell() -> None:
    batch = CellGraph(GENES).to_batch()
    assert batch.num_edges == 6 * 6 + 3 * 3
    profiled = LocalDegreeProfile()(batch[1])
    assert profiled.x.shape == (3, 5)
    assert torch.equal(profiled.x[:, 0], torch.full((3,), 3.0))


def test_edge_attributes_need_edges() -> None:
    with pytest.raises(ValueError, match="with_complete_edges"):
        CellGraph(GENES).to_batch(edge_logits=torch.ones(3))
