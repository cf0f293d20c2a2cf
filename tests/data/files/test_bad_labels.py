"""Labels: cases 35 to 40 of the bad inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgraph.data import check_labels, read_cells
from scgraph.data.files.stream import CellStream
from scgraph.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., anndata.AnnData]
TWO = ["T", "B"] * 20


@pytest.mark.parametrize(
    "column",
    [
        pd.Categorical([None, None, *TWO[2:]]),
        pd.Series([None, None, *TWO[2:]], dtype=object).to_numpy(),
        ["", " ", *TWO[2:]],
        pd.array([None, None, *TWO[2:]], dtype="string"),
    ],
    ids=["categorical", "object", "blank", "string"],
)
def test_missing_labels_are_refused(make_adata: Make, column: object) -> None:
    adata = make_adata()
    adata.obs["cell_type"] = column
    with pytest.raises(DataError, match=r"^mine: obs\['cell_type'\] says nothing for 2 of 40 cells .first: 'cell0'"):
        read_cells(adata, label="cell_type", name="mine")


@pytest.mark.parametrize(
    "name",
    [
        "nan",
        "None",
        "Unknown",
        "NA",
        "N/A",
        "<NA>",
        "unassigned",
        "UNLABELED",
        "not_assigned",
        "null",
        "?",
        "Not Known ",
    ],
)
def test_labels_that_say_nothing_are_noted(h5ad: Path, make_adata: Make, name: str) -> None:
    adata = make_adata()
    adata.obs["cell_type"] = [name, name, name, *TWO[3:]]
    adata.write_h5ad(h5ad)
    cells = read_cells(h5ad, label="cell_type", batch_key="cell_type")
    said = [note for note in cells.notes if note.startswith("obs['cell_type'] calls 3 of 40 cells")]
    assert len(said) == 2
    assert f"adata[~adata.obs['cell_type'].isin([{name!r}])]" in said[0]
    left = adata[~adata.obs["cell_type"].isin([name])].copy()
    assert not any("calls" in note for note in read_cells(left, label="cell_type").notes)
    assert len(read_cells(left, label="cell_type")) == 37


def test_all_labels_that_say_nothing_stand_in_one_note(make_adata: Make) -> None:
    adata = make_adata()
    adata.obs["cell_type"] = ["nan", "Unknown", "Unknown", "nanobody+ B", "unknown lymphocyte", "NAc neuron", *TWO[6:]]
    said = [note for note in read_cells(adata, label="cell_type").notes if "calls" in note]
    assert said == [
        "obs['cell_type'] calls 3 of 40 cells 'Unknown' (2), 'nan' (1): taken as groups like others. If they mean "
        "that nothing is known, leave the cells out: adata[~adata.obs['cell_type'].isin(['Unknown', 'nan'])]"
    ]


def test_missing_column_lists_the_columns(h5ad: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)no column 'celltype'.*mean 'cell_type'.*cell_type, donor, n_genes"):
        read_cells(h5ad, label="celltype")
    with pytest.raises(DataError, match=r"no column 'zzz'. Columns: cell_type, donor, n_genes"):
        read_cells(h5ad, batch_key="zzz")


def test_obs_without_columns_says_so(make_adata: Make) -> None:
    adata = make_adata()
    adata.obs = adata.obs[[]]
    with pytest.raises(DataError, match="no column 'cell_type', and no other"):
        read_cells(adata, label="cell_type")


def test_one_class_is_refused(make_adata: Make) -> None:
    adata = make_adata()
    adata.obs["cell_type"] = pd.Categorical(["T"] * 40, categories=["T", "unused"])
    with pytest.raises(DataError, match=r"one class only .'T'"):
        read_cells(adata, label="cell_type")


def test_cells_without_a_count_need_no_label(h5ad: Path, make_adata: Make) -> None:
    adata = make_adata()
    adata.X = sparse.vstack([adata.X[:2] * 0, adata.X[2:]]).tocsr()  # zeros that are stored
    adata.obs["cell_type"] = pd.Categorical([None, " ", *TWO[2:]])
    adata.obs["donor"] = pd.array([None, None, *([1, 2] * 19)], dtype="Int64")
    adata.write_h5ad(h5ad)
    for cells in (read_cells(h5ad, label="cell_type", batch_key="donor"), CellStream(h5ad, label="cell_type")):
        assert cells.labels is not None
        assert cells.labels.tolist() == TWO[2:]


def test_class_of_one_cell_is_read_and_refused_for_splitting(make_adata: Make) -> None:
    adata = make_adata()
    adata.obs["cell_type"] = ["lone", *TWO[1:]]
    cells = read_cells(adata, label="cell_type", name="mine")
    with pytest.raises(
        DataError, match=r"^mine: .*'lone' \(1\).*adata\[~adata.obs\['cell_type'\].isin\(\['lone'\]\)\]"
    ):
        check_labels(cells)
    check_labels(cells, min_cells=1)
    with pytest.raises(DataError, match="no labels"):
        check_labels(read_cells(adata))
    with pytest.raises(DataError, match="Two classes are needed"):
        check_labels(cells.subset(np.flatnonzero(cells.labels == "T")))


def test_a_column_of_names_of_cells_is_refused_by_its_name(make_adata: Make) -> None:
    many = np.repeat([f"AAAC{at}-1" for at in range(10_001)], 3)
    adata = anndata.AnnData(sparse.csr_matrix(np.ones((len(many), 2), np.float32)), var=make_adata().var[:2])
    adata.obs["barcode"] = many
    with pytest.raises(DataError, match=r"^mine: column 'barcode' has 10,001 different values \('AAAC0-1'.*with label"):
        check_labels(read_cells(adata, label="barcode", name="mine"))
    adata.obs["barcode"] = [f"AAAC{at // 2}-1" for at in range(len(many))]
    with pytest.raises(DataError, match=r"^mine: .*'barcode'") as error:
        check_labels(read_cells(adata[:500], label="barcode", name="mine"))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "column",
    [
        np.arange(40) % 2,
        np.linspace(0, 1, 40),
        pd.Categorical(np.linspace(0, 1, 40)),
        pd.array([1, 2] * 20, "Int64"),
    ],
    ids=["int", "float", "float categorical", "nullable"],
)
def test_numbers_as_labels_are_asked_about(make_adata: Make, column: object) -> None:
    adata = make_adata()
    adata.obs["cluster"] = column
    with pytest.raises(DataError, match=r"holds numbers.*astype\(str\).*Columns of text: cell_type, donor"):
        read_cells(adata, label="cluster")


@pytest.mark.parametrize("column", [pd.Categorical(["0", "1"] * 20), pd.Categorical([0, 1] * 20), ["0", "1"] * 20])
def test_numbered_classes_are_fine_where_they_are_meant(h5ad: Path, make_adata: Make, column: object) -> None:
    adata = make_adata()
    adata.obs["louvain"] = column
    adata.write_h5ad(h5ad)
    cells = read_cells(h5ad, label="louvain", batch_key="n_genes")
    assert cells.labels.tolist() == ["0", "1"] * 20
    assert cells.batches[:3].tolist() == ["0", "1", "2"]
    check_labels(cells)


def test_subset_keeps_the_codes_of_the_classes(h5ad: Path) -> None:
    cells = read_cells(h5ad, label="cell_type", batch_key="donor")
    part = cells.subset(np.array([4, 2, 0]))
    assert part.obs_names.tolist() == ["cell4", "cell2", "cell0"]
    assert part.labels.categories.tolist() == cells.labels.categories.tolist() == ["B cell", "T cell"]
    assert part.batches.tolist() == ["d1", "d2", "d1"]
    assert part.manifest["cells"] == 3
