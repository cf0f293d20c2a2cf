"""Labels as columns of obs, in an AnnData object or in a copy of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.annotate.results import RECORD_FIELDS, flat_record
from scgraph.data.files.forms import open_cells
from scgraph.data.files.stored import damage
from scgraph.errors import DataError, argument
from scgraph.files import check_hdf5_grows, table_bytes
from scgraph.train.copies import Place, adding, check_copy, copied, write_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import h5py
    from anndata import AnnData

    from scgraph.annotate.config import AnnotateConfig
    from scgraph.data.files.stream import CellStream

__all__ = ["check_adata", "check_file", "write_adata", "write_file"]


def _places(config: AnnotateConfig) -> list[Place]:
    columns = [config.label_column, config.probability_column]
    columns += [f"{column}_{place}" for column in columns for place in range(2, config.top + 1)]
    columns.insert(2, config.novelty_column)
    what = "labels of scgraph annotate"
    return [Place("obs", column, config.record_key, RECORD_FIELDS, what) for column in columns]


def check_adata(adata: AnnData, config: AnnotateConfig) -> None:
    """Refuse an object that holds something else under the names that are written.

    Raises:
        DataError: as said.
    """
    record = adata.uns.get(config.record_key)
    ours = isinstance(record, dict) and set(record) >= RECORD_FIELDS
    there = [str(place) for place in _places(config) if place.key in adata.obs]
    if (there or record is not None) and not ours:
        named = there[0] if there else f"uns[{config.record_key!r}]"
        raise DataError(
            f"adata: {named} is there and was not written by annotate. Rename it, or choose {argument('key_added')}."
        )


def check_file(data: Path, out: Path, config: AnnotateConfig) -> None:
    """Refuse what would keep labels from being added to a copy of a file.

    Raises:
        DataError: the file holds something else under the names that are written.
        OutputError: the disk is too full.
    """
    places = _places(config)
    for place in places:
        check_copy(data, out, place, width=4 * len(places))


def write_adata(adata: AnnData, columns: Mapping[str, Any], record: dict[str, Any], config: AnnotateConfig) -> None:
    """Add the columns and the record to an object."""
    for name, values in columns.items():
        adata.obs[name] = values
    adata.uns[config.record_key] = flat_record(record)


def write_file(
    stream: CellStream,
    out: Path,
    columns: Mapping[str, Any],
    record: dict[str, Any],
    config: AnnotateConfig,
    *,
    overwrite: bool,
    say: Callable[[str], None],
) -> None:
    """Copy the file of a stream and add the columns and the record, see `scgraph.train.copies.copied`."""
    with copied(stream, out, overwrite=overwrite, say=say) as file, adding(out):
        _add_columns(file, stream, columns)
        write_record(file, _places(config)[0], flat_record(record))


def _add_columns(file: h5py.File, stream: CellStream, columns: Mapping[str, Any]) -> None:
    import h5py
    import pandas as pd
    from anndata.io import write_elem

    table = file.get("obs")
    if isinstance(table, h5py.Group) and "column-order" in table.attrs:
        check_hdf5_grows(file, table_bytes(pd.DataFrame(dict(columns))))
        order = [str(name) for name in table.attrs["column-order"]]
        for name, values in columns.items():
            if name in table:
                del table[name]
            write_elem(table, name, values)
        order += [name for name in columns if name not in order]
        table.attrs["column-order"] = np.asarray(order, dtype=h5py.string_dtype())
        return
    # A table of anndata 0.6, or none: written anew.
    if table is None:
        obs = pd.DataFrame(index=pd.Index(stream.obs_names.tolist()))
    else:
        assert stream.path is not None
        with open_cells(stream.path, stream.layer) as opened, damage(str(stream.path)):
            obs = opened.tables()[0]
        del file["obs"]
    obs = obs.assign(**columns)
    check_hdf5_grows(file, table_bytes(obs))
    write_elem(file, "obs", obs)
