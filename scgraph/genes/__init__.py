"""The learned gene graph: the strongest edges of a model's adjacency, hubs, modules, and a check of its sense."""

from __future__ import annotations

from scgraph.genes.enrichment.families import FAMILIES, gene_families
from scgraph.genes.enrichment.test import Sense, check_sense
from scgraph.genes.graph import hubs, to_networkx
from scgraph.genes.senders import Edges, strongest_senders
from scgraph.genes.tables import GeneTables, gene_tables

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
