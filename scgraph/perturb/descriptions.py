"""Tables that describe the genes of a screen: of a network, of chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.perturb.genes import GeneNames

__all__ = ["Description", "network_embedding", "random_vectors", "shuffled"]

RANDOM_WIDTH = 64


@dataclass(frozen=True, eq=False)
class Description:
    """Numbers that describe genes.

    Attributes:
        table: one row a gene, `[N, D]`.
        known: genes that it says something of, `[N]`.
    """

    table: NDArray[np.float32]
    known: NDArray[np.bool_]


def network_embedding(genes: GeneNames, components: int) -> Description:
    """Return where genes stand in the user's network: its regularised spectral embedding.

    The columns are the eigenvectors of ``D^-1/2 A D^-1/2`` with the largest eigenvalues, times these, ``D`` the degrees
    plus their mean, which keeps small separate parts of the network from taking all of them.

    Source: Qin and Rohe 2013, arXiv:1309.4111.

    Args:
        genes: with a network.
        components: at most so many eigenvectors.
    """
    from scipy import sparse
    from scipy.sparse.linalg import eigsh
    from threadpoolctl import threadpool_limits

    network = genes.network
    assert network is not None
    source, target = network.edge_index - 1
    size = network.size
    edges = sparse.coo_matrix((network.weight, (target, source)), shape=(size, size)).tocsr()
    adjacency = ((edges + edges.T) / 2).tocsr()
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    joined = np.flatnonzero(degree)
    scale = sparse.diags((degree[joined] + degree[joined].mean()) ** -0.5)
    laplacian = scale @ adjacency[joined][:, joined] @ scale
    kept = max(1, min(components, len(joined) - 2))
    with threadpool_limits(1):
        start = np.random.default_rng(0).normal(size=len(joined))
        if len(joined) <= 3 * kept:
            strength, vectors = np.linalg.eigh(laplacian.toarray())
            strength, vectors = strength[-kept:], vectors[:, -kept:]
        else:
            strength, vectors = eigsh(laplacian, k=kept, which="LA", v0=start)
    table = np.zeros((len(genes), kept), dtype=np.float32)
    known = np.zeros(len(genes), dtype=np.bool_)
    rows = genes.nodes[joined]
    table[rows], known[rows] = vectors * strength, True
    return Description(table, known)


def shuffled(description: Description, *, seed: int) -> Description:
    """Return a description with its rows dealt to other genes: the same network, every gene in the place of another."""
    rows = np.flatnonzero(description.known)
    table = description.table.copy()
    table[rows] = table[np.random.default_rng(seed).permutation(rows)]
    return Description(table, description.known)


def random_vectors(genes: GeneNames, *, seed: int) -> Description:
    """Return vectors of chance for all genes, of length 1 on average."""
    table = np.random.default_rng(seed).normal(scale=RANDOM_WIDTH**-0.5, size=(len(genes), RANDOM_WIDTH))
    return Description(table.astype(np.float32), np.ones(len(genes), dtype=np.bool_))
