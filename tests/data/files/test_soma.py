"""A TileDB-SOMA experiment, written by tiledbsoma, is read as the .h5ad file of the same cells."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgraph.data import CellStore, prepare, read_cells
from scgraph.data.files import stream as streaming
from scgraph.data.files.copying import write_h5ad
from scgraph.data.files.forms import open_form
from scgraph.data.files.stream import CellStream
from scgraph.errors import DataError
from tests.forms import write_soma

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., anndata.AnnData]

tiledbsoma = pytest.importorskip("tiledbsoma")

DONOR = 'donor == "d2"'
TILES = {"platform_config": {"tiledb": {"create": {"dims": {f"soma_dim_{at}": {"tile": 8} for at in (0, 1)}}}}}
"""A matrix comes tile by tile, so that the values of a cell lie apart."""

FILTERS = {
    'tisue == "blood"': r"no column 'tisue'\. Known: cell_type",
    'donr in ["d1"]': r"no column 'donr'\. Did you mean 'donor'",
    'donor = "d1"': "is no filter .Could not parse",
    "donor == d1": "is no filter .Incorrect type",
    "donor == 1": "is no filter",
    "donor": "is no filter .Malformed",
    "": "is no filter",
    "(" * 5000: r"\(\(\.\.\.' is no filter",
    'donor == "d3"': "leaves no cell",
}


@pytest.fixture
def adata(make_adata: Make) -> anndata.AnnData:
    """Cells one of which has no count, with a column of totals."""
    adata = make_adata()
    counts = adata.X.toarray()
    counts[7] = 0
    adata.X = sparse.csr_matrix(counts)
    adata.obs["n_counts"] = counts.sum(axis=1)
    return adata


def store_files(path: Path) -> dict[str, bytes]:
    """All files of a store but the manifest, which names the source."""
    return {file.name: file.read_bytes() for file in path.iterdir() if file.name != "manifest.json"}


def same(adata: anndata.AnnData) -> anndata.AnnData:
    return adata


def dense(adata: anndata.AnnData) -> anndata.AnnData:
    adata.X = adata.X.toarray()
    return adata


def logged(adata: anndata.AnnData) -> anndata.AnnData:
    """Logarithms to a base that `uns` records, of a part of the genes and too coarse to be told."""
    counts = adata.X.toarray()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    adata.X = sparse.csr_matrix(np.round(np.log2(1 + 700 * shares), 1))
    adata.obs = adata.obs.drop(columns="n_counts")
    adata.uns["log1p"] = {"base": 2.0}
    return adata


@pytest.mark.parametrize(
    ("form", "options"),
    [(same, {}), (dense, {}), (logged, {}), (same, TILES)],
    ids=["sparse", "dense", "logged", "of small tiles"],
)
def test_a_store_is_the_same_bit_for_bit(
    form: Callable[[anndata.AnnData], anndata.AnnData],
    options: dict[str, Any],
    adata: anndata.AnnData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adata = form(adata)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    soma = write_soma(tmp_path / "cells.soma", adata, **options)
    of_file = prepare([tmp_path / "cells.h5ad"], out=tmp_path / "a", shard_cells=16)
    monkeypatch.setattr(streaming, "_ENTRIES", 150)
    assert len(list(CellStream(soma).blocks())) > 3
    of_soma = prepare([soma], out=tmp_path / "b", shard_cells=16)
    assert store_files(tmp_path / "a") == store_files(tmp_path / "b")
    assert of_file["shards"] == of_soma["shards"]
    assert of_file["sources"][0]["notes"] == of_soma["sources"][0]["notes"]
    CellStore.open(tmp_path / "b", verify=True)


@pytest.mark.parametrize("form", [same, dense], ids=["sparse", "dense"])
def test_a_filter_gives_the_cells_that_it_names(
    form: Callable[[anndata.AnnData], anndata.AnnData],
    adata: anndata.AnnData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adata = form(adata)
    soma = write_soma(tmp_path / "cells.soma", adata)
    adata[adata.obs["donor"] == "d2"].copy().write_h5ad(tmp_path / "part.h5ad")
    monkeypatch.setattr(streaming, "_ENTRIES", 150)
    prepare([tmp_path / "part.h5ad"], out=tmp_path / "a")
    manifest = prepare([soma], out=tmp_path / "b", obs_value_filter=DONOR)
    assert store_files(tmp_path / "a") == store_files(tmp_path / "b")
    assert manifest["sources"][0]["obs_value_filter"] == DONOR
    cells = read_cells(soma, obs_value_filter=DONOR, label="cell_type", batch_key="donor")
    part = read_cells(tmp_path / "part.h5ad", label="cell_type", batch_key="donor")
    assert (cells.matrix != part.matrix).nnz == 0
    assert cells.obs_names.tolist() == part.obs_names.tolist()
    assert cells.labels.tolist() == part.labels.tolist()
    assert cells.batches.tolist() == part.batches.tolist()


def test_blocks_go_on_in_the_middle(adata: anndata.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_ENTRIES", 150)
    for name, form in (("sparse", adata.copy()), ("dense", dense(adata.copy()))):
        stream = CellStream(write_soma(tmp_path / name, form))
        rest = list(stream.blocks(start=11))
        assert rest[0].rows[0] == 11
        np.testing.assert_array_equal(
            np.concatenate([block.matrix.toarray() for block in rest]), adata.X[11:].toarray()
        )


def test_measurements_and_layers_are_named(adata: anndata.AnnData, tmp_path: Path) -> None:
    adata.layers["twice"] = adata.X * 2
    adata.raw = adata
    path = write_soma(tmp_path / "atlas.soma", adata[:, :20].copy())
    with pytest.raises(DataError, match=r"2 layers, none of them 'raw'\. Name layer: data, twice"):
        read_cells(path)
    with pytest.raises(DataError, match=r"no layer 'twise'\. Did you mean 'twice'"):
        read_cells(path, layer="twise")
    with pytest.raises(DataError, match=r"no layer 'raw'\. \.raw is a measurement: name .*atlas\.soma/raw"):
        read_cells(path, layer="raw")
    with pytest.raises(DataError, match=r"no measurement 'ATAC'.*atlas\.soma/RNA, .*atlas\.soma/raw"):
        read_cells(path / "ATAC")
    twice = read_cells(path, layer="twice")
    assert "the measurement 'RNA' is read, and nothing of raw" in twice.notes
    np.testing.assert_array_equal(twice.matrix.toarray(), 2 * np.delete(adata.X[:, :20].toarray(), 7, axis=0))
    for address in (path / "raw", path / "ms" / "raw", f"file://{path}/ms/raw"):
        assert read_cells(address).matrix.shape == (39, 30)
    assert read_cells(path / "raw").name == "atlas-raw"


def test_a_layer_called_raw_is_read_where_none_is_named(adata: anndata.AnnData, tmp_path: Path) -> None:
    """As in the experiments of CELLxGENE, whose cells have no names and whose genes stand in other columns."""
    normalized = adata.copy()
    sums = np.maximum(adata.X.toarray().sum(axis=1, keepdims=True), 1)
    normalized.X = sparse.csr_matrix(np.log1p(adata.X.toarray() / sums * 1e4))
    normalized.layers["raw"] = adata.X
    path = write_soma(tmp_path / "census", normalized, X_layer_name="normalized")
    cells = read_cells(path)
    assert "the layer 'raw' is read, and nothing of normalized" in cells.notes
    np.testing.assert_array_equal(cells.matrix.toarray(), np.delete(adata.X.toarray(), 7, axis=0))
    assert read_cells(path, layer="normalized").kind == "log1p"


def test_cells_without_names_are_called_by_their_ids(adata: anndata.AnnData, tmp_path: Path) -> None:
    path = write_soma(tmp_path / "cells.soma", adata, obs_id_name="barcode")
    assert read_cells(path).obs_names[:3].tolist() == ["0", "1", "2"]
    adata.obs.index.name = "barcode"
    named = write_soma(tmp_path / "named.soma", adata)
    assert read_cells(named).obs_names[:3].tolist() == ["cell0", "cell1", "cell2"]


def test_what_is_appended_is_read_after_what_was_there(
    adata: anndata.AnnData, make_adata: Make, tmp_path: Path
) -> None:
    import tiledbsoma.io

    path, more = write_soma(tmp_path / "cells.soma", adata), make_adata(cells=20, seed=1)
    more.obs_names = [f"more{at}" for at in range(20)]
    more.obs["n_counts"] = more.X.toarray().sum(axis=1)
    stream = CellStream(path)
    joined = tiledbsoma.io.register_anndatas(
        str(path), [more], measurement_name="RNA", obs_field_name="obs_id", var_field_name="var_id"
    )
    joined.prepare_experiment(str(path))
    tiledbsoma.io.from_anndata(str(path), more.copy(), measurement_name="RNA", registration_mapping=joined)
    with pytest.raises(DataError, match="was changed while it was read"):
        next(stream.blocks())
    cells = read_cells(path)
    assert cells.obs_names.tolist() == [*np.delete(adata.obs_names, 7), *more.obs_names]
    whole = np.concatenate([np.delete(adata.X.toarray(), 7, axis=0), more.X.toarray()])
    np.testing.assert_array_equal(cells.matrix.toarray(), whole)


def test_a_filter_that_cannot_be_is_refused(adata: anndata.AnnData, tmp_path: Path) -> None:
    path = write_soma(tmp_path / "cells.soma", adata)
    for value_filter, message in FILTERS.items():
        with pytest.raises(DataError, match=message) as refused:
            prepare([path], out=tmp_path / "store", obs_value_filter=value_filter)
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 1000
    assert not (tmp_path / "store").exists()


def test_a_filter_is_of_experiments_alone(adata: anndata.AnnData, h5ad: Path, tmp_path: Path) -> None:
    for source in (h5ad, adata, "pbmc68k_reduced"):
        for read in (read_cells, CellStream):
            with pytest.raises(DataError, match="of TileDB-SOMA experiments alone"):
                read(source, obs_value_filter=DONOR)  # type: ignore[operator]
    with pytest.raises(DataError, match="no such file"):
        read_cells(tmp_path / "none.soma", obs_value_filter=DONOR)


def test_what_is_no_experiment_is_refused(adata: anndata.AnnData, tmp_path: Path) -> None:
    path = write_soma(tmp_path / "cells.soma", adata)
    for part, kind in (("ms", "Collection"), ("obs", "DataFrame")):
        with pytest.raises(DataError, match=f"is a {kind} of SOMA"):
            read_cells(path / part)
    with pytest.raises(DataError, match=r"file://.*cannot be opened as a SOMA experiment"):
        read_cells(f"file://{tmp_path}/none.soma")
    shutil.rmtree(path / "ms" / "RNA" / "X" / "data")
    with pytest.raises(DataError, match="is damaged"):
        read_cells(path)
    shutil.rmtree(path / "ms")
    with pytest.raises(DataError, match=r"cells\.soma: "):
        read_cells(path)


@pytest.mark.parametrize("file", ["X/data/__fragments", "var/__fragments", "X/data/__schema"])
def test_a_cut_file_is_refused(file: str, adata: anndata.AnnData, tmp_path: Path) -> None:
    path = write_soma(tmp_path / "cells.soma", adata)
    for part in (path / "ms" / "RNA" / file).rglob("*"):
        if part.is_file():
            part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cells\.soma: "):
        read_cells(path)


def test_members_that_lie_elsewhere_are_not_followed(adata: anndata.AnnData, tmp_path: Path) -> None:
    other = write_soma(tmp_path / "other.soma", adata)
    with tiledbsoma.Experiment.create(str(tmp_path / "linked.soma")) as root:
        for name in ("obs", "ms"):
            with tiledbsoma.open(str(other / name)) as member:
                root.set(name, member, use_relative_uri=False)
    with pytest.raises(DataError, match="outside of the folder: not followed"):
        read_cells(tmp_path / "linked.soma")


def test_a_value_of_no_gene_is_refused(adata: anndata.AnnData, tmp_path: Path) -> None:
    import pyarrow

    path = write_soma(tmp_path / "cells.soma", adata)
    layer = str(path / "ms" / "RNA" / "X" / "data")
    with tiledbsoma.open(layer, "w") as array:
        array.resize((40, 50))
    with tiledbsoma.open(layer, "w") as array:
        stray = {"soma_dim_0": [3], "soma_dim_1": [44], "soma_data": np.asarray([1], dtype=np.float32)}
        array.write(pyarrow.Table.from_pydict(stray))
    with pytest.raises(DataError, match="soma_joinid 3 has a value for the gene 44"):
        read_cells(path)


def test_negative_values_are_refused_as_those_of_a_file(adata: anndata.AnnData, tmp_path: Path) -> None:
    adata.X = adata.X - 1 * (adata.X > 2)
    adata.X.data[0] = -1
    with pytest.raises(DataError, match="negative, the first in cell 'cell0'"):
        prepare([write_soma(tmp_path / "cells.soma", adata)], out=tmp_path / "store")


def test_without_tiledbsoma_the_extra_is_named(
    adata: anndata.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_soma(tmp_path / "cells.soma", adata)
    monkeypatch.setitem(sys.modules, "tiledbsoma", None)
    with pytest.raises(DataError, match=r'pip install "scgraph-zoo\[soma\]"'):
        read_cells(path)


@pytest.mark.parametrize("form", [same, dense], ids=["sparse", "dense"])
def test_a_copy_holds_the_layer_that_was_read(
    form: Callable[[anndata.AnnData], anndata.AnnData],
    adata: anndata.AnnData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scgraph.data.files.copying._STEP", 150)
    adata.layers["twice"] = adata.X * 2
    path = write_soma(tmp_path / "cells.soma", form(adata))
    with open_form(path) as opened:
        write_h5ad(opened, tmp_path / "copy.h5ad", "data")
    copy = anndata.read_h5ad(tmp_path / "copy.h5ad")
    values: Any = [x.toarray() if sparse.issparse(x) else x for x in (copy.X, adata.X)]
    np.testing.assert_array_equal(*values)
    pd.testing.assert_frame_equal(copy.obs, adata.obs, check_dtype=False, check_categorical=False)
    assert copy.var_names.tolist() == adata.var_names.tolist()


def test_room_is_looked_at_before_a_whole_experiment_is_read(
    adata: anndata.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_soma(tmp_path / "cells.soma", adata)
    monkeypatch.setattr("scgraph.data.files.storage.available_memory", lambda: 1000)
    with pytest.raises(DataError, match="scgraph prepare"):
        read_cells(path)
    assert len(CellStream(path)) == 39
