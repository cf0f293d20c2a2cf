"""Positional hints: where a gene stands in a gene network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.transforms import AddLaplacianEigenvectorPE, AddRandomWalkPE
from torch_geometric.utils import coalesce, to_undirected

from scgraph.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.nn.graph import CellGraph

__all__ = ["POSITIONAL", "GenePositions", "positional_encoding"]

POSITIONAL = ("none", "laplacian", "random_walk")

LARGEST_DENSE = 2000
"""Genes up to which the transform of PyTorch Geometric walks on dense matrices; beyond, its sparse ones fill up."""

COLUMNS = 1024
"""Width of the sketch beyond; the error falls with its square root."""

BLOCK = 64
"""Columns of the sketch at a time; few stay in the cache."""


class GenePositions(nn.Module):
    """``W p[g_i]``, added to the embedding of gene g_i, where p is a fixed encoding of its place in a network.

    Source: Dwivedi et al., "Benchmarking graph neural networks" (2020), section on Laplacian eigenvectors, and "Graph
    neural networks with learnable structural and positional representations" (2022) for random walks.

    Args:
        encoding: p, zero for padding and for genes without an edge, float32 ``[V + 1, k]``; kept in the state dict.
        channels: width C.

    Shapes:
        genes ``[B, G]`` to ``[B, G, C]``.
    """

    encoding: Tensor

    def __init__(self, encoding: Tensor, channels: int) -> None:
        super().__init__()
        self.register_buffer("encoding", encoding)
        self.linear = nn.Linear(encoding.shape[1], channels, bias=False)

    def reset_parameters(self) -> None:
        """Draw the linear map anew; the encoding stays."""
        self.linear.reset_parameters()

    def forward(self, graph: CellGraph) -> Tensor:
        """Look the genes up and map their encodings."""
        hint: Tensor = self.linear(nn.functional.embedding(graph.genes, self.encoding))
        return hint


def positional_encoding(
    kind: str, vocabulary_size: int, edge_index: Tensor, *, dim: int = 16, edge_weight: Tensor | None = None
) -> Tensor:
    """Return the place of every gene in a network, from the transforms of PyTorch Geometric.

    Edges count in both directions, and a column is scaled to mean square 1 over the genes that have an edge.

    - ``laplacian``: entries of the eigenvectors of ``I - D^-1/2 W D^-1/2`` to its `dim` smallest eigenvalues besides
      the first, for each connected component by itself; a component of n genes fills at most n - 1 columns. The sign
      of an eigenvector is free: its largest entry is made positive, so that the same network gives the same encoding.
    - ``random_walk``: probabilities to be back at the gene after 1 to `dim` steps to a neighbour drawn uniformly
      (without regard to weights); after 1 step it is 0, as no gene is its own neighbour. In components of more than
      2,000 genes, where the matrices that PyTorch Geometric multiplies fill up, they are estimated from a sketch that
      is always the same: those after an even number of steps to about 4 %, after an odd number to about 4 % of those
      beside them.

    Args:
        kind: "laplacian" or "random_walk".
        vocabulary_size: number of genes V, without padding.
        edge_index: edges between vocabulary ids 1 to V, ``[2, E]``.
        dim: number of columns k.
        edge_weight: positive weights for the Laplacian, ``[E]``; None for 1.

    Returns:
        float32 ``[V + 1, k]``, zero for padding and for genes without an edge.

    Raises:
        ConfigError: an unknown kind, or a component whose eigenvectors cannot be found.
    """
    if kind not in POSITIONAL[1:]:
        raise ConfigError(f"There is no positional encoding {kind!r}.{did_you_mean(kind, POSITIONAL)}")
    edge_index = edge_index.cpu()
    weight = torch.ones(edge_index.shape[1], dtype=torch.float64) if edge_weight is None else edge_weight.cpu().double()
    away = edge_index[0] != edge_index[1]
    edge_index, weight = to_undirected(edge_index[:, away], weight[away], vocabulary_size + 1, reduce="max")
    edge_index, weight = coalesce(edge_index, weight, vocabulary_size + 1, reduce="max")
    encoding = torch.zeros(vocabulary_size + 1, dim, dtype=torch.float64)
    for genes, edges, weights in _components(edge_index, weight, vocabulary_size + 1):
        place = _laplacian(len(genes), edges, weights, dim) if kind == "laplacian" else _walk(len(genes), edges, dim)
        encoding[genes, : place.shape[1]] = place
    joined = (torch.bincount(edge_index[0], minlength=vocabulary_size + 1) > 0).nonzero().squeeze(1)
    if len(joined):
        scale = encoding[joined].square().mean(dim=0).sqrt()
        encoding /= torch.where(scale > 0, scale, 1.0)
    return encoding.float()


def _components(edge_index: Tensor, weight: Tensor, size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return genes, edges between their positions, and weights of every component with an edge."""
    source, target = edge_index.numpy()
    graph = sparse.coo_matrix((np.ones(len(source)), (source, target)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    starts = np.flatnonzero(np.diff(label[order], prepend=-1))
    place = np.empty(size, dtype=np.int64)
    place[order] = np.arange(size) - np.repeat(starts, np.diff(starts, append=size))
    by_component = np.argsort(label[source], kind="stable")
    cuts = np.searchsorted(label[source][by_component], np.arange(len(starts) + 1))
    components = []
    for at, first in enumerate(starts):
        own = by_component[cuts[at] : cuts[at + 1]]
        if len(own):
            genes = order[first : starts[at + 1] if at + 1 < len(starts) else size]
            edges = np.stack((place[source[own]], place[target[own]]))
            components.append((torch.from_numpy(genes), torch.from_numpy(edges), weight[torch.from_numpy(own)]))
    return components


def _laplacian(size: int, edge_index: Tensor, weight: Tensor, dim: int) -> Tensor:
    """Return the eigenvectors of a component, each of length √n, ``[n, min(k, n - 1)]``."""
    dimension = min(dim, size - 1)
    options: dict[str, Any] = {}
    if size >= AddLaplacianEigenvectorPE.SPARSE_THRESHOLD:
        # ARPACK starts at random unless it is told where: then the same network always gives the same vectors.
        start = np.random.default_rng(0).standard_normal(size)
        options = {"v0": start, "tol": 1e-6, "ncv": min(size - 1, 4 * (dimension + 2))}
        dimension = min(dimension, size - 3)
    data = Data(edge_index=edge_index, edge_weight=weight, num_nodes=size)
    transform = AddLaplacianEigenvectorPE(dimension, attr_name="place", is_undirected=True, **options)
    try:
        # The transform draws signs, which are set below: the caller's random numbers stay as they were.
        with torch.random.fork_rng(devices=[]):
            place: NDArray[np.float64] = transform(data).place.double().numpy()
    except sparse.linalg.ArpackNoConvergence as error:
        raise ConfigError(
            f"positional laplacian: the eigenvectors of a component of {size:,} genes are not found: its parts hardly "
            "hang together. Use positional random_walk, or a network with more edges."
        ) from error
    largest = np.abs(place).argmax(axis=0)
    place *= np.where(place[largest, np.arange(place.shape[1])] < 0, -1.0, 1.0) * math.sqrt(size)
    return torch.from_numpy(place)


def _walk(size: int, edge_index: Tensor, steps: int) -> Tensor:
    """Return the probabilities to be back, ``[n, k]``."""
    if size <= LARGEST_DENSE:
        walked: Tensor = AddRandomWalkPE(steps, attr_name="place")(Data(edge_index=edge_index, num_nodes=size)).place
        return walked.double()
    return _sketched_walk(size, edge_index, steps)


def _sketched_walk(size: int, edge_index: Tensor, steps: int, columns: int = COLUMNS) -> Tensor:
    """Estimate what `AddRandomWalkPE` computes, from a random sketch of the powers.

    With ``S = D^-1/2 A D^-1/2``, which is symmetric, the probability to be back after a + b steps is
    ``(S^a)_i · (S^b)_i``. Rows of ``S^a Ω``, with signs Ω drawn once, keep such products up to a share of about
    ``√(2 / columns)`` of their lengths (Johnson and Lindenstrauss 1984), at E·columns operations for two steps.
    """
    source, target = edge_index.numpy()
    degree = np.bincount(source, minlength=size).astype(np.float64)
    value = ((degree[source] * degree[target]) ** -0.5).astype(np.float32)
    matrix = sparse.csr_matrix((value, (source, target)), shape=(size, size))
    random = np.random.default_rng(0)
    returns = np.zeros((size, steps))
    for first in range(0, columns, BLOCK):
        before = random.choice(np.array([-1, 1], dtype=np.float32), (size, min(BLOCK, columns - first)))
        for step in range(1, steps + 1, 2):
            after = matrix @ before
            returns[:, step - 1] += np.einsum("ij,ij->i", before, after)
            if step < steps:
                returns[:, step] += np.einsum("ij,ij->i", after, after)
            before = after
    returns = np.maximum(returns / columns, 0.0)
    returns[:, :1] = 0.0
    if steps > 1:
        returns[:, 1] = np.bincount(source, weights=value.astype(np.float64) ** 2, minlength=size)
    return torch.from_numpy(returns)
