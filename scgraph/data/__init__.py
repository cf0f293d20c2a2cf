"""Reading, checking and sampling of cells. Knows no model and needs no torch."""

from __future__ import annotations

from scgraph.data.cells import Cells
from scgraph.data.files.checks import check_labels
from scgraph.data.files.reading import read_cells
from scgraph.data.network.network import GeneEdges, Network, read_network
from scgraph.data.sampling.genes import mask_values
from scgraph.data.sets.hvg import highly_variable
from scgraph.data.sets.leakage import cell_hashes, find_leaks
from scgraph.data.store.disk import is_store
from scgraph.data.store.prepare import check_store, prepare
from scgraph.data.store.store import CellStore
from scgraph.data.vocabulary import GeneMatch, Vocabulary

__all__ = [
    "CellStore",
    "Cells",
    "GeneEdges",
    "GeneMatch",
    "Network",
    "Vocabulary",
    "cell_hashes",
    "check_labels",
    "check_store",
    "find_leaks",
    "highly_variable",
    "is_store",
    "mask_values",
    "prepare",
    "read_cells",
    "read_network",
]
