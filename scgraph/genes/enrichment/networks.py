"""The networks that are compared on the same genes: learned graph, its start, embeddings, the cells' correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.errors import ConfigError, argument
from scgraph.genes.embeddings import gene_rows
from scgraph.genes.enrichment.values import CellValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from scgraph.data import Cells
    from scgraph.data.files.stream import CellStream
    from scgraph.genes.enrichment.values import GeneValues
    from scgraph.genes.tables import GeneTables, Weights
    from scgraph.models import SavedModel

__all__ = [
    "CHANGE",
    "CORRELATION",
    "EMBEDDING",
    "LEARNED",
    "MOST_GENES",
    "UNTRAINED",
    "checked_genes",
    "correlation",
    "expressed_genes",
    "gene_networks",
    "strongest",
]

MOST_GENES = 8192
"""Genes of a check: a matrix between all of them is held, 256 MB of float32."""

LEARNED, CHANGE, UNTRAINED, EMBEDDING, CORRELATION = "learned", "change", "untrained", "embedding", "correlation"
_CELLS_AT_ONCE = 2048


def expressed_genes(detected: NDArray[np.integer], cells: int, min_share: float) -> NDArray[np.int64]:
    """Return the genes that at least `min_share` of the cells express, and one cell at least.

    Args:
        detected: how many cells express each gene, ``[V]``.
        cells: how many there are.
        min_share: least share.

    Raises:
        ConfigError: it is no share.
    """
    if not 0 <= min_share <= 1:
        raise ConfigError(f"{argument('min_share')} must lie between 0 and 1, not {min_share:g}.")
    return np.flatnonzero(detected >= max(1.0, min_share * cells))


def checked_genes(
    saved: SavedModel, tables: GeneTables, cells: Cells | CellStream, min_share: float
) -> tuple[NDArray[np.int64], GeneValues, list[str]]:
    """Return the genes that a check looks at, their values in the cells, and what must be said aloud.

    Args:
        saved: the model.
        tables: its adjacency.
        cells: whose genes are taken.
        min_share: least share of the cells that express a gene.

    Returns:
        Positions in the vocabulary ``[n]``, ascending; log1p of counts per 10,000 ``[cells, n]``; notes.

    Raises:
        ConfigError: `min_share` is no share.
        DataError: the cells lack the genes of the model.
    """
    values = CellValues(cells, saved.vocabulary)
    genes = expressed_genes(values.detected, values.cells, min_share)
    if tables.seen is not None:
        genes = genes[tables.seen[genes]]
    notes = []
    if len(genes) > MOST_GENES:
        notes.append(f"the {MOST_GENES:,} genes that most cells express, of {len(genes):,}")
        genes = np.sort(genes[np.argsort(-values.detected[genes], kind="stable")[:MOST_GENES]])
    return genes, values.of(genes), notes


def correlation(values: GeneValues, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Return Pearson's r between genes over the cells, or those chosen, ``[n, n]``; 0 where a gene is constant."""
    import torch

    rows, genes = values.cells if chosen is None else int(chosen.sum()), values.genes
    # Sums in float64: a constant gene must come out as one.
    mean, square = values.moments(chosen)
    variance = square - mean**2
    varied = variance > 1e-9 * square
    scale = np.divide(1.0, np.sqrt(rows * variance), out=np.zeros(genes), where=varied)
    found = torch.zeros(genes, genes)
    for part in values.rows(_CELLS_AT_ONCE, chosen):
        block = (part.toarray() - mean) * scale
        standard = torch.from_numpy(block.astype(np.float32))
        found.addmm_(standard.T, standard)
    result: NDArray[np.float32] = found.numpy()
    return result


def gene_networks(
    saved: SavedModel,
    tables: GeneTables,
    values: GeneValues,
    genes: NDArray[np.int64],
    weights: Weights,
) -> Iterator[tuple[str, Callable[[], NDArray[np.float32]]]]:
    """Yield the networks by name, each as a function that makes its matrix: only one is held at a time.

    Args:
        saved: the model.
        tables: its adjacency.
        values: of the genes in the cells.
        genes: their positions in the vocabulary ``[n]``.
        weights: kind of weight of ``learned``.

    Yields:
        Name, and what makes the weights of what gene j (column) sends to gene i (row), ``[n, n]``.
    """
    from dataclasses import replace

    import torch

    yield LEARNED, lambda: _whole(tables, genes, weights)
    if tables.start is not None:
        if weights != "change":
            yield CHANGE, lambda: _whole(tables, genes, "change")
        first = replace(tables, target=tables.start[0], source=tables.start[1])
        # Decay has shrunk the start evenly, which leaves every rank and z as it was.
        yield UNTRAINED, lambda: _whole(first, genes, "softmax" if weights == "softmax" else "logit")

    def cosines() -> NDArray[np.float32]:
        rows = torch.from_numpy(gene_rows(saved)[genes])
        rows = torch.nn.functional.normalize(rows - rows.mean(dim=0), dim=-1)
        result: NDArray[np.float32] = (rows @ rows.T).numpy()
        return result

    yield EMBEDDING, cosines
    yield CORRELATION, lambda: correlation(values)


def strongest(matrix: NDArray[np.float32], top_k: int) -> NDArray[np.uint8]:
    """Return 1 where gene j is among the `top_k` strongest senders of gene i, ``[n, n]``.

    Args:
        matrix: weights ``[n, n]``; its diagonal is not read and becomes minus infinity.
        top_k: senders of a gene.
    """
    n = len(matrix)
    np.fill_diagonal(matrix, -np.inf)
    size = min(top_k, n - 1)
    chosen = np.zeros((n, n), dtype=np.uint8)
    for start in range(0, n, 512):
        block = matrix[start : start + 512]
        best = np.argpartition(-block, size - 1, axis=1)[:, :size]
        np.put_along_axis(chosen[start : start + 512], best, 1, axis=1)
    return chosen


def _whole(tables: GeneTables, genes: NDArray[np.int64], weights: Weights) -> NDArray[np.float32]:
    import torch

    columns = torch.from_numpy(genes)
    result = np.empty((len(genes), len(genes)), dtype=np.float32)
    for start in range(0, len(genes), 512):
        result[start : start + 512] = tables.scores(columns[start : start + 512], columns, weights).numpy()
    return result
