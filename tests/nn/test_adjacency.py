"""The strongest senders of a gene, found in blocks of rows, are those of all logits at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from scgraph.nn import CellGraph, FactorizedAdjacency, adjacency

if TYPE_CHECKING:
    from scgraph.nn.adjacency import AdjacencyView


def at_once(view: AdjacencyView, k: int) -> torch.Tensor:
    """The plain form: all logits, then the k largest a row."""
    cells, genes = view.graph.genes.shape
    mask = view.graph.mask
    logits = view.logits.detach().masked_fill(~mask.unsqueeze(1), -torch.inf)
    logits = logits.masked_fill(torch.eye(genes, dtype=torch.bool) & mask.unsqueeze(1), torch.inf)
    best, source = logits.topk(min(k, genes), dim=-1)
    keep = best.ne(-torch.inf) & mask.unsqueeze(-1)
    offset = torch.arange(cells).view(-1, 1, 1) * genes
    target = torch.arange(genes).view(1, -1, 1) + offset
    return torch.stack(((source + offset)[keep], target.expand_as(source)[keep]))


def view_of(cells: int, genes: int) -> AdjacencyView:
    torch.manual_seed(0)
    ids = torch.stack([torch.randperm(200)[:genes] + 1 for _ in range(cells)])
    ids[0, genes // 2 :] = 0
    ids[1] = 0
    return FactorizedAdjacency(200, 6).double().view(CellGraph(ids))


def test_top_k_keeps_the_strongest_senders_and_itself() -> None:
    torch.manual_seed(0)
    view = FactorizedAdjacency(9, 3).view(CellGraph(torch.tensor([[3, 1, 4, 2, 6, 5], [9, 2, 6, 0, 0, 0]])))
    edge_index = view.top_k_graph(3).edge_index
    assert edge_index is not None
    for gene in range(6):
        senders = edge_index[0][edge_index[1] == gene].tolist()
        strongest = view.logits[0, gene].argsort(descending=True).tolist()
        others = [g for g in strongest if g != gene][:2]
        assert sorted(senders) == sorted([gene, *others])
    padding = torch.tensor([9, 10, 11])
    assert not torch.isin(edge_index, padding).any()


@pytest.mark.parametrize("k", [1, 5, 64])
@pytest.mark.parametrize("block", [1, 100, 500, 2**23])
def test_blocks_give_what_all_logits_give(block: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adjacency, "LARGEST_BLOCK", block)
    view = view_of(4, 37)
    assert torch.equal(view.top_k_edges(k), at_once(view, k))


def test_no_block_is_larger_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adjacency, "LARGEST_BLOCK", 1000)
    sizes = []
    topk = torch.Tensor.topk

    def noted(self: torch.Tensor, *given: object, **more: object) -> object:
        sizes.append(self.numel())
        return topk(self, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.Tensor, "topk", noted)
    view_of(4, 37).top_k_edges(3)
    assert len(sizes) == 7
    assert max(sizes) <= 1000


def test_layers_share_edges_and_logits() -> None:
    view = view_of(3, 20)
    edges = view.top_k_edges(4)
    assert view.top_k_edges(4) is edges
    assert view.edge_logits(edges) is view.edge_logits(edges)
    other = view.top_k_edges(2)
    assert view.edge_logits(other).shape == (other.shape[1],)
    view.edge_logits(edges).sum().backward()
