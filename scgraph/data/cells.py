"""Cells as they were read: one checked matrix, the names of its genes and cells, its labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar

import numpy as np
from scipy import sparse

from scgraph.display import short_repr

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["SCALE", "AnyCells", "Cells", "Kind", "log_normalized"]

Kind = Literal["counts", "log1p"]

SCALE = 1e4
"""Total that the counts of every cell are scaled to before the logarithm."""


class _Rows(Protocol):
    """Rows of values, in memory or not."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells and genes."""

    def __getitem__(self, rows: NDArray[np.integer[Any]]) -> Self:
        """Return some rows."""


_Matrix = TypeVar("_Matrix", bound=_Rows)


@dataclass(frozen=True, eq=False)
class AnyCells(ABC, Generic[_Matrix]):
    """Cells of one source as `Cells` describes them, whatever holds their values."""

    name: str
    matrix: _Matrix
    kind: Kind
    symbols: NDArray[np.str_]
    ensembl: NDArray[np.str_]
    obs_names: NDArray[np.str_]
    rows: NDArray[np.int64]
    labels: pd.Categorical | None
    batches: pd.Categorical | None
    notes: tuple[str, ...]
    manifest: dict[str, Any]

    def __len__(self) -> int:
        """Return the number of cells."""
        return int(self.matrix.shape[0])

    @abstractmethod
    def blocks(self) -> Iterator[Cells]:
        """Give the cells in their order, as many at a time as memory holds with what is made of them.

        Raises:
            DataError: The disk that they lie on cannot be read.
        """

    def expressed(self) -> NDArray[np.int64]:
        """Count the cells that express each gene `[n_genes]`."""
        return sum((block.expressed() for block in self.blocks()), np.zeros(len(self.symbols), np.int64))

    def sums(self) -> NDArray[np.float64]:
        """Add up the values of each gene `[n_genes]`, as they are stored."""
        return sum((block.sums() for block in self.blocks()), np.zeros(len(self.symbols)))

    @property
    @abstractmethod
    def entries(self) -> int:
        """Values in all, zeros not counted."""

    def subset(self, rows: NDArray[np.integer[Any]]) -> Self:
        """Return the cells `rows`, in that order; categories stay, so codes keep their meaning."""
        rows = np.asarray(rows)
        return replace(
            self,
            matrix=self.matrix[rows],
            obs_names=self.obs_names[rows],
            rows=self.rows[rows],
            labels=None if self.labels is None else self.labels[rows],
            batches=None if self.batches is None else self.batches[rows],
            manifest={**self.manifest, "cells": len(self.obs_names[rows])},
        )


@short_repr
@dataclass(frozen=True, eq=False)
class Cells(AnyCells[sparse.csr_matrix]):
    """Cells of one source, checked and in canonical form (see `scgraph.data.read_cells`).

    `len` counts them, and `subset(rows)` takes some.

    Attributes:
        name: Short name for tables.
        matrix: Values `[n_cells, n_genes]`, float32: finite, positive where stored, columns sorted, none
            twice.
        kind: Whether `matrix` holds counts or log1p of normalised counts.
        symbols: Gene symbols `[n_genes]`, `""` where unknown.
        ensembl: Ensembl gene ids without version `[n_genes]`, `""` where unknown.
        obs_names: Unique names of the cells `[n_cells]`.
        rows: Row of every cell in its source `[n_cells]`: cells without a count are missing here.
        labels: Class of every cell, or None where no label was asked for.
        batches: Batch of every cell, or None where no batch key was given.
        notes: What a person must be told about this source.
        manifest: Where the cells came from: source, sha256, cells, genes, layer, kind.
    """

    @property
    def entries(self) -> int:
        """Values in all, zeros not counted."""
        return int(self.matrix.nnz)

    def blocks(self) -> Iterator[Cells]:
        """Give them all at once."""
        yield self

    def expressed(self) -> NDArray[np.int64]:
        """Count the cells that express each gene `[n_genes]`."""
        return np.bincount(self.matrix.indices, minlength=self.matrix.shape[1]).astype(np.int64)

    def sums(self) -> NDArray[np.float64]:
        """Add up the values of each gene `[n_genes]`, as they are stored."""
        sums = np.bincount(self.matrix.indices, weights=self.matrix.data, minlength=self.matrix.shape[1])
        return sums.astype(np.float64)

    def normalized(self) -> sparse.csr_matrix:
        """Compute `log(1 + 10,000 · count / total of the cell)` `[n_cells, n_genes]`, float32.

        The total runs over all genes of the cell, so leaving genes out later does not change a value.
        Cells that were read as log1p are returned as they are.
        """
        if self.kind == "log1p":
            return self.matrix
        # Sums of whole numbers are exact in float64: a cell gets the same value in any file or subset.
        return log_normalized(self.matrix, self.matrix.data.astype(np.float64))


def log_normalized(matrix: sparse.csr_matrix, x: NDArray[np.float64], total: float | None = None) -> sparse.csr_matrix:
    """Compute `log(1 + 10,000 · x / Σ x)` of values that are proportional to counts within a cell.

    Args:
        matrix: Which genes of which cells they are; no row is empty.
        x: The values `[nnz]`, in place of those of `matrix`.
        total: In place of Σ x, where the matrix lacks genes of the cells.

    Returns:
        `[n_cells, n_genes]`, float32.
    """
    if total is None:
        sums = sparse.csr_matrix((x, matrix.indices, matrix.indptr), shape=matrix.shape).sum(axis=1).A1
    else:
        sums = np.full(matrix.shape[0], total)
    # A cell that was thinned to nothing has no values either.
    factor = np.divide(SCALE, sums, out=np.zeros(len(sums)), where=sums > 0)
    values = np.log1p(x * np.repeat(factor, np.diff(matrix.indptr))).astype(np.float32)
    return sparse.csr_matrix((values, matrix.indices, matrix.indptr), shape=matrix.shape)
