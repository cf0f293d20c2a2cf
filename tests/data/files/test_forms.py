"""Every form of file is read as the .h5ad file of the same cells, whole and in blocks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pytest
import scipy.io

from scgraph.data import read_cells
from scgraph.data.files.forms import CountsForm, open_form
from scgraph.data.files.stream import CellStream
from scgraph.errors import DataError
from tests.forms import FORMS, write_h5mu, write_market, write_tenx, write_zarr

if TYPE_CHECKING:
    from collections.abc import Callable

    from scgraph.data import Cells

    Make = Callable[..., anndata.AnnData]


def same(cells: Cells, adata: anndata.AnnData) -> None:
    np.testing.assert_array_equal(cells.matrix.toarray(), adata.X.toarray())
    assert cells.ensembl.tolist() == adata.var["feature_id"].tolist()
    assert cells.symbols.tolist() == adata.var_names.tolist()
    assert cells.obs_names.tolist() == adata.obs_names.tolist()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_whole_and_in_blocks(form: str, tmp_path: Path, make_adata: Make) -> None:
    adata = make_adata()
    path = FORMS[form](tmp_path, adata)
    cells, stream = read_cells(path), CellStream(path)
    same(cells, adata)
    for block in stream.blocks():
        same(block, adata)
    assert cells.name == stream.name
    assert cells.manifest["sha256"] == stream.manifest["sha256"]
    assert cells.notes == stream.notes
    # Of CITE-seq, the antibodies are named, and count for nothing.
    left_out = "2 features that are no genes ('Antibody Capture') were left out"
    assert (left_out in cells.notes) == (form in ("Cell Ranger 3", "a prefix", "a single mtx", "10x h5"))
    totals = np.expm1(cells.normalized().toarray()).sum(axis=1)
    np.testing.assert_allclose(totals, 1e4, rtol=1e-4)


def test_a_dense_zarr_larger_than_memory_is_read_in_blocks(
    tmp_path: Path, make_adata: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    adata = make_adata()
    dense = adata.copy()
    dense.X = adata.X.toarray()
    path = write_zarr(tmp_path / "cells.zarr", dense, chunks=(5, 30))
    monkeypatch.setattr("scgraph.data.files.storage.available_memory", lambda: 1000)
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 200)
    with pytest.raises(DataError, match="scgraph prepare"):
        read_cells(path)
    blocks = [block.matrix.toarray() for block in CellStream(path).blocks()]
    assert len(blocks) > 3
    np.testing.assert_array_equal(np.concatenate(blocks), dense.X)


@pytest.mark.parametrize("version", [2, 3])
def test_layers_raw_and_labels_of_a_zarr(version: int, tmp_path: Path, make_adata: Make) -> None:
    adata = make_adata()
    adata.raw = adata
    adata.layers["twice"] = adata.X * 2
    path = write_zarr(tmp_path / "cells.zarr", adata[:, :10].copy(), version=version)
    assert read_cells(path, layer="raw").matrix.shape == (40, 30)
    np.testing.assert_array_equal(read_cells(path, layer="twice").matrix.toarray(), 2 * adata.X[:, :10].toarray())
    assert read_cells(path, label="cell_type").labels.tolist() == adata.obs["cell_type"].tolist()


def test_a_modality_is_named_behind_its_file(tmp_path: Path, make_adata: Make) -> None:
    adata = make_adata()
    path = write_h5mu(tmp_path / "cells.h5mu", adata)
    cells = read_cells(path, label="cell_type", batch_key="donor")
    assert cells.labels.tolist() == adata.obs["cell_type"].tolist()
    assert any("'rna' is read, and nothing of prot" in note for note in cells.notes)
    same(read_cells(path / "rna"), adata)
    assert read_cells(path / "prot").symbols.tolist() == ["CD3", "CD19", "CD4"]
    with pytest.raises(DataError, match=r"no modality 'atac'.*cells\.h5mu/prot, .*cells\.h5mu/rna"):
        read_cells(path / "atac")


def test_genomes_of_an_old_file_are_named(tmp_path: Path, make_adata: Make) -> None:
    path = write_tenx(tmp_path / "cells.h5", make_adata(), genomes=("hg19", "mm10"))
    with pytest.raises(DataError, match=r"several genomes.*cells\.h5/hg19, .*cells\.h5/mm10"):
        read_cells(path)
    with pytest.raises(DataError, match=r"no genome 'hg18'.*Did you mean 'hg19'"):
        read_cells(path / "hg18")
    assert read_cells(path / "mm10").name == "cells-mm10"


def test_several_matrices_of_a_folder_are_named(tmp_path: Path, make_adata: Make) -> None:
    for prefix in ("GSM1_", "GSM2_"):
        write_market(tmp_path, make_adata(), matrix=f"{prefix}matrix.mtx", features=f"{prefix}features.tsv")
    with pytest.raises(DataError, match=r"holds 2 matrices.*GSM1_matrix\.mtx, .*GSM2_matrix\.mtx"):
        read_cells(tmp_path)
    assert len(read_cells(tmp_path / "GSM2_matrix.mtx")) == 40


def test_pickled_values_of_a_zarr_are_never_read(tmp_path: Path, make_adata: Make) -> None:
    path = write_zarr(tmp_path / "cells.zarr", make_adata(), version=2)
    (path / ".zmetadata").unlink()
    array = path / "X" / "data" / ".zarray"
    array.write_text(json.dumps({**json.loads(array.read_text()), "compressor": {"id": "pickle", "protocol": 5}}))
    with pytest.raises(DataError, match="pickle"):
        read_cells(path)


def test_a_file_that_changes_is_noticed_in_a_folder(tmp_path: Path, make_adata: Make) -> None:
    path = write_market(tmp_path / "cells", make_adata())
    stream = CellStream(path)
    shutil.copy(path / "matrix.mtx.gz", path / "other")
    (path / "other").replace(path / "matrix.mtx.gz")
    with pytest.raises(DataError, match="changed while it was read"):
        next(stream.blocks())


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_lazy_and_backed_objects(ending: str, dense: bool, tmp_path: Path, make_adata: Make) -> None:
    adata = make_adata()
    written = adata.copy()
    if dense:
        written.X = adata.X.toarray()
    path = tmp_path / f"cells{ending}"
    if ending == ".zarr":
        write_zarr(path, written)
    else:
        written.write_h5ad(path)
    lazy = anndata.experimental.read_lazy(path)
    objects = [lazy] if ending == ".zarr" else [lazy, anndata.read_h5ad(path, backed="r")]
    for one in objects:
        cells = read_cells(one, label="cell_type")
        same(cells, adata)
        assert cells.labels.tolist() == adata.obs["cell_type"].tolist()
        for block in CellStream(one).blocks():
            same(block, adata)


@pytest.mark.parametrize("form", ["Cell Ranger 3", "a single mtx"])
def test_a_text_is_read_once_as_long_as_it_is_held(
    form: str, tmp_path: Path, make_adata: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    adata = make_adata()
    path = FORMS[form](tmp_path, adata)
    texts: list[object] = []
    read = scipy.io.mmread
    monkeypatch.setattr(scipy.io, "mmread", lambda file: (texts.append(file), read(file))[1])
    with open_form(path) as known:
        assert isinstance(known, CountsForm)
        assert known.shape() == (adata.n_obs, adata.n_vars + 2)
    assert not texts  # the size of a copy is plain to see
    stream = CellStream(path)
    same(next(stream.blocks()), adata)
    with open_form(path) as form_again:
        assert form_again.open(None).matrix.shape == (adata.n_obs, adata.n_vars + 2)
    assert len(texts) == 1
    write_market(
        path if path.is_dir() else path.parent,
        make_adata(cells=8),
        matrix=Path(str(texts[0])).name,
        features="features.tsv" if path.suffix == ".mtx" else "features.tsv.gz",
    )
    with pytest.raises(DataError, match="was changed while it was read"):
        list(stream.blocks())
    assert len(CellStream(path, hold=False)) == 8  # another file, read anew
    del stream
    list(CellStream(path, hold=False).blocks())
    assert len(texts) >= 3
