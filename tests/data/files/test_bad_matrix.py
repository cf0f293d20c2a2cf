"""Matrices that no one should compute with: cases 13 to 29 of the bad inputs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import anndata
import h5py
import numpy as np
import pytest
from scipy import sparse

from scgraph.data import read_cells
from scgraph.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., anndata.AnnData]
FORMS = {"dense": np.asarray, "csr": sparse.csr_matrix, "csc": sparse.csc_matrix}


def _replace(key: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        changed = change(file[key][()].copy())
        attributes = dict(file[key].attrs)
        del file[key]
        file[key] = changed
        file[key].attrs.update(attributes)

    return damage


def _put(at: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[at] = value
        return array

    return change


def _twice(array: np.ndarray) -> np.ndarray:
    array[1] = array[0]
    return array


def _reshape(file: h5py.File) -> None:
    file["X"].attrs["shape"] = np.array([40, 29])


DAMAGES = {
    "13 indptr too short": (_replace("X/indptr", lambda a: a[:-1]), "indptr has 40 entries for 40 rows, 41"),
    "13 indptr ends early": (_replace("X/indptr", _put(-1, 5)), "indptr runs from 0 to 5"),
    "14 out of range": (_replace("X/indices", _put(3, 10**6)), "row 0 has an entry at column 1,000,000"),
    "15 negative index": (_replace("X/indices", _put(3, -1)), "row 0 has an entry at column -1"),
    "16 indptr falls": (_replace("X/indptr", _put(5, 10**4)), "indptr falls after row 5"),
    "16 indptr of fractions": (
        _replace("X/indptr", lambda a: a.astype(float)),
        "not a list of whole numbers",
    ),
    "17 twice": (
        _replace("X/indices", _twice),
        "1 entries stand twice, the first in cell 'cell0', gene 'GENE1'",
    ),
    "18 shape": (_reshape, "matrix is 40 x 29, but obs names 40 cells and var 30 genes"),
    "data too short": (_replace("X/data", lambda a: a[:-1]), "values but"),
    "19 NaN": (
        _replace("X/data", _put(0, np.nan)),
        "1 values are NaN, the first in cell 'cell0', gene 'GENE1'",
    ),
    "20 Inf": (_replace("X/data", _put(0, np.inf)), "are Inf"),
    "20 beyond float32": (_replace("X/data", lambda a: a.astype(float) * 1e300), "too large for float32"),
    "21 negative": (_replace("X/data", _put(0, -2)), "negative, the first in cell 'cell0'.*layer='raw'"),
    "23 strings": (_replace("X/data", lambda a: a.astype("S4")), "instead of numbers"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_matrix_is_refused(h5ad: Path, case: str) -> None:
    damage, message = DAMAGES[case]
    with h5py.File(h5ad, "r+") as file:
        damage(file)
    with pytest.raises(DataError, match=f"(?s)^{h5ad}: .*{message}"):
        read_cells(h5ad)


@pytest.mark.parametrize("index", [10**9, -(10**9)])
@pytest.mark.parametrize("by_row", [True, False])
def test_index_out_of_range_never_kills_the_process(tmp_path: Path, make_adata: Make, index: int, by_row: bool) -> None:
    path = tmp_path / "wild.h5ad"
    adata = make_adata()
    adata.X = adata.X if by_row else adata.X.tocsc()
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["X/indices"][7] = index
    code = (
        "import sys\n"
        "from scgraph.data import read_cells\n"
        "from scgraph.errors import DataError\n"
        "try:\n    read_cells(sys.argv[1])\n"
        "except DataError as error:\n    sys.exit(str(error))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    assert f"{path}: " in done.stderr
    assert f"{index:,}" in done.stderr


def test_damaged_matrix_in_memory_is_refused(make_adata: Make) -> None:
    adata = make_adata()
    adata.X.indices[3] = 10**6
    with pytest.raises(DataError, match=r"^mine: .*column 1,000,000"):
        read_cells(adata, name="mine")


@pytest.mark.parametrize("layer", ["counts", "raw_counts", "UMI"])
def test_fractions_where_counts_are_declared(h5ad: Path, make_adata: Make, layer: str) -> None:
    adata = make_adata()
    adata.layers[layer] = adata.X * 0.3
    adata.write_h5ad(h5ad)
    with pytest.raises(DataError, match=f"'{layer}' should hold counts, but .* are fractions"):
        read_cells(h5ad, layer=layer)


@pytest.mark.parametrize("dtype", ["int64", "int8", "float64", "float16", ">f4", ">i4", "bool", "uint16"])
@pytest.mark.parametrize("form", ["dense", "csr", "csc"])
def test_any_number_type_is_read(h5ad: Path, make_adata: Make, dtype: str, form: str) -> None:
    adata = make_adata()
    counts = np.minimum(adata.X.toarray(), 1 if dtype == "bool" else 100)
    adata.X = FORMS[form](counts)
    adata.write_h5ad(h5ad)
    with h5py.File(h5ad, "r+") as file:
        _replace("X" if form == "dense" else "X/data", lambda array: array.astype(dtype))(file)
    cells = read_cells(h5ad)
    assert cells.matrix.dtype == np.float32
    np.testing.assert_array_equal(cells.matrix.toarray(), counts)
    assert cells.kind == "counts"
    assert any("CSC" in note for note in cells.notes) == (form == "csc")


@pytest.mark.parametrize("form", ["dense", "csr", "csc"])
def test_backed_file_is_read(h5ad: Path, make_adata: Make, form: str) -> None:
    adata = make_adata()
    counts = adata.X.toarray()
    adata.X = FORMS[form](counts)
    adata.write_h5ad(h5ad)
    backed = anndata.read_h5ad(h5ad, backed="r")
    np.testing.assert_array_equal(read_cells(backed).matrix.toarray(), counts)
    np.testing.assert_array_equal(read_cells(backed[5:9]).matrix.toarray(), counts[5:9])
    backed.file.close()


def test_matrix_is_canonical_and_the_source_stays_as_it_was(make_adata: Make) -> None:
    adata = make_adata()
    counts = adata.X.toarray()
    # Unsorted columns and stored zeros are allowed in a file.
    for row in range(adata.n_obs):
        here = slice(adata.X.indptr[row], adata.X.indptr[row + 1])
        adata.X.indices[here] = adata.X.indices[here][::-1].copy()
        adata.X.data[here] = adata.X.data[here][::-1].copy()
    adata.X.data[0] = 0
    before = adata.X.indices.copy()
    matrix = read_cells(adata).matrix
    np.testing.assert_array_equal(adata.X.indices, before)
    assert all((np.diff(matrix[row].indices) > 0).all() for row in range(40))
    assert (matrix.data > 0).all()
    counts[0, np.flatnonzero(counts[0])[-1]] = 0
    np.testing.assert_array_equal(matrix.toarray(), counts)


@pytest.mark.parametrize(("rows", "columns", "message"), [(0, 30, "no cells"), (40, 0, "no genes")])
def test_nothing_left_is_refused(tmp_path: Path, make_adata: Make, rows: int, columns: int, message: str) -> None:
    path = tmp_path / "none.h5ad"
    make_adata()[:rows, :columns].copy().write_h5ad(path)
    with pytest.raises(DataError, match=f"none.h5ad: it has {message}"):
        read_cells(path)


def test_cells_of_zeros_are_dropped_aloud(h5ad: Path, make_adata: Make) -> None:
    adata = make_adata()
    counts = adata.X.toarray()
    counts[[3, 8]] = 0
    adata.X = counts
    adata.write_h5ad(h5ad)
    cells = read_cells(h5ad, label="cell_type")
    assert len(cells) == len(cells.labels) == 38
    assert "2 cells without any count were dropped ('cell3', 'cell8')" in cells.notes
    assert "cell3" not in cells.obs_names
    assert np.isfinite(cells.normalized().data).all()


def test_only_zeros_are_refused(make_adata: Make) -> None:
    adata = make_adata()
    adata.X = np.zeros((40, 30), dtype=np.float32)
    with pytest.raises(DataError, match="every value is 0"):
        read_cells(adata)


def test_cell_with_one_gene_is_fine(make_adata: Make) -> None:
    adata = make_adata()
    counts = adata.X.toarray()
    counts[4] = 0
    counts[4, 6] = 3
    adata.X = counts
    row = read_cells(adata).normalized()[4]
    np.testing.assert_allclose(row.data, np.log1p(1e4), rtol=1e-6)


def test_matrix_of_a_foreign_kind_is_refused(make_adata: Make) -> None:
    with pytest.raises(DataError, match=r"^mine: a path or an AnnData object is needed, not ndarray"):
        read_cells(make_adata().X.toarray(), name="mine")  # type: ignore[arg-type]
