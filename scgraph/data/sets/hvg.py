"""Highly variable genes, as scanpy's flavour "seurat" finds them, without needing scanpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.cells import Cells
from scgraph.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from scgraph.data.cells import AnyCells
    from scgraph.data.files.stream import CellStream

__all__ = ["highly_variable", "normalized_dispersion"]

_BINS = 20


def highly_variable(sources: Sequence[AnyCells[Any] | CellStream], n_top: int, *, min_cells: int = 1) -> Vocabulary:
    """Choose the genes whose dispersion is highest among genes of like mean.

    With several files each ranks the genes it expresses, as scanpy does with a `batch_key`; a gene that is among the
    first `n_top` of more files comes first, then the one of higher mean normalised dispersion over the files that
    measured it, 0 where none of their cells expresses it.

    Args:
        sources: What was read, at least one.
        n_top: Genes to keep; all where there are no more.
        min_cells: Least cells that express a gene to be chosen from, of all files together.

    Returns:
        Their vocabulary, in the order of `Vocabulary.from_cells`.
    """
    if n_top < 1:
        raise ValueError(f"n_top must be 1 or more, not {n_top}")
    union = Vocabulary.from_cells(sources, min_cells=min_cells)
    if n_top >= len(union):
        return union
    times = np.zeros(len(union), dtype=np.int64)
    score = np.full((len(sources), len(union)), np.nan)
    for at, cells in enumerate(sources):
        ids, expressed = union.match(cells).ids, cells.expressed() > 0
        # As in scanpy: genes that no cell expresses move the bins of a file that stands alone, not those of a batch.
        among = (ids > 0) & expressed if len(sources) > 1 or min_cells > 1 else np.ones(len(ids), dtype=bool)
        dispersion = np.full(len(ids), np.nan)
        dispersion[among] = _dispersion(cells, np.flatnonzero(among))
        score[at, ids[ids > 0] - 1] = dispersion[ids > 0]
        times[_first(score[at], n_top)] += 1
        score[at, ids[(ids > 0) & ~expressed] - 1] = 0.0
    present = ~np.isnan(score)
    mean = np.where(present, score, 0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    order = np.lexsort((np.arange(len(union)), -mean, -times))
    return union.subset(np.sort(order[:n_top]) + 1)


def normalized_dispersion(matrix: sparse.csr_matrix) -> NDArray[np.float64]:
    """Compute `(log(var / mean) - mean of its bin) / sd of its bin` of every gene, before the logarithm.

    The genes are put into 20 bins of equal width by log1p of their mean. The gene of a bin of its own gets 1.

    Source: Satija et al. 2015, doi:10.1038/nbt.3192, in the form of `scanpy.pp.highly_variable_genes`.

    Args:
        matrix: log1p values `[n, genes]`.

    Returns:
        Normalised dispersion `[genes]`, 0 where the variance is.
    """
    return np.nan_to_num(_of_matrix(matrix))


def _of_matrix(matrix: sparse.csr_matrix) -> NDArray[np.float64]:
    linear = _linear(matrix)
    mean = np.asarray(linear.mean(axis=0)).ravel()
    linear.data **= 2
    return _of_moments(mean, np.asarray(linear.mean(axis=0)).ravel(), matrix.shape[0])


def _dispersion(cells: AnyCells[Any] | CellStream, columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute `normalized_dispersion` of some genes, NaN where the variance is 0."""
    if isinstance(cells, Cells):
        return _of_matrix(cells.normalized()[:, columns])
    mean, square = np.zeros(len(columns)), np.zeros(len(columns))
    for block in cells.blocks():
        linear = _linear(block.normalized()[:, columns])
        # One addition after another in the order of the rows, as the mean of a whole matrix is formed: the same bits.
        np.add.at(mean, linear.indices, linear.data * (1 / len(cells)))
        np.add.at(square, linear.indices, linear.data**2 * (1 / len(cells)))
    return _of_moments(mean, square, len(cells))


def _linear(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    linear = matrix.astype(np.float64)
    linear.data = np.expm1(linear.data)
    return linear


def _of_moments(mean: NDArray[np.float64], square: NDArray[np.float64], cells: int) -> NDArray[np.float64]:
    import pandas as pd

    variance = (square - mean**2) * (cells / max(cells - 1, 1))
    mean = np.where(mean == 0, 1e-12, mean)
    ratio = variance / mean
    dispersion = np.log(np.where(ratio > 0, ratio, np.nan))
    frame = pd.DataFrame({"dispersion": dispersion, "bin": pd.cut(np.log1p(mean), bins=_BINS)})
    groups = frame.groupby("bin", observed=True)["dispersion"]
    centre, spread = groups.transform("mean"), groups.transform("std")
    alone = spread.isna()
    spread[alone], centre[alone] = centre[alone], 0.0
    result: NDArray[np.float64] = ((frame["dispersion"] - centre) / spread).to_numpy()
    return result


def _first(score: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Return the places of the `n` highest scores, the earlier gene first where they tie, NaN never."""
    order = np.argsort(-score, kind="stable")
    return order[: min(n, int((~np.isnan(score)).sum()))]
