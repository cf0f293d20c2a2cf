"""What a matrix and its labels must be, looked at before anndata or scipy does anything with them.

anndata reads most damaged matrices without a word, and scipy writes outside of its memory for an index out of
range. So the raw arrays are checked first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scgraph.data.files.names import examples
from scgraph.errors import DataError, argument, did_you_mean, setting

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from scgraph.data.cells import AnyCells

__all__ = [
    "Compressed",
    "canonical",
    "categories",
    "check_compressed",
    "check_indices",
    "check_labels",
    "check_parts",
    "check_row_starts",
    "check_shape",
    "silent_note",
    "that_say",
]

_SAMPLE_SIZE = 20
MOST_CLASSES = 10_000
"""More values in a column are names of cells, no classes."""
MOST_NAMED = 20
_WORDS = re.compile(r"[^\W_]+")
_SILENT = {
    *("", "nan", "none", "null", "na", "n a", "unknown", "unk", "undefined", "undetermined", "missing", "nd", "tbd"),
    *("unassigned", "unannotated", "unlabeled", "unlabelled", "unclassified", "unspecified", "unidentified"),
    *("not assigned", "not available", "not annotated", "not known", "not determined", "no label"),
}
"""What a label says of cells of which nothing is known, in words of small letters; `?` and `-` have none."""

_MEND = "The file is damaged: write it again from its source."


@dataclass(frozen=True)
class Compressed:
    """The raw arrays of a sparse matrix, not trusted yet."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]
    shape: tuple[int, int]
    by_row: bool


def check_shape(shape: tuple[int, ...], n_obs: int, n_vars: int, where: str) -> None:
    """Refuse a matrix whose shape is not `(n_obs, n_vars)`, or that has no cells or genes.

    Raises:
        DataError: As said.
    """
    if tuple(shape) != (n_obs, n_vars):
        shown = " x ".join(f"{size:,}" for size in shape)
        raise DataError(
            f"{where}: the matrix is {shown}, but obs names {n_obs:,} cells and var {n_vars:,} genes. The "
            "file is "
            "damaged: write it again from its source."
        )
    for size, what in ((n_obs, "cells"), (n_vars, "genes")):
        if not size:
            raise DataError(f"{where}: it has no {what}. Give a file that was not filtered down to nothing.")


def check_compressed(matrix: Compressed, where: str) -> None:
    """Refuse compressed arrays that do not describe a matrix of the shape they claim.

    Raises:
        DataError: indptr is of the wrong length, does not start at 0, falls, or does not end at the number of
            values; or an index is negative or out of range.
    """
    rows, columns = matrix.shape if matrix.by_row else matrix.shape[::-1]
    line = "row" if matrix.by_row else "column"
    check_parts(matrix.data, matrix.indices, matrix.indptr, where)
    indptr = matrix.indptr.astype(np.int64)
    check_row_starts(indptr, rows, len(matrix.indices), where, line=line)
    check_indices(matrix.indices, indptr, columns, where, line=line)


def check_parts(data: Any, indices: Any, indptr: Any, where: str) -> None:
    """Refuse arrays, in memory or in a file, of the wrong type, form or length.

    Raises:
        DataError: As said.
    """
    for name, array in (("indptr", indptr), ("indices", indices)):
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise DataError(f"{where}: {name} of the matrix is not a list of whole numbers. {_MEND}")
    if data.ndim != 1 or data.shape != indices.shape:
        raise DataError(f"{where}: {data.size:,} values but {indices.size:,} indices. {_MEND}")


def check_row_starts(indptr: NDArray[np.int64], rows: int, entries: int, where: str, *, line: str = "row") -> None:
    """Refuse row starts that are too many or too few, fall, or run from or to elsewhere.

    Raises:
        DataError: As said.
    """
    if len(indptr) != rows + 1:
        raise DataError(
            f"{where}: indptr has {len(indptr):,} entries for {rows:,} {line}s, {rows + 1:,} are needed. {_MEND}"
        )
    if indptr[0] != 0 or indptr[-1] != entries:
        raise DataError(
            f"{where}: indptr runs from {indptr[0]:,} to {indptr[-1]:,}, not from 0 to the {entries:,} values. {_MEND}"
        )
    falls = np.flatnonzero(np.diff(indptr) < 0)
    if len(falls):
        raise DataError(f"{where}: indptr falls after {line} {falls[0]:,}; it must never fall. {_MEND}")


def check_indices(
    indices: NDArray[Any], indptr: NDArray[np.int64], columns: int, where: str, *, line: str = "row", first: int = 0
) -> None:
    """Refuse an index that is negative or out of range.

    Args:
        indices: Indices of some rows, or of all.
        indptr: Where each of these rows begins, from 0.
        columns: Indices must lie below.
        where: Source, for messages.
        line: What a row is called.
        first: Number of the first of these rows.

    Raises:
        DataError: As said.
    """
    bad = np.flatnonzero((indices < 0) | (indices >= columns))
    if len(bad):
        other = "column" if line == "row" else "row"
        at = first + int(np.searchsorted(indptr, bad[0], side="right")) - 1
        raise DataError(
            f"{where}: {line} {at:,} has an entry at {other} {int(indices[bad[0]]):,}, but {other}s run "
            f"from 0 to {columns - 1:,} ({len(bad):,} such entries). {_MEND}"
        )


def canonical(
    matrix: Compressed | NDArray[Any], where: str, obs_names: NDArray[np.str_], var_names: NDArray[np.str_]
) -> sparse.csr_matrix:
    """Turn checked arrays into rows of float32: sorted, no entry twice, no zeros, finite, none negative.

    Raises:
        DataError: The values are not numbers, NaN, infinite or negative, or an entry stands twice; the
            message names the cell and the gene.
    """
    values = matrix.data if isinstance(matrix, Compressed) else matrix
    if values.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: the matrix holds {values.dtype} instead of numbers. Convert it: "
            "adata.X = adata.X.astype('float32')."
        )
    # Before scipy sees them: it knows neither float16 nor foreign byte orders.
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if isinstance(matrix, Compressed):
        form = sparse.csr_matrix if matrix.by_row else sparse.csc_matrix
        rows = form((values, matrix.indices, matrix.indptr), shape=matrix.shape, copy=True).tocsr()
    else:
        rows = sparse.csr_matrix(values)
    rows.sort_indices()
    _check_twice(rows, where, obs_names, var_names)
    for bad, what, mend in (
        (np.isnan(rows.data), "NaN", "Find out what is missing; where it means 0, write 0."),
        (np.isinf(rows.data), "Inf or too large for float32", "Give the counts as they were measured."),
        (
            rows.data < 0,
            "negative",
            f"They look scaled: give counts or log-normalised values, as with {argument('layer', 'raw')}.",
        ),
    ):
        at = np.flatnonzero(bad)
        if len(at):
            cell, gene = _place(rows, int(at[0]), obs_names, var_names)
            raise DataError(
                f"{where}: {len(at):,} values are {what}, the first in cell {cell!r}, gene {gene!r}. {mend}"
            )
    rows.eliminate_zeros()
    return rows


def _check_twice(rows: sparse.csr_matrix, where: str, obs_names: NDArray[np.str_], var_names: NDArray[np.str_]) -> None:
    same = rows.indices[1:] == rows.indices[:-1]
    starts = rows.indptr[1:-1]
    same[starts[(starts > 0) & (starts < len(rows.indices))] - 1] = False
    at = np.flatnonzero(same)
    if len(at):
        cell, gene = _place(rows, int(at[0]), obs_names, var_names)
        raise DataError(
            f"{where}: {len(at):,} entries stand twice, the first in cell {cell!r}, gene {gene!r}. Where "
            "they are "
            "parts of one count, add them up: adata.X.sum_duplicates()."
        )


def _place(
    rows: sparse.csr_matrix, at: int, obs_names: NDArray[np.str_], var_names: NDArray[np.str_]
) -> tuple[str, str]:
    row = int(np.searchsorted(rows.indptr, at, side="right")) - 1
    return str(obs_names[row]), str(var_names[rows.indices[at]])


def categories(obs: pd.DataFrame, key: str, where: str, *, numbers: bool = False) -> pd.Categorical:
    """Return the column `key` of obs as text categories, unused ones dropped.

    Args:
        obs: Table of the cells.
        key: Column.
        where: Source, for messages.
        numbers: Whether whole numbers are accepted, as they are for batches.

    Raises:
        DataError: The column is missing, holds numbers, or says nothing for some cells.
    """
    import pandas as pd

    column = _column(obs, key, where)
    text = column.astype(object)
    missing = _missing(column)
    if missing.any():
        raise DataError(
            f"{where}: obs[{key!r}] says nothing for {missing.sum():,} of {len(obs):,} cells (first: "
            f"{str(obs.index[int(missing.argmax())])!r}). Fill it in, or leave these cells out: "
            f"adata[adata.obs[{key!r}].notna()]."
        )
    # The type of the values, not of the column: numbers may sit in a categorical or an object column.
    kind = np.asarray(text.tolist()).dtype.kind
    if kind in "fc" or (kind in "iu" and not numbers and not isinstance(column.dtype, pd.CategoricalDtype)):
        columns = [str(name) for name in obs.columns]
        groups = [name for name in columns if not pd.api.types.is_numeric_dtype(obs.iloc[:, columns.index(name)])]
        raise DataError(
            f"{where}: obs[{key!r}] holds numbers. If they are names of classes, convert them: "
            f"adata.obs[{key!r}] = adata.obs[{key!r}].astype(str). "
            + (f"Columns of text: {', '.join(groups[:_SAMPLE_SIZE])}." if groups else "No column holds text.")
        )
    return pd.Categorical([str(value) for value in text])


def that_say(obs: pd.DataFrame, key: str, where: str) -> pd.DataFrame:
    """Return the rows of the cells of which the column `key` says something, or all rows where it says nothing at all.

    What `categories` refuses of these it refuses of any cells of the table.

    Raises:
        DataError: The column is missing.
    """
    missing = _missing(_column(obs, key, where))
    return obs if missing.all() or not missing.any() else obs.iloc[np.flatnonzero(~missing)]


def _column(obs: pd.DataFrame, key: str, where: str) -> pd.Series:
    columns = [str(name) for name in obs.columns]
    if key not in columns:
        if not columns:
            raise DataError(f"{where}: obs has no column {key!r}, and no other. Add it: adata.obs[{key!r}] = ...")
        listed = ", ".join(columns[:_SAMPLE_SIZE]) + (", ..." if len(columns) > _SAMPLE_SIZE else "")
        guess = did_you_mean(key, columns)
        raise DataError(f"{where}: obs has no column {key!r}.{guess if 'mean' in guess else ''} Columns: {listed}.")
    return obs.iloc[:, columns.index(key)]


def _missing(column: pd.Series) -> NDArray[np.bool_]:
    blank = np.asarray([str(value).strip() == "" for value in column.astype(object)], dtype=bool)
    missing: NDArray[np.bool_] = column.isna().to_numpy() | blank
    return missing


def silent_note(groups: pd.Categorical, key: str) -> str:
    """Say which groups are called as cells are of which nothing is known, and how to leave them out; "" if none is."""
    counts = {
        str(name): count
        for name, count in groups.value_counts().items()
        if count and " ".join(_WORDS.findall(str(name).lower())) in _SILENT
    }
    if not counts:
        return ""
    named = ", ".join(f"{name!r} ({count:,})" for name, count in counts.items())
    return (
        f"obs[{key!r}] calls {sum(counts.values()):,} of {len(groups):,} cells {named}: taken as groups like others. "
        f"If they mean that nothing is known, leave the cells out: adata[~adata.obs[{key!r}].isin({list(counts)})]"
    )


def check_labels(cells: AnyCells[Any], *, min_cells: int = 3) -> None:
    """Refuse labels that cannot be split into parts for training, validation and test.

    Args:
        cells: Labelled cells.
        min_cells: Least cells of a class.

    Raises:
        DataError: There are no labels, one class only, or a class has fewer cells; the message says how to
            leave such classes out.
    """
    where = cells.manifest.get("source", cells.name)
    if cells.labels is None:
        raise DataError(f"{where}: the cells have no labels. Name the column of classes ({argument('label')}).")
    counts = cells.labels.value_counts()
    counts = counts[counts > 0]
    if len(counts) < 2:
        raise DataError(f"{where}: all {len(cells):,} cells are {str(counts.index[0])!r}. Two classes are needed.")
    key = cells.manifest.get("label") or "cell_type"
    if len(counts) > MOST_CLASSES:
        raise DataError(
            f"{where}: column {key!r} has {len(counts):,} different values ({examples(counts.index)}), and scgraph "
            f"compares up to {MOST_CLASSES:,} classes. Name a column of cell types or states with {argument('label')}."
        )
    rare = counts[counts < min_cells]
    if len(rare) > MOST_NAMED:
        raise DataError(
            f"{where}: {len(rare):,} of {len(counts):,} classes in column {key!r} have fewer than {min_cells} cells "
            f"({examples(rare.index)}). Training, validation and test each need one. Name another column "
            f"with {argument('label')}, "
            f"or leave rare classes out with {setting('drop_classes_below', min_cells)}."
        )
    if len(rare):
        named = ", ".join(f"{name!r} ({count})" for name, count in rare.items())
        raise DataError(
            f"{where}: {len(rare)} classes have fewer than {min_cells} cells: {named}. Training, validation "
            "and test "
            f"each need one. Leave them out: adata[~adata.obs[{key!r}].isin("
            f"{[str(name) for name in rare.index]})]."
        )
