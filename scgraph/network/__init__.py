"""The learned gene graph: the strongest edges of a model's adjacency, hubs, modules, and a check of its sense."""

from __future__ import annotations

from scgraph.network.edges import Edges, strongest_senders
from scgraph.network.families import FAMILIES, gene_families
from scgraph.network.network import hubs, to_networkx
from scgraph.network.sense import Sense, check_sense
from scgraph.network.tables import GeneTables, gene_tables

__all__ = [
    "FAMILIES",
    "Edges",
    "GeneTables",
    "Sense",
    "check_sense",
    "gene_families",
    "gene_tables",
    "hubs",
    "strongest_senders",
    "to_networkx",
]
