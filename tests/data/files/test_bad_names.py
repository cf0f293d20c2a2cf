"""Names of genes and cells: cases 30 to 34 of the bad inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anndata
import h5py
import numpy as np
import pytest

from scgraph.data import CellStore, Vocabulary, read_cells
from scgraph.data.files.names import ensembl_id, is_date
from scgraph.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., anndata.AnnData]


def _rename(path: Path, key: str, names: dict[int, str]) -> None:
    with h5py.File(path, "r+") as file:
        for at, name in names.items():
            file[key][at] = name


def test_duplicate_gene_names_are_refused(h5ad: Path) -> None:
    _rename(h5ad, "var/_index", {4: "GENE1", 9: "GENE3"})
    with pytest.raises(DataError, match=f"^{h5ad}: 2 gene names .* more than once .'GENE1', 'GENE3'"):
        read_cells(h5ad)


def test_duplicate_cell_names_are_refused(h5ad: Path) -> None:
    _rename(h5ad, "obs/_index", {7: "cell0"})
    with pytest.raises(DataError, match=f"^{h5ad}: 1 cell names .* more than once .'cell0'.*obs_names_make_unique"):
        read_cells(h5ad)


def test_ids_that_differ_in_version_alone_are_refused(h5ad: Path) -> None:
    _rename(h5ad, "var/_index", {0: "ENSG00000167286.1", 1: "ENSG00000167286.2"})
    with pytest.raises(DataError, match=r"once the version is off.*ENSG00000167286"):
        read_cells(h5ad)


def test_invented_gene_names_are_refused(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        del file["var/feature_id"]
        file["var"].attrs["column-order"] = np.array([], dtype=float)
    _rename(h5ad, "var/_index", {at: str(at) for at in range(30)})
    with pytest.raises(DataError, match="the genes have no names"):
        read_cells(h5ad)


def test_numbers_as_names_do_where_a_column_has_the_ids(h5ad: Path) -> None:
    _rename(h5ad, "var/_index", {at: str(at) for at in range(30)})
    cells = read_cells(h5ad)
    assert cells.ensembl[0] == "ENSG00000000001"
    assert not cells.symbols.any()


@pytest.mark.parametrize("name", ["1-Mar", "2-Sep", "Dec-01", "2023-03-01"])
def test_dates_of_a_spreadsheet_are_refused(make_adata: Make, name: str) -> None:
    adata = make_adata()
    del adata.var["feature_id"]
    adata.var_names = [name, *adata.var_names[1:]]
    assert is_date(name)
    with pytest.raises(DataError, match=f"made dates of 1 gene names .'{name}'"):
        read_cells(adata)


def test_date_beside_an_ensembl_id_is_harmless(make_adata: Make) -> None:
    adata = make_adata()
    adata.var_names = ["1-Mar", *adata.var_names[1:]]
    assert read_cells(adata).ensembl[0] == "ENSG00000000001"


def test_mixed_names_with_versions_are_told_apart(make_adata: Make) -> None:
    adata = make_adata()
    del adata.var["feature_id"]
    names = list(adata.var_names)
    names[:3] = ["ENSG00000000001.12", "ENSG00000000002", "ENSG00000182378.14_PAR_Y"]
    adata.var_names = names
    cells = read_cells(adata)
    assert cells.ensembl[:4].tolist() == ["ENSG00000000001", "ENSG00000000002", "ENSG00000182378_PAR_Y", ""]
    assert cells.symbols[:4].tolist() == ["", "", "", "GENE4"]
    match = Vocabulary.from_cells([read_cells(make_adata())]).match(cells)
    assert (match.matched, match.by) == (29, "mixed")
    assert ensembl_id("ENSMUSG00000032094.8") == "ENSMUSG00000032094"
    assert ensembl_id("ENSG1") == ensembl_id("CD3D") == ""


def test_symbols_of_a_column_beat_the_index_unless_they_stand_twice(make_adata: Make) -> None:
    adata = make_adata()
    adata.var["feature_name"] = ["CD3D", "CD3D", "ENSG00000000003", *adata.var_names[3:]]
    adata.var_names = ["CD3D-a", "CD3D-b", "x", *adata.var_names[3:]]
    assert read_cells(adata).symbols[:4].tolist() == ["CD3D", "CD3D-b", "x", "GENE4"]


def test_ids_that_a_column_repeats_are_used_once(make_adata: Make) -> None:
    adata = make_adata()
    adata.var["feature_id"] = ["ENSG00000000001"] * 2 + adata.var["feature_id"].tolist()[2:]
    cells = read_cells(adata)
    assert cells.ensembl[:2].tolist() == ["ENSG00000000001", ""]
    assert any("1 Ensembl ids of the var column stand twice" in note for note in cells.notes)


def test_unicode_slashes_and_blanks_in_labels_are_kept(h5ad: Path, make_adata: Make) -> None:
    adata = make_adata()
    names = ["CD4+/CD25 T Reg", "γδ T-Zelle", "naïve ", "naïve"]
    adata.obs["cell_type"] = names * 10
    adata.write_h5ad(h5ad)
    cells = read_cells(h5ad, label="cell_type")
    assert cells.labels.tolist() == names * 10
    assert "classes differ from others in blanks alone: 'naïve '" in cells.notes


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (
            lambda at: f"OTHER{at}",
            r"0 of 30 genes matched by symbol \(0 of 30 of the file, 0.0%.*'OTHER1'.*'GENE1'.*A lower min_matched",
        ),
        (lambda at: f"GENE{at}" if at == 1 else f"OTHER{at}", r"\(1 of 30 of the file, .*, at least 30% are needed"),
        (lambda at: f"{7000 + at}", "numbers, as of Entrez"),
        (lambda at: f"Gene{at}", "30 symbols would match if case were ignored.*mouse Cd3d"),
    ],
)
def test_too_few_genes_are_refused(make_adata: Make, rename: Callable[[int], str], message: str) -> None:
    vocabulary = Vocabulary.from_cells([read_cells(make_adata())])
    other = make_adata()
    del other.var["feature_id"]
    other.var_names = [rename(at) for at in range(1, 31)]
    with pytest.raises(DataError, match=f"^mine: only .*{message}"):
        CellStore.from_cells(read_cells(other, name="mine"), vocabulary)


def test_ids_of_another_species_are_named(make_adata: Make) -> None:
    vocabulary = Vocabulary.from_cells([read_cells(make_adata())])
    other = make_adata()
    other.var_names = [f"ENSMUSG{at:011d}" for at in range(1, 31)]
    with pytest.raises(DataError, match="of the file are mouse, those of the vocabulary human"):
        CellStore.from_cells(read_cells(other), vocabulary)
