"""Cells in every form that is read, each written by the library of that form."""

from __future__ import annotations

import gzip
import shutil
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import scipy.io
from scipy import sparse

__all__ = ["FORMS", "TABLES", "write_market", "write_soma", "write_tenx", "write_zarr"]

ANTIBODIES = 2


def _texts(values: Any) -> np.ndarray:
    return np.asarray(list(values), dtype="S")


def with_antibodies(adata: anndata.AnnData) -> tuple[sparse.csr_matrix, list[str], list[str], list[str]]:
    """Return counts, ids, names and kinds, two antibodies with large counts behind the genes."""
    antibodies = np.full((adata.n_obs, ANTIBODIES), 500, dtype=np.float32)
    counts = sparse.hstack([sparse.csr_matrix(adata.X), antibodies]).tocsr()
    names = [*adata.var_names, "CD3", "CD19"]
    ids = [*adata.var.get("feature_id", adata.var_names), "CD3_ab", "CD19_ab"]
    kinds = ["Gene Expression"] * adata.n_vars + ["Antibody Capture"] * ANTIBODIES
    return counts, ids, names, kinds


def write_zarr(path: Path, adata: anndata.AnnData, *, version: int = 3, **options: Any) -> Path:
    """Write a store, a zip where the name says so."""
    import zarr

    with anndata.settings.override(zarr_write_format=version), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".zip":
            with zarr.storage.ZipStore(path, mode="w") as store:
                adata.write_zarr(store, **options)
        else:
            adata.write_zarr(path, **options)
    return path


def zip_of_a_folder(path: Path, adata: anndata.AnnData) -> Path:
    folder = write_zarr(path.parent / "inside" / "cells.zarr", adata, version=2)
    return Path(shutil.make_archive(str(path.with_suffix("")), "zip", folder.parent, folder.name))


def write_market(
    folder: Path, adata: anndata.AnnData, *, matrix: str = "matrix.mtx.gz", features: str = "features.tsv.gz"
) -> Path:
    """Write a folder of Cell Ranger: of version 3 with antibodies, of version 2 where the genes stand in genes.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    counts, ids, names, kinds = with_antibodies(adata)
    rows = [f"{one}\t{name}\t{kind}" for one, name, kind in zip(ids, names, kinds, strict=True)]
    if "genes" in features:
        counts, rows = counts[:, : adata.n_vars], [row.rsplit("\t", 1)[0] for row in rows[: adata.n_vars]]
    opened = gzip.open if matrix.endswith(".gz") else open
    with opened(folder / matrix, "wb") as file:
        scipy.io.mmwrite(file, counts.T.tocoo().astype(np.int64))
    barcodes = features.replace("features", "barcodes").replace("genes", "barcodes")
    for name, lines in ((features, rows), (barcodes, list(adata.obs_names))):
        text = "".join(f"{line}\n" for line in lines).encode()
        (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return folder


def write_tenx(path: Path, adata: anndata.AnnData, *, genomes: tuple[str, ...] = ()) -> Path:
    """Write the .h5 of Cell Ranger: of version 3 with antibodies, of version 2 with a matrix for each genome."""
    counts, ids, names, kinds = with_antibodies(adata)
    if genomes:
        counts, ids, names = counts[:, : adata.n_vars], ids[: adata.n_vars], names[: adata.n_vars]
    with h5py.File(path, "w") as file:
        for place in genomes or ("matrix",):
            group = file.create_group(place)
            group["barcodes"] = _texts(adata.obs_names)
            group.create_dataset("data", data=counts.data.astype("i4"), chunks=True, compression="gzip")
            group["indices"], group["indptr"] = counts.indices.astype("i8"), counts.indptr.astype("i8")
            group["shape"] = np.asarray(counts.shape[::-1], dtype="i4")
            if genomes:
                group["genes"], group["gene_names"] = _texts(ids), _texts(names)
                continue
            features = group.create_group("features")
            features["_all_tag_keys"] = _texts(["genome"])
            features["id"], features["name"] = _texts(ids), _texts(names)
            features["feature_type"], features["genome"] = _texts(kinds), _texts(["GRCh38"] * len(ids))
    return path


def write_h5mu(path: Path, adata: anndata.AnnData) -> Path:
    """Write two modalities; the classes of the cells stand in the table of all modalities alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mudata

        rna, classes = adata.copy(), adata.obs.columns
        rna.obs = rna.obs[[]]
        proteins = anndata.AnnData(np.full((adata.n_obs, 3), 7.0, dtype=np.float32), obs=rna.obs.copy())
        proteins.var_names = ["CD3", "CD19", "CD4"]
        both = mudata.MuData({"rna": rna, "prot": proteins})
        both.obs[list(classes)] = adata.obs
        both.write(path)
    return path


def write_soma(path: Path, adata: anndata.AnnData, **options: Any) -> Path:
    """Write an experiment with the measurement RNA, dense where X is; of a copy, as tiledbsoma changes what it gets."""
    import tiledbsoma.io

    if isinstance(adata.X, np.ndarray):
        options["X_kind"] = tiledbsoma.DenseNDArray
    tiledbsoma.io.from_anndata(str(path), adata.copy(), measurement_name="RNA", **options)
    return path


def old_h5(path: Path, adata: anndata.AnnData) -> Path:
    return write_tenx(path, adata, genomes=("GRCh38", "mm10")) / "GRCh38"


def single(folder: Path, adata: anndata.AnnData) -> Path:
    return write_market(folder, adata, matrix="counts.mtx", features="features.tsv") / "counts.mtx"


Write = Callable[[Path, anndata.AnnData], Path]
TABLES: dict[str, Write] = {
    "zarr v2": lambda d, a: write_zarr(d / "cells.zarr", a, version=2),
    "zarr v3": lambda d, a: write_zarr(d / "cells.zarr", a),
    "zarr v2 in a zip": lambda d, a: write_zarr(d / "cells.zarr.zip", a, version=2),
    "zarr v3 in a zip": lambda d, a: write_zarr(d / "cells.zarr.zip", a),
    "a zip of a folder": lambda d, a: zip_of_a_folder(d / "cells.zip", a),
    "h5mu": lambda d, a: write_h5mu(d / "cells.h5mu", a),
}
"""Forms with a table of the cells."""

if find_spec("tiledbsoma"):  # which has no wheel for the newest Python
    TABLES["TileDB-SOMA"] = lambda d, a: write_soma(d / "cells.soma", a)

FORMS: dict[str, Write] = {
    **TABLES,
    "Cell Ranger 3": lambda d, a: write_market(d / "cells", a),
    "Cell Ranger 2": lambda d, a: write_market(d / "cells", a, matrix="matrix.mtx", features="genes.tsv"),
    "a prefix": lambda d, a: write_market(d / "cells", a, matrix="GSM1_matrix.mtx.gz", features="GSM1_features.tsv.gz"),
    "a single mtx": lambda d, a: single(d / "cells", a),
    "10x h5": lambda d, a: write_tenx(d / "cells.h5", a),
    "10x h5 of several genomes": lambda d, a: old_h5(d / "cells.h5", a),
}
