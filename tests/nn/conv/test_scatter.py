"""The edge path with torch-scatter and without."""

from __future__ import annotations

import pytest
import torch
import torch_geometric.typing

from scgraph.nn import CellGraph, FactorizedAdjacency
from scgraph.nn.conv.registry import conv_class, conv_names

pytestmark = pytest.mark.scatter


@pytest.mark.parametrize("name", conv_names())
def test_edge_path_is_the_same_with_torch_scatter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_scatter", reason="torch-scatter is not installed (make test-scatter)")
    if not torch_geometric.typing.WITH_TORCH_SCATTER:
        pytest.fail("torch-scatter is installed, but PyTorch Geometric does not use it")
    torch.manual_seed(0)
    conv = conv_class(name)(8).double()
    adjacency = FactorizedAdjacency(20, 3).double()
    graph = CellGraph(torch.tensor([[3, 1, 4, 2, 6], [9, 12, 6, 0, 0]])).with_complete_edges()
    x = torch.randn(2, 5, 8, dtype=torch.float64, requires_grad=True)

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        y = conv(x, graph, adjacency.view(graph))
        return y, torch.autograd.grad(y.square().sum(), x)[0]

    with_scatter = run()
    monkeypatch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", False)
    without = run()
    for ours, theirs in zip(with_scatter, without, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
