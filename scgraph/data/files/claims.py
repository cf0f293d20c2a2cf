"""Whether a matrix and its tables can be as large as they claim, looked at before any of it is read.

zarr does not store chunks that hold nothing but the value that fills, so a chunk that is not there may be an honest
one. How many may be missing follows from what the numbers mean: names differ, so none of theirs; a row has gene 0
once at most, so no more indices than there are rows. The columns of a table are as long as its names are many, and a
matrix has a row for each of them. So all that is claimed hangs on names that are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py

from scgraph.data.files.checks import check_parts, check_shape
from scgraph.data.files.storage import check_claims, datasets_of, is_array
from scgraph.data.files.zarr_storage import entries_held, is_zarr_array, values_missing
from scgraph.errors import DataError

if TYPE_CHECKING:
    from scgraph.data.files.stored import StoredMatrix

__all__ = ["check_fits_tables", "check_matrix", "check_table"]

_MEND = "The file is damaged: write it again from its source."
_ROWS = ("codes", "values", "mask")
"""Of a column in parts, those with a number for every row."""

_SMALL = 2**16
"""Values that any memory holds."""


def check_matrix(matrix: StoredMatrix, where: str) -> None:
    """Refuse a matrix of HDF5 or zarr that claims more entries than its bytes can hold.

    A dense one is held to its tables, see `check_fits_tables`.

    Raises:
        DataError: As said.
    """
    if not matrix.parts or matrix.in_memory:
        return
    data, indices, indptr = (matrix.parts[name] for name in ("data", "indices", "indptr"))
    check_claims(matrix.datasets(), where)
    check_parts(data, indices, indptr, where)
    lines, line = (matrix.shape[0], "row") if matrix.by_row else (matrix.shape[1], "column")
    if indptr.size != lines + 1:
        raise DataError(
            f"{where}: indptr has {indptr.size:,} entries for {lines:,} {line}s, {lines + 1:,} are needed. {_MEND}"
        )
    if is_zarr_array(indices):
        _refuse(indices, where, missing=lines)
        _refuse(data, where, missing=data.size)


def check_fits_tables(matrix: StoredMatrix, obs: Any, var: Any, where: str) -> None:
    """Refuse a matrix that has not a row for each name of `obs` and a column for each of `var`.

    Where it is not plain which the names are, a matrix of HDF5 is held to its own bytes.

    Raises:
        DataError: As said.
    """
    names = [_names(table) for table in (obs, var)]
    if names[0] is None or names[1] is None:
        check_claims(matrix.datasets(), where)
        return
    for one in names:
        if is_zarr_array(one):
            _refuse(one, where, missing=1)
        else:
            check_claims([one], where)
    check_shape(matrix.shape, names[0].size, names[1].size, where)


def check_table(group: Any, where: str, name: str, index: str) -> None:
    """Refuse a table that claims more names than there are bytes for, or whose columns are of another length.

    Args:
        group: A group of HDF5 or zarr.
        where: Source, for messages.
        name: Name of the table.
        index: Where its names are.

    Raises:
        DataError: As said.
    """
    if isinstance(group, h5py.Group):
        check_claims(datasets_of(group), where)
        return
    # One name may be empty, which fills.
    _refuse(group[index], where, missing=1)
    size = group[index].size
    for key in group:
        column = group[key]
        parts = [column] if is_array(column) else [column[part] for part in _ROWS if part in column]
        for part in parts:
            if part.ndim != 1 or part.size != size:
                raise DataError(f"{where}: {name}[{key!r}] has {part.size:,} values for {size:,} names. {_MEND}")
            _refuse(part, where, missing=size)
        if not is_array(column) and "categories" in column:
            _refuse(column["categories"], where, missing=1)


def _names(table: Any) -> Any:
    """Return the array of the names of a table, None where it is not plain which it is."""
    if is_array(table):
        return None
    index = table.attrs.get("_index")
    names = table[index] if isinstance(index, str) and index in table else None
    return names if is_array(names) else None


def _refuse(array: Any, where: str, *, missing: int) -> None:
    """Refuse an array of zarr whose chunks hold fewer values than it claims, but for so many that fill."""
    if array.size <= _SMALL:
        return
    lacking, held = values_missing(array), entries_held(array)
    if lacking > missing or array.size - lacking > held:
        raise DataError(
            f"{where}: {array.name} claims {array.size:,} values, but its chunks hold no more than "
            f"{min(held, array.size - lacking):,}. {_MEND}"
        )
