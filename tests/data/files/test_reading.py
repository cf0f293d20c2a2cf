"""Sources that are read: built-in set, layers, 10x, old files; and what the record of them says."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
import scanpy as sc

from scgraph.data import read_cells
from scgraph.errors import DataError

Make = Callable[..., anndata.AnnData]


def test_built_in_set() -> None:
    cells = read_cells("pbmc68k_reduced")
    assert cells.matrix.shape == (700, 765)
    assert cells.kind == "log1p"
    assert len(cells.labels.categories) == 10
    assert cells.manifest["layer"] == "raw"
    assert len(read_cells("pbmc68k_reduced", label="louvain").labels.categories) == 11


def test_layer_raw_of_a_file_has_its_own_genes(h5ad: Path, make_adata: Make) -> None:
    adata = make_adata()
    whole = adata.X.toarray()
    adata.raw = adata
    adata = adata[:, :10].copy()
    adata.X = adata.X.toarray() - 5.0
    adata.write_h5ad(h5ad)
    np.testing.assert_array_equal(read_cells(h5ad, layer="raw").matrix.toarray(), whole)
    np.testing.assert_array_equal(read_cells(adata, layer="raw").matrix.toarray(), whole)
    with pytest.raises(DataError, match="negative"):
        read_cells(h5ad)


def test_unknown_layer_is_refused_with_the_nearest(h5ad: Path, make_adata: Make) -> None:
    adata = make_adata()
    adata.layers["spliced"] = adata.X
    adata.write_h5ad(h5ad)
    for source in (h5ad, adata):
        with pytest.raises(DataError, match=r"no layer 'splced'. Did you mean 'spliced'"):
            read_cells(source, layer="splced")
        with pytest.raises(DataError, match="no layer 'raw'"):
            read_cells(source, layer="raw")


def test_record_of_a_file_and_of_an_object(h5ad: Path, make_adata: Make) -> None:
    cells = read_cells(h5ad, label="cell_type")
    assert cells.name == "cells"
    assert cells.manifest["sha256"] == hashlib.sha256(h5ad.read_bytes()).hexdigest()
    assert cells.manifest["source"] == str(h5ad)
    assert (cells.manifest["cells"], cells.manifest["genes"]) == (40, 30)
    json.dumps(cells.manifest)
    one, same, other = (read_cells(make_adata(seed=seed)).manifest["sha256"] for seed in (0, 0, 1))
    assert one == same != other


@pytest.mark.parametrize("name", ["matrix.h5", "matrix.h5ad"])
@pytest.mark.parametrize("version", [2, 3])
def test_10x_file_is_read_as_scanpy_reads_it(tmp_path: Path, make_adata: Make, name: str, version: int) -> None:
    adata = make_adata()
    path = tmp_path / name
    _write_10x(path, adata, version=version)
    cells = read_cells(path)
    with pytest.warns(UserWarning, match="Variable names are not unique"):
        theirs = sc.read_10x_h5(path)
    np.testing.assert_array_equal(cells.matrix.toarray(), theirs.X.toarray())
    assert cells.ensembl.tolist() == theirs.var["gene_ids"].tolist()
    assert cells.obs_names.tolist() == theirs.obs_names.tolist()
    assert cells.symbols[:3].tolist() == ["TWICE", "", "GENE3"]
    assert any("2 features that are no genes" in note for note in cells.notes) == (version == 3)
    with pytest.raises(DataError, match="no column 'cell_type', and no other"):
        read_cells(path, label="cell_type")
    with pytest.raises(DataError, match="a 10x file has no layers"):
        read_cells(path, layer="counts")


def _write_10x(path: Path, adata: anndata.AnnData, *, version: int) -> None:
    symbols = ["TWICE", "TWICE", *adata.var_names[2:]]
    kinds = ["Gene Expression"] * 28 + ["Antibody Capture"] * 2
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        for key in ("data", "indices", "indptr"):
            group[key] = getattr(adata.X, key).astype("int32")
        group["shape"] = adata.shape[::-1]
        group["barcodes"] = np.asarray(adata.obs_names, dtype="S")
        ids = np.asarray(adata.var["feature_id"], dtype="S")
        if version == 2:
            group["genes"], group["gene_names"] = ids, np.asarray(symbols, dtype="S")
            return
        features = group.create_group("features")
        features["id"], features["name"] = ids, np.asarray(symbols, dtype="S")
        features["feature_type"], features["genome"] = np.asarray(kinds, dtype="S"), np.full(30, b"GRCh38")


def test_file_older_than_anndata_07_is_read_without_a_warning() -> None:
    # scanpy carries one: its tables are record arrays, its classes numbers with names in `uns`.
    path = Path(sc.__file__).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
    cells = read_cells(path, layer="raw", label="bulk_labels")
    built_in = read_cells("pbmc68k_reduced")
    np.testing.assert_array_equal(cells.matrix.toarray(), built_in.matrix.toarray())
    assert cells.labels.tolist() == built_in.labels.tolist()


def test_real_file(shared_data: Path) -> None:
    cells = read_cells(shared_data / "kang_pbmc_subset.h5ad", label="cell_type", batch_key="batch")
    assert cells.matrix.shape == (1556, 1267)
    assert len(cells.labels.categories) == 5
    assert cells.ensembl[0] == "ENSG00000188290"
    assert cells.symbols[0] == "HES4"


def test_importing_needs_neither_torch_nor_scanpy() -> None:
    code = (
        "import sys, scgraph.data\n"
        "sys.exit(str([name for name in ('torch', 'scanpy', 'anndata', 'pandas') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
