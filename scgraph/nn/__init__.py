"""The model zoo: torch and PyTorch Geometric only.

Shapes: B cells of a batch, G genes of a cell, C channels, R rank, H heads, V genes of the
vocabulary, E edges. Gene id 0 is padding.
"""

from __future__ import annotations

from scgraph.nn.adjacency import AdjacencyView, FactorizedAdjacency
from scgraph.nn.asymmetric import AsymmetricModel
from scgraph.nn.block import Block
from scgraph.nn.cell_model import CellModel, ModelOutput
from scgraph.nn.conv import GeneConv, import_files
from scgraph.nn.conv.registry import conv_class, conv_names, register_conv
from scgraph.nn.cost import Cost
from scgraph.nn.counting import counted_multiply_adds
from scgraph.nn.encoder import GeneEncoder
from scgraph.nn.graph import CellGraph
from scgraph.nn.head import CellHead, ValueHead
from scgraph.nn.model import GeneModel
from scgraph.nn.network import Restriction
from scgraph.nn.positional import GenePositions, positional_encoding
from scgraph.nn.readout import MeanReadout

__all__ = [
    "AdjacencyView",
    "AsymmetricModel",
    "Block",
    "CellGraph",
    "CellHead",
    "CellModel",
    "Cost",
    "FactorizedAdjacency",
    "GeneConv",
    "GeneEncoder",
    "GeneModel",
    "GenePositions",
    "MeanReadout",
    "ModelOutput",
    "Restriction",
    "ValueHead",
    "conv_class",
    "conv_names",
    "counted_multiply_adds",
    "positional_encoding",
    "register_conv",
]

# Last, as a file of the zoo may take what it needs from here, as layers outside of the package do.
import_files()
