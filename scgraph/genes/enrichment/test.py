"""The enrichment of a learned gene graph: families of genes, against chance and against the cells' correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import CellStore
from scgraph.display import short_repr
from scgraph.errors import ConfigError, DataError, argument
from scgraph.genes.embeddings import gene_rows
from scgraph.genes.enrichment.families import SMALLEST, gene_families
from scgraph.genes.enrichment.permutations import ALL, family_tests, matched_orders, plain_orders
from scgraph.genes.tables import GeneTables, gene_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd
    from numpy.typing import NDArray
    from scipy import sparse

    from scgraph.data import Cells
    from scgraph.genes.tables import Weights
    from scgraph.models import SavedModel

__all__ = [
    "CORRELATION",
    "LEARNED",
    "MOST_GENES",
    "UNTRAINED",
    "Enrichment",
    "correlation",
    "enrichment_test",
    "expressed_genes",
]

MOST_GENES = 8192
"""Genes of a check: a matrix between all of them is held, 256 MB of float32."""

LEARNED, CHANGE, UNTRAINED, EMBEDDING, CORRELATION = "learned", "change", "untrained", "embedding", "correlation"
_CELLS_AT_ONCE = 2048
_FLIPS = 9999
_LEAST_IN_BIN = 50


@short_repr
@dataclass(frozen=True)
class Enrichment:
    """What a check found.

    Attributes:
        table: one row a network, kind of permutation and family; see `family_tests`.
        differences: `learned` minus another network in ``share``, mean over the families, with a p-value.
        genes: genes looked at.
        cells: cells that the correlation was taken over.
        top_k: senders of a gene.
        permutations: of each kind.
        bins: of mean expression.
        notes: what must be said aloud.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    genes: int
    cells: int
    top_k: int
    permutations: int
    bins: int
    notes: tuple[str, ...]


def enrichment_test(
    saved: SavedModel,
    cells: Cells,
    *,
    layer: int | None = None,
    weights: Weights = "logit",
    top_k: int = 20,
    families: Mapping[str, str] | None = None,
    permutations: int = 1000,
    bins: int = 20,
    min_share: float = 0.05,
    seed: int = 0,
) -> Enrichment:
    """Test whether edges within families of genes are stronger than chance, in the learned graph and in others.

    The networks, all on the same genes: ``learned``; its ``change`` since the start; ``untrained``, the start itself;
    ``embedding``, the cosine between the gene embeddings; ``correlation``, Pearson's r over the cells on log1p of
    counts per 10,000.

    Args:
        saved: a model with an adjacency.
        cells: best those that it was trained on.
        layer: see `gene_tables`.
        weights: kind of weight of ``learned``.
        top_k: senders of a gene.
        families: regular expressions by name; `FAMILIES` by default.
        permutations: of each kind, ``plain`` and ``matched`` (within bins of mean expression).
        bins: of mean expression; fewer where a bin would have fewer than 50 genes.
        min_share: least share of the cells that express a gene.
        seed: of the permutations.

    Raises:
        ConfigError: the model has no adjacency, or a number is out of range.
        DataError: too few genes of the model, or of any family, are expressed.
    """
    import pandas as pd

    for name, value in {"permutations": permutations, "bins": bins, "top_k": top_k}.items():
        if value < 1:
            raise ConfigError(f"{argument(name)} must be at least 1, not {value}.")
    tables = gene_tables(saved, layer=layer)
    tables.need(weights)
    matrix = CellStore.from_cells(cells, saved.vocabulary).matrix()
    genes = expressed_genes(matrix, min_share)
    if tables.seen is not None:
        genes = genes[tables.seen[genes]]
    notes = []
    if len(genes) > MOST_GENES:
        notes.append(f"the {MOST_GENES:,} genes that most cells express, of {len(genes):,}")
        detected = matrix[:, genes].getnnz(axis=0)
        genes = np.sort(genes[np.argsort(-detected, kind="stable")[:MOST_GENES]])
    members = gene_families([tables.names[at] for at in genes], families)
    if not members:
        raise DataError(
            f"{cells.name}: no family has {SMALLEST} genes among the {len(genes):,} that the model knows and "
            f"{min_share:.1%} of the cells express. Give {argument('families')} of your own, or a smaller "
            f"{argument('min_share')}."
        )
    matrix = matrix[:, genes]
    bins = min(bins, max(1, len(genes) // _LEAST_IN_BIN))
    orders = {
        "plain": plain_orders(len(genes), permutations, seed=seed),
        "matched": matched_orders(np.asarray(matrix.mean(axis=0)).ravel(), permutations, bins=bins, seed=seed),
    }
    found = []
    for name, network in _networks(saved, tables, matrix, genes, weights):
        found += [{"network": name, **row} for row in family_tests(network(), members, orders, top_k=top_k)]
    table = pd.DataFrame(found)
    return Enrichment(
        table=table,
        differences=_differences(table, seed=seed),
        genes=len(genes),
        cells=len(cells),
        top_k=top_k,
        permutations=permutations,
        bins=bins,
        notes=tuple(notes),
    )


def expressed_genes(matrix: sparse.csr_matrix, min_share: float) -> NDArray[np.int64]:
    """Return the columns with a value in at least `min_share` of the rows, and in one row at least."""
    if not 0 <= min_share <= 1:
        raise ConfigError(f"{argument('min_share')} must lie between 0 and 1, not {min_share:g}.")
    detected = matrix.getnnz(axis=0)
    return np.flatnonzero(detected >= max(1.0, min_share * matrix.shape[0]))


def correlation(matrix: sparse.csr_matrix) -> NDArray[np.float32]:
    """Return Pearson's r between the columns, ``[n, n]``; 0 where a column is constant."""
    import torch

    rows, genes = matrix.shape
    # Sums in float64: a constant gene must come out as one.
    values = matrix.data.astype(np.float64)
    mean, square = (np.bincount(matrix.indices, power, minlength=genes) / rows for power in (values, values**2))
    variance = square - mean**2
    varied = variance > 1e-9 * square
    scale = np.divide(1.0, np.sqrt(rows * variance), out=np.zeros(genes), where=varied)
    found = torch.zeros(genes, genes)
    for start in range(0, rows, _CELLS_AT_ONCE):
        block = (matrix[start : start + _CELLS_AT_ONCE].toarray() - mean) * scale
        standard = torch.from_numpy(block.astype(np.float32))
        found.addmm_(standard.T, standard)
    result: NDArray[np.float32] = found.numpy()
    return result


def _networks(
    saved: SavedModel,
    tables: GeneTables,
    matrix: sparse.csr_matrix,
    genes: NDArray[np.int64],
    weights: Weights,
) -> Iterator[tuple[str, Callable[[], NDArray[np.float32]]]]:
    """Yield the networks by name, each as a function that makes its matrix: only one is held at a time."""
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
    yield CORRELATION, lambda: correlation(matrix)


def _whole(tables: GeneTables, genes: NDArray[np.int64], weights: Weights) -> NDArray[np.float32]:
    import torch

    columns = torch.from_numpy(genes)
    result = np.empty((len(genes), len(genes)), dtype=np.float32)
    for start in range(0, len(genes), 512):
        result[start : start + 512] = tables.scores(columns[start : start + 512], columns, weights).numpy()
    return result


def _differences(table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Compare `learned` with every other network over the families: their signs are flipped (paired, two-sided)."""
    import pandas as pd

    shares = table[(table["permutation"] == "matched") & (table["family"] != ALL)]
    shares = shares.pivot_table(index="family", columns="network", values="share", sort=False)
    rows = []
    for other in shares.columns.drop(LEARNED):
        apart = (shares[LEARNED] - shares[other]).to_numpy()
        signs = np.random.default_rng([seed, 2]).choice((-1.0, 1.0), size=(_FLIPS, len(apart)))
        flipped = np.abs(signs @ apart) / len(apart)
        p = (1 + int((flipped >= abs(apart.mean()) * (1 - 1e-9)).sum())) / (1 + _FLIPS)
        rows.append(
            {
                "other": other,
                "difference": float(apart.mean()),
                "p": p,
                "better": int((apart > 0).sum()),
                "worse": int((apart < 0).sum()),
                "families": len(apart),
            }
        )
    return pd.DataFrame(rows)
