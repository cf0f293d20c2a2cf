"""The same layer as edge list, as dense products and fused: what `hardware_lottery` measures."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from benchmarks.layers.cases import Case, Sizes, complete_edges, on_nodes, ours
from scgraph.nn.conv.gnn import GNNConv
from scgraph.nn.conv.transformer import TransformerConv

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.layers.cases import Built

__all__ = ["DENSE", "EDGES", "FUSED", "REFERENCES", "STREAMED", "forms", "multiply_adds", "named_form"]

EDGES = "edge list"
DENSE = "dense"
FUSED = "fused"
STREAMED = "streamed"
REFERENCES = {"tf": f"tf, {FUSED}", "gnn": f"gnn, {DENSE}"}
"""What every form of a layer is compared with: the form that `complete` takes."""


def forms() -> list[Case]:
    """All forms. Those of one layer draw the same parameters and the same input, and must give the same numbers."""
    return [
        Case("tf, edge list", "tf", EDGES, ours("tf", edges=True)),
        Case("tf, edge list (PyG)", "tf", EDGES, _pyg_attention),
        Case("tf, dense", "tf", DENSE, _dense_attention),
        Case("tf, fused", "tf", FUSED, ours("tf")),
        Case("gnn, edge list", "gnn", EDGES, ours("gnn", edges=True)),
        Case("gnn, dense", "gnn", DENSE, ours("gnn", stream_from=sys.maxsize)),
        Case("gnn, streamed", "gnn", STREAMED, ours("gnn", stream_from=1)),
    ]


def named_form(name: str) -> Case:
    """The form of this name, which must exist."""
    return {form.name: form for form in forms()}[name]


def multiply_adds(form: Case, sizes: Sizes) -> int:
    """Multiply-adds of one forward run, the same for every form of a layer: those of its equation."""
    if form.family == "gnn":
        gnn = GNNConv(sizes.channels)
        once = gnn.multiply_adds(sizes.genes, sizes.rank) + gnn.adjacency_multiply_adds(sizes.genes, sizes.rank)
    else:
        once = TransformerConv(sizes.channels, heads=sizes.heads).multiply_adds(sizes.genes, sizes.rank)
    return sizes.cells * once


def _dense_attention(sizes: Sizes) -> Built:
    conv = TransformerConv(sizes.channels, heads=sizes.heads)

    def run(x: Tensor) -> Tensor:
        cells, genes, channels = x.shape
        parts = conv.query_key_value(x).view(cells, genes, 3, conv.heads, channels // conv.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) * key.shape[-1] ** -0.5  # [B, H, G, G]
        y = scores.softmax(dim=-1) @ value
        out: Tensor = conv.out(y.transpose(1, 2).reshape(cells, genes, channels))
        return out

    return conv, run


def _pyg_attention(sizes: Sizes) -> Built:
    """PyG's layer with the output map behind it that attention has and it lacks."""
    conv = TransformerConv(sizes.channels, heads=sizes.heads)
    convs: Any = importlib.import_module("torch_geometric.nn")
    with torch.random.fork_rng(devices=[]):  # the input is drawn next, and must be that of the other forms
        theirs = convs.TransformerConv(
            sizes.channels, sizes.channels // sizes.heads, heads=sizes.heads, root_weight=False
        )
    maps = (theirs.lin_query, theirs.lin_key, theirs.lin_value)
    weights, biases = conv.query_key_value.weight.chunk(3), conv.query_key_value.bias.chunk(3)
    with torch.no_grad():
        for linear, weight, bias in zip(maps, weights, biases, strict=True):
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
    attend: Callable[[Tensor], Tensor] = on_nodes(theirs, sizes, complete_edges(sizes))
    out = conv.out

    def run(x: Tensor) -> Tensor:
        y: Tensor = out(attend(x))
        return y

    return nn.ModuleList([theirs, out]), run
