"""The learned gene graph: the strongest edges of a model's adjacency, hubs, modules, enrichment of families."""

from __future__ import annotations

from scgraph.genes.enrichment.families import FAMILIES, gene_families
from scgraph.genes.enrichment.test import Enrichment, enrichment_test
from scgraph.genes.graph import hubs, to_networkx
from scgraph.genes.known.agreement import Agreement, edge_agreement
from scgraph.genes.known.edges import KnownEdges, read_known
from scgraph.genes.known.recovery import Recovery, edge_recovery
from scgraph.genes.senders import Edges, strongest_senders
from scgraph.genes.tables import GeneTables, gene_tables

__all__ = [
    "FAMILIES",
    "Agreement",
    "Edges",
    "Enrichment",
    "GeneTables",
    "KnownEdges",
    "Recovery",
    "edge_agreement",
    "edge_recovery",
    "enrichment_test",
    "gene_families",
    "gene_tables",
    "hubs",
    "read_known",
    "strongest_senders",
    "to_networkx",
]
