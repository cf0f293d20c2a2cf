"""The strongest edges as a networkx graph: hubs and modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

    from scgraph.genes.senders import Edges

__all__ = ["HUB_COLUMNS", "hubs", "to_networkx"]

HUB_COLUMNS = ("gene", "ensembl", "out_strength", "in_strength", "out_degree", "pagerank", "module")


def to_networkx(edges: Edges, *, seed: int = 0) -> nx.DiGraph:
    """Return a directed graph with hub scores and modules as attributes of its nodes.

    Nodes are gene names with ``ensembl``, ``out_strength`` and ``in_strength`` (sums of the weights of the edges that
    leave and reach a gene), ``out_degree``, ``pagerank`` and ``module``; edges have ``weight``. PageRank follows the
    edges backwards, from a gene to those it listens to, so that senders rank high; modules are those of Louvain, on
    the undirected graph, 1 for the largest. Neither knows negative weights: they count as zero there.

    Args:
        edges: what `strongest_senders` returned.
        seed: of Louvain, which looks at the nodes in random order.
    """
    import networkx as nx

    graph: Any = nx.DiGraph()
    graph.add_nodes_from((name, {"ensembl": ensembl}) for name, ensembl in zip(edges.names, edges.ensembl, strict=True))
    names = np.asarray(edges.names, dtype=object)
    graph.add_weighted_edges_from(
        zip(names[edges.source], names[edges.target], edges.weight.tolist(), strict=True), weight="weight"
    )
    genes = len(edges.names)
    strengths = {
        "out_strength": np.bincount(edges.source, edges.weight, minlength=genes).round(6).tolist(),
        "in_strength": np.bincount(edges.target, edges.weight, minlength=genes).round(6).tolist(),
        "out_degree": np.bincount(edges.source, minlength=genes).tolist(),
    }
    positive = nx.DiGraph()
    positive.add_nodes_from(edges.names)
    listened = edges.weight > 0
    # Backwards: rank flows from the gene that listens to the gene that it listens to.
    positive.add_weighted_edges_from(
        zip(
            names[edges.target[listened]],
            names[edges.source[listened]],
            edges.weight[listened].tolist(),
            strict=True,
        )
    )
    rank = nx.pagerank(positive)
    together = nx.Graph()
    together.add_nodes_from(edges.names)
    for one, other, weight in positive.edges(data="weight"):
        before = together.get_edge_data(one, other, {"weight": 0.0})["weight"]
        together.add_edge(one, other, weight=before + weight)
    found = nx.community.louvain_communities(together, weight="weight", seed=seed)
    place = {name: at for at, name in enumerate(edges.names)}
    ordered = sorted(found, key=lambda module: (-len(module), min(place[name] for name in module)))
    module = {name: number for number, members in enumerate(ordered, start=1) for name in members}
    for at, name in enumerate(edges.names):
        graph.nodes[name].update(
            {key: values[at] for key, values in strengths.items()}
            | {"pagerank": float(f"{rank[name]:.6g}"), "module": module[name]}
        )
    return graph


def hubs(graph: nx.DiGraph) -> pd.DataFrame:
    """Return the nodes as a table with `HUB_COLUMNS`, the strongest senders first."""
    import pandas as pd

    frame = pd.DataFrame([{"gene": name, **values} for name, values in graph.nodes(data=True)], columns=[*HUB_COLUMNS])
    return frame.sort_values(["out_strength", "gene"], ascending=[False, True], ignore_index=True)
