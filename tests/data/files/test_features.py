"""Which entries of var are genes, however a file spells it, and where their names stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pytest

from scgraph.data import read_cells
from scgraph.data.files.features import read_genes
from scgraph.data.files.stream import CellStream
from scgraph.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., anndata.AnnData]
IDS = [f"ENSG{at:011d}" for at in range(1, 31)]


def _kinds(column: list[Any], name: str = "feature_types") -> pd.DataFrame:
    return pd.DataFrame({name: column}, index=[f"NAME{at}" for at in range(len(column))])


@pytest.mark.parametrize(
    "column", ["feature_types", "feature_type", "Type", "modality", "Feature Type", "feature_types-0"]
)
@pytest.mark.parametrize(
    ("gene", "other"),
    [
        ("Gene Expression", "Antibody Capture"),
        ("GEX", "ADT"),
        ("gene", "protein"),
        ("rna", "prot"),
        ("RNA", "ATAC"),
        ("mRNA", "AbSeq"),
        ("Gene Expression", "Peaks"),
        ("gene_expression", "chromatin accessibility"),
        ("Gene Expression", "CRISPR Guide Capture"),
        ("scRNA", "sgRNA"),
        ("Gene Expression", "Multiplexing Capture"),
        ("Gene Expression", "Negative Control Probe"),
        ("genes", "HTO"),
        ("protein_coding", "spike-in"),
        ("lncRNA", "Custom"),
    ],
)
def test_what_is_no_gene_is_left_out(h5ad: Path, make_adata: Make, column: str, gene: str, other: str) -> None:
    adata = make_adata()
    adata.var[column] = [other] * 3 + [gene] * 24 + [other] * 3
    adata.write_h5ad(h5ad)
    for cells in (read_cells(adata), read_cells(h5ad), CellStream(h5ad)):
        assert cells.ensembl.tolist() == IDS[3:27]
        assert any(f"6 features that are no genes ('{other}') were left out" in note for note in cells.notes)
    np.testing.assert_array_equal(read_cells(adata).matrix.toarray(), adata.X.toarray()[:, 3:27])


@pytest.mark.parametrize(
    "kinds",
    [
        ["protein_coding", "lncRNA", "IG_V_gene", "TR_C_gene", "transcribed_unprocessed_pseudogene", "Mt_tRNA", "TEC"],
        ["lincRNA", "antisense", "processed_transcript", "sense_intronic", "misc_RNA", "3prime_overlapping_ncRNA"],
        ["Gene Expression"] * 4,
    ],
)
def test_genes_of_every_biotype_stay(kinds: list[str]) -> None:
    genes = read_genes(_kinds(kinds, "feature_type"), "mine")
    assert genes.columns is None
    assert genes.notes == []


def test_one_column_that_calls_an_entry_no_gene_is_enough() -> None:
    var = _kinds(["Gene Expression"] * 3)
    var["modality"] = ["rna", "prot", None]
    assert read_genes(var, "mine").columns.tolist() == [0, 2]


def test_unknown_kinds_are_refused_by_name(h5ad: Path, make_adata: Make) -> None:
    adata = make_adata()
    adata.var["Type"] = ["Gene Expression"] * 29 + ["Wavelength"]
    adata.write_h5ad(h5ad)
    for source in (read_cells, CellStream):
        with pytest.raises(DataError, match=rf"^{h5ad}: var\['Type'\] holds 'Wavelength', which is not known"):
            source(h5ad)


@pytest.mark.parametrize("index", [IDS, [f"GENE{at}" for at in range(30)]], ids=["ids", "symbols"])
def test_genes_that_the_column_leaves_blank_are_kept(make_adata: Make, index: list[str]) -> None:
    one, other = make_adata(), make_adata(seed=1)
    one.var_names = other.var_names = index
    one, other = one[:, :20].copy(), other[:, 10:].copy()
    one.obs_names = [f"a{name}" for name in one.obs_names]
    one.var["feature_types"] = ["Antibody Capture"] * 2 + ["Gene Expression"] * 18
    one.var_names = ["CD3_TotalSeqB", "CD4", *one.var_names[2:]]
    both = anndata.concat([one, other], join="outer", merge="first", fill_value=0)
    assert both.var["feature_types"].isna().sum() == 10
    cells = read_cells(both)
    assert len(cells.symbols) == 28
    assert any("10 genes, of which var['feature_types'] says nothing, are kept" in note for note in cells.notes)


def test_what_has_no_id_among_blank_entries_that_have_one_is_no_gene() -> None:
    var = _kinds(["Gene Expression", "Gene Expression", None, None, "nan"])
    var["gene_ids"] = [*IDS[:3], "CD3", None]
    genes = read_genes(var, "mine")
    assert genes.columns.tolist() == [0, 1, 2]
    assert any("2 features that are no genes (such as 'NAME3')" in note for note in genes.notes)


@pytest.mark.parametrize(
    "name",
    ["chr1:100-200", "chrX-100-2000", "chr1_100_200", "1:100-200", "GL000194.1:1-20", "adt_CD3", "CD3-TotalSeqA"],
)
def test_names_of_peaks_and_antibodies_say_what_they_are(name: str) -> None:
    genes = read_genes(pd.DataFrame(index=["CD3D", name, "HLA-A", "RP11-34P13.7", "chr1"]), "mine")
    assert genes.symbols.tolist() == ["CD3D", "HLA-A", "RP11-34P13.7", "chr1"]
    assert any(repr(name) in note for note in genes.notes)


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (["Antibody Capture"] * 30, None),
        (["Peaks"] * 15 + ["ADT"] * 15, None),
        (None, [f"chr1:{at}00-{at}50" for at in range(30)]),
        (None, [f"ADT_{at}" for at in range(30)]),
    ],
    ids=["antibodies", "both", "peaks by name", "antibodies by name"],
)
def test_files_without_a_gene_are_refused(
    h5ad: Path, make_adata: Make, kinds: list[str] | None, names: list[str] | None
) -> None:
    adata = make_adata()
    del adata.var["feature_id"]
    if kinds:
        adata.var["feature_types"] = kinds
    adata.var_names = names or adata.var_names
    adata.write_h5ad(h5ad)
    for source in (read_cells, CellStream):
        with pytest.raises(DataError, match=f"^{h5ad}: none of its 30 features is a gene.*counts of the genes"):
            source(h5ad)


def test_an_antibody_may_be_called_as_a_gene_is(make_adata: Make) -> None:
    adata = make_adata()
    adata.var_names = ["GENE1", *adata.var_names[:-1]]
    adata.var["feature_types"] = ["Antibody Capture"] + ["Gene Expression"] * 29
    assert read_cells(adata).symbols[0] == "GENE1"


@pytest.mark.parametrize("column", ["feature_name", "gene_ids", "Gene ID", "ensembl", "gene_ids-1", "gene_symbols"])
@pytest.mark.parametrize("share", [1, 2], ids=["all", "half"])
def test_ids_in_a_column_and_symbols_as_index(make_adata: Make, column: str, share: int) -> None:
    adata = make_adata()
    del adata.var["feature_id"]
    adata.var[column] = [one if at % share == 0 else np.nan for at, one in enumerate(IDS)]
    cells = read_cells(adata)
    assert cells.symbols.tolist() == [f"GENE{at}" for at in range(1, 31)]
    assert cells.ensembl.tolist() == [one if at % share == 0 else "" for at, one in enumerate(IDS)]


@pytest.mark.parametrize("symbols", ["feature_name", "gene_ids", "Symbol"])
@pytest.mark.parametrize("numbered", [False, True], ids=["ids as index", "numbers as index"])
def test_symbols_in_a_column(make_adata: Make, symbols: str, numbered: bool) -> None:
    adata = make_adata()
    adata.var = pd.DataFrame(
        {symbols: [f"GENE{at}" for at in range(1, 31)]}, index=[str(at) for at in range(30)] if numbered else IDS
    )
    cells = read_cells(adata)
    assert cells.symbols.tolist() == [f"GENE{at}" for at in range(1, 31)]
    assert cells.ensembl.tolist() == ([""] * 30 if numbered else IDS)


def test_a_column_that_is_blank_does_not_hide_another(make_adata: Make) -> None:
    adata = make_adata()
    adata.var = pd.DataFrame(
        {"feature_id": [None] * 29 + ["7157"], "gene_ids": IDS, "feature_name": ["nan"] * 30, "symbol": ["TP53"] * 30},
        index=[str(at) for at in range(30)],
    )
    cells = read_cells(adata)
    assert cells.ensembl.tolist() == IDS
    assert cells.symbols.tolist() == ["TP53", *[""] * 29]


def test_genes_without_any_name_are_counted_aloud(make_adata: Make) -> None:
    adata = make_adata()
    adata.var = pd.DataFrame({"gene_ids": IDS[:20] + [None] * 10}, index=[str(at) for at in range(30)])
    assert any(note.startswith("10 of 30 genes have neither symbol nor Ensembl id") for note in read_cells(adata).notes)
