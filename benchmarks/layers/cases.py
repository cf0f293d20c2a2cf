"""The layers that `layers` and `gpu` measure: ours, and what people would use instead."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from scgraph.costs.machine import DTYPES, saved_bytes
from scgraph.errors import ConfigError, did_you_mean
from scgraph.nn import CellGraph, FactorizedAdjacency
from scgraph.nn.conv.registry import conv_class, conv_names

if TYPE_CHECKING:
    from collections.abc import Callable

    Built = tuple[nn.Module, Callable[[Tensor], Tensor]]

__all__ = [
    "DENSE",
    "EDGES",
    "OURS",
    "TORCH",
    "Case",
    "LayerStep",
    "Sizes",
    "cases",
    "complete_edges",
    "named_case",
    "on_nodes",
    "ours",
]

OURS = "scgraph"
EDGES = "edge list"
DENSE = "PyG, dense"
TORCH = "torch"


@dataclass(frozen=True)
class Sizes:
    """Sizes of one measurement.

    Attributes:
        genes: genes of a cell G.
        channels: width C.
        rank: rank R of the adjacency.
        cells: cells of the batch B.
        heads: heads H of what has heads.
        device: "cpu" or "cuda".
        precision: "32-true" or "bf16-mixed".
    """

    genes: int
    channels: int = 256
    rank: int = 48
    cells: int = 1
    heads: int = 8
    device: str = "cpu"
    precision: str = "32-true"


@dataclass(frozen=True)
class Case:
    """A layer to measure.

    Attributes:
        name: in tables and figures.
        family: registered name of the convolution it is, or stands beside.
        kind: one of `OURS`, `EDGES`, `DENSE`, `TORCH`.
        build: makes the module and its forward run, ``[B, G, C]`` to ``[B, G, C]``.
        math: whether attention forms its scores as a tensor.
    """

    name: str
    family: str
    kind: str
    build: Callable[[Sizes], Built]
    math: bool = False


class LayerStep:
    """Forward and backward of one layer with gradients of its input and parameters; call it to run it.

    The loss is the sum of the output times a fixed random tensor, so that nothing but the layer is measured.

    Args:
        case: the layer.
        sizes: of the measurement.
    """

    def __init__(self, case: Case, sizes: Sizes) -> None:
        torch.manual_seed(0)
        self.sizes = sizes
        self.place = torch.device(sizes.device)
        self.math = case.math
        with torch.device(self.place):
            self.module, self.run = case.build(sizes)
            shape = (sizes.cells, sizes.genes, sizes.channels)
            self.x = torch.randn(shape, requires_grad=True)
            self.gradient = torch.randn(shape)

    def forward(self) -> Tensor:
        """The output, in float32."""
        mixed = self.sizes.precision.endswith("mixed")
        precision: AbstractContextManager[object] = (
            torch.autocast(self.place.type, DTYPES[self.sizes.precision]) if mixed else nullcontext()
        )
        with precision, sdpa_kernel(SDPBackend.MATH) if self.math else nullcontext():
            return self.run(self.x)

    def __call__(self) -> None:
        """Run forward and backward, to the end."""
        self.x.grad = None
        self.module.zero_grad(set_to_none=True)
        y = self.forward()
        y.backward(self.gradient.to(y.dtype))  # type: ignore[no-untyped-call]
        if self.place.type == "cuda":
            torch.cuda.synchronize(self.place)

    def saved_mb(self) -> float:
        """10⁶ bytes kept for backward, see `scgraph.costs.machine.saved_bytes`."""
        return saved_bytes(self.forward, self.place) / 1e6


def cases() -> list[Case]:
    """All layers: every registered convolution, and its counterparts of PyTorch Geometric and PyTorch."""
    found = [Case(name, name, OURS, ours(name)) for name in conv_names()]
    return [
        *found,
        Case("gat (adjacency)", "gat", OURS, ours("gat", use_adjacency=True)),
        Case("tf (math)", "tf", OURS, ours("tf"), math=True),
        Case("gnn (edges)", "gnn", EDGES, ours("gnn", edges=True)),
        Case("PyG GCNConv", "gcn", EDGES, _pyg_gcn),
        Case("PyG GATConv", "gat", EDGES, _pyg_headed("GATConv", add_self_loops=False)),
        Case("PyG TransformerConv", "tf", EDGES, _pyg_headed("TransformerConv", root_weight=False)),
        Case("PyG DenseGCNConv", "gcn", DENSE, _pyg_dense("DenseGCNConv")),
        Case("PyG DenseGATConv", "gat", DENSE, _pyg_dense("DenseGATConv")),
        Case("torch MultiheadAttention", "tf", TORCH, _torch_attention(weights=False)),
        Case("torch MultiheadAttention (weights)", "tf", TORCH, _torch_attention(weights=True)),
    ]


def named_case(name: str) -> Case:
    """The layer of this name.

    Raises:
        ConfigError: there is none.
    """
    found = {case.name: case for case in cases()}
    if name not in found:
        raise ConfigError(f"There is no layer {name!r} to measure.{did_you_mean(name, found)}")
    return found[name]


def _graph(sizes: Sizes) -> CellGraph:
    # As many genes in the vocabulary as in the cell: larger tables would add what does not grow with G.
    return CellGraph(torch.arange(1, sizes.genes + 1).expand(sizes.cells, -1).contiguous(), padded=False)


def ours(name: str, *, edges: bool = False, **options: Any) -> Callable[[Sizes], Built]:
    """A layer of the zoo on the complete graph, or on the edges of it."""

    def build(sizes: Sizes) -> Built:
        cls = conv_class(name)
        heads: dict[str, Any] = {"heads": sizes.heads} if "heads" in cls.search_space else {}
        conv = cls(sizes.channels, **heads, **options)
        graph = _graph(sizes)
        if edges:
            graph = graph.with_complete_edges()
        if not conv.uses_adjacency:
            return conv, lambda x: conv(x, graph, None)
        adjacency = FactorizedAdjacency(sizes.genes, sizes.rank)
        return nn.ModuleList([conv, adjacency]), lambda x: conv(x, graph, adjacency.view(graph))

    return build


def _pyg(name: str) -> Any:
    return getattr(importlib.import_module("torch_geometric.nn"), name)


def complete_edges(sizes: Sizes) -> Tensor:
    """The complete graph of every cell as edges, ``[2, B G²]``."""
    edge_index = _graph(sizes).with_complete_edges().edge_index
    assert edge_index is not None
    return edge_index


def on_nodes(conv: nn.Module, sizes: Sizes, *inputs: Tensor) -> Callable[[Tensor], Tensor]:
    """The forward run of a layer of PyG, which takes the genes of all cells one below the other."""

    def run(x: Tensor) -> Tensor:
        y: Tensor = conv(x.reshape(-1, sizes.channels), *inputs)
        return y.view_as(x)

    return run


def _pyg_gcn(sizes: Sizes) -> Built:
    conv = _pyg("GCNConv")(sizes.channels, sizes.channels, add_self_loops=False)
    edge_index = complete_edges(sizes)
    return conv, on_nodes(conv, sizes, edge_index, torch.rand(edge_index.shape[1]))


def _pyg_headed(name: str, **options: Any) -> Callable[[Sizes], Built]:
    def build(sizes: Sizes) -> Built:
        conv = _pyg(name)(sizes.channels, sizes.channels // sizes.heads, heads=sizes.heads, **options)
        return conv, on_nodes(conv, sizes, complete_edges(sizes))

    return build


def _pyg_dense(name: str) -> Callable[[Sizes], Built]:
    def build(sizes: Sizes) -> Built:
        headed = {"heads": sizes.heads} if name == "DenseGATConv" else {}
        conv = _pyg(name)(sizes.channels, sizes.channels // headed.get("heads", 1), **headed)
        adjacency = torch.ones(sizes.cells, sizes.genes, sizes.genes)
        return conv, lambda x: conv(x, adjacency, add_loop=False)

    return build


def _torch_attention(*, weights: bool) -> Callable[[Sizes], Built]:
    def build(sizes: Sizes) -> Built:
        attention = nn.MultiheadAttention(sizes.channels, sizes.heads, batch_first=True)
        return attention, lambda x: attention(x, x, x, need_weights=weights)[0]

    return build
