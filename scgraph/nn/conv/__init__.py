"""The convolutions of the zoo, one a file; importing this package registers them."""

from __future__ import annotations

from scgraph.nn.conv.base import GeneConv
from scgraph.nn.conv.gat import GATConv
from scgraph.nn.conv.gcn import GCNConv
from scgraph.nn.conv.gnn import GNNConv
from scgraph.nn.conv.gnn_linear import GNNLinearConv
from scgraph.nn.conv.hybrid import HybridConv
from scgraph.nn.conv.mean import MeanConv
from scgraph.nn.conv.none import NoneConv
from scgraph.nn.conv.performer import PerformerConv
from scgraph.nn.conv.transformer import TransformerConv

__all__ = [
    "GATConv",
    "GCNConv",
    "GNNConv",
    "GNNLinearConv",
    "GeneConv",
    "HybridConv",
    "MeanConv",
    "NoneConv",
    "PerformerConv",
    "TransformerConv",
]
