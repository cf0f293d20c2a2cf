"""Files of the same cells in every form that is read."""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING

import numpy as np

from scgraph.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from anndata import AnnData

    from scgraph.data import CellStore

__all__ = ["SOURCES", "check_space", "resample", "write_source"]

_BLOCK = 5000
_FORMS = 6
"""Times the size of a store that its cells take in all forms, with what is written on the way."""


def check_space(place: Path, pool: CellStore, sizes: Sequence[int]) -> None:
    """Refuse to begin where the disk cannot hold the largest store beside all files of the smallest.

    Raises:
        OutputError: as said.
    """
    needed = 8 * float(np.diff(pool.indptr).mean()) * (sizes[-1] + _FORMS * sizes[0])
    if shutil.disk_usage(place).free < 1.1 * needed:
        raise OutputError(f"{place}: {needed / 1e9:.1f} GB are needed. Choose another --scratch, or fewer --cells.")


def resample(pool: CellStore, cells: int, path: Path) -> None:
    """Write a store of cells of the pool, drawn with replacement, in blocks."""
    from scgraph.data.store.writing import StoreWriter, new_store_folder

    random = np.random.default_rng(0)
    with new_store_folder(path, overwrite=False) as folder:
        writer = StoreWriter(folder, pool.vocabulary)
        for start in range(0, cells, _BLOCK):
            rows = random.integers(len(pool), size=min(_BLOCK, cells - start))
            writer.add(*pool.entries(rows), pool.keys[rows], source=0)
        writer.finish([{"source": "resampled", "cells": cells}])


def write_source(kind: str, store: Path, folder: Path) -> Path:
    """Write the cells of a store into the folder in a form, a key of `SOURCES`; return where they are.

    The values of all forms are those of the store: log1p of normalised counts.
    """
    path = folder / f"cells.{kind}"
    SOURCES[kind](_as_anndata(store), path)
    return path


def _as_anndata(store: Path) -> AnnData:
    import anndata
    import pandas as pd

    from scgraph.data import CellStore

    cells = CellStore.open(store)
    genes = [one or two for one, two in zip(cells.vocabulary.symbols, cells.vocabulary.ensembl, strict=True)]
    names = [f"CELL-{at:09d}" for at in range(len(cells))]
    return anndata.AnnData(
        cells.matrix(), obs=pd.DataFrame(index=pd.Index(names)), var=pd.DataFrame(index=pd.Index(genes))
    )


def _write_h5ad(adata: AnnData, path: Path) -> None:
    adata.write_h5ad(path)  # not compressed, which is read fastest


def _write_zarr(adata: AnnData, path: Path) -> None:
    import anndata

    with anndata.settings.override(zarr_write_format=3), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the next version will do
        adata.write_zarr(path)


def _write_soma(adata: AnnData, path: Path) -> None:
    import tiledbsoma.io

    tiledbsoma.io.from_anndata(str(path), adata, measurement_name="RNA")


def _write_collection(adata: AnnData, path: Path) -> None:
    from annbatch import DatasetCollection

    source = path.with_name("source.h5ad")
    _write_h5ad(adata, source)
    DatasetCollection(path / "cells.zarr").add_adatas([source], rng=np.random.default_rng(0))
    source.unlink()


SOURCES: dict[str, Callable[[AnnData, Path], None]] = {
    "h5ad": _write_h5ad,
    "zarr": _write_zarr,
    "soma": _write_soma,
    "collection": _write_collection,
}
"""Forms of files, and what writes them."""
