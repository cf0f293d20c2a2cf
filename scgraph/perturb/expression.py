"""Log-normalised expression of groups of cells, which are read in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scgraph.data.store.spool import SpooledCells

__all__ = ["expression_matrix", "expression_sums", "mean_expression"]


def expression_sums(
    cells: SpooledCells, groups: Sequence[NDArray[np.int64]], columns: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Add up the log-normalised expression of many groups of cells in one pass over them.

    ``S = Σ_b M_b X_b`` over the blocks b of cells: ``X_b`` is their expression, and ``M_b`` the indicator matrix with a
    1 where a cell of the block is in a group. One block is in memory at a time; cells of no group are not read.

    Args:
        cells: The cells.
        groups: Rows of each of K groups, which may overlap or be empty.
        columns: Genes that are asked for, all where None.

    Returns:
        Sums in double precision, `[K, G]`; `mean_expression` is a row divided by the number of its cells.

    Raises:
        DataError: The disk cannot be read.
    """
    members = np.concatenate([np.zeros(0, dtype=np.int64), *groups])
    rows, places = np.unique(members, return_inverse=True)
    codes = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    # By column, so that a block takes its cells out without a look at the others.
    indicator = sparse.csc_matrix((np.ones(len(members)), (codes, places)), shape=(len(groups), len(rows)))
    genes = cells.matrix.shape[1]
    if columns is not None and np.array_equal(columns, np.arange(genes)):
        columns = None
    sums = np.zeros((len(groups), genes if columns is None else len(columns)))
    first = 0
    for block in cells.subset(rows).blocks():
        values = block.normalized()
        values = values if columns is None else values[:, columns]
        last = first + len(block)
        part = (indicator[:, first:last].tocsr() @ values.astype(np.float64)).tocoo()
        # A product of sparse matrices holds no entry twice. Added where it has one: the whole table is not touched
        # for each block, which would cost groups times blocks.
        sums[part.row, part.col] += part.data
        first = last
    return sums


def expression_matrix(cells: SpooledCells) -> sparse.csr_matrix:
    """Read the log-normalised expression of cells that are few enough to be held, float32 `[n, n_genes]`.

    Raises:
        DataError: The disk cannot be read.
    """
    return sparse.csr_matrix(sparse.vstack([block.normalized() for block in cells.blocks()]))


def mean_expression(values: sparse.csr_matrix, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean log-normalised expression of some cells, `[n_genes]`, summed in double precision.

    The plain form of `expression_sums`, of a matrix in memory.
    """
    return np.asarray(values[rows].astype(np.float64).mean(axis=0)).ravel()
