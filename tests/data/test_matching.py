"""Genes under other names: spelling, older symbols, the table; what is ambiguous; what a panel is allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pytest
from scipy import sparse

from scgraph.data import Vocabulary, read_cells
from scgraph.data.files.stream import CellStream
from scgraph.data.identifiers import gene_table, species_of
from scgraph.data.matching import plain_name
from scgraph.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Make = Callable[..., anndata.AnnData]

CD3D, LYZ, H3, MARCHF1 = "ENSG00000167286", "ENSG00000090382", "ENSG00000163041", "ENSG00000145416"


@dataclass(frozen=True)
class _Genes:
    symbols: NDArray[np.str_]
    ensembl: NDArray[np.str_]


def _genes(*names: tuple[str, str]) -> _Genes:
    return _Genes(*(np.asarray(column, dtype=np.str_) for column in zip(*names, strict=True)))


SYMBOLS = Vocabulary(("CD3D", "LYZ", "H3F3A", "MARCHF1", "C1orf112", "NKG7"), ("",) * 6)
IDS = Vocabulary(("",) * 4, (CD3D, LYZ, H3, MARCHF1))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("CD3D", ("CD3D", "", "")),
        ("CD3D ", ("CD3D", "", "")),
        ("GRCh38_CD3D", ("CD3D", "", "human")),
        ("hg19_CD3D", ("CD3D", "", "human")),
        ("GRCh38______CD3D", ("CD3D", "", "human")),
        ("GRCh38-2020-A_CD3D", ("CD3D", "", "human")),
        ("mm10___Cd3d", ("Cd3d", "", "mouse")),
        (f"GRCh38_{CD3D}", ("", CD3D, "human")),
        (f"{CD3D}.12 ", ("", CD3D, "")),
        (f"{CD3D}_CD3D", ("CD3D", CD3D, "")),
        (f"{CD3D}.12_CD3D", ("CD3D", CD3D, "")),
        (f"CD3D_{CD3D}", ("CD3D", CD3D, "")),
        ("ENSG00000182378.14_PAR_Y", ("", "ENSG00000182378_PAR_Y", "")),
        ("RP11-34P13.7", ("RP11-34P13.7", "", "")),
        ("Y_RNA", ("Y_RNA", "", "")),
    ],
)
def test_a_name_is_taken_apart(name: str, plain: tuple[str, str, str]) -> None:
    assert plain_name(name, "") == plain


@pytest.mark.parametrize(
    ("vocabulary", "names", "ids"),
    [
        (SYMBOLS, [("GRCh38_CD3D", ""), ("LYZ ", ""), ("", H3)], [1, 2, 3]),
        (SYMBOLS, [("CD3D", ""), ("H3-3A", ""), ("MARCH1", "")], [1, 3, 4]),
        (SYMBOLS, [("CD3D", ""), ("LYZ", ""), ("C1ORF112", "")], [1, 2, 5]),
        (IDS, [("CD3D", ""), ("H3F3A", ""), ("MARCH1", ""), (f"{LYZ}_LYZ", "")], [1, 3, 4, 2]),
        (Vocabulary(("GRCh38_CD3D", "LYZ"), ("", "")), [("CD3D", ""), ("LYZ", "")], [1, 2]),
        (Vocabulary(("Cd3d", "Lyz2"), ("", "")), [("", "ENSMUSG00000032094"), ("Lyz2", "")], [1, 2]),
    ],
)
def test_other_names_of_a_gene_find_it(vocabulary: Vocabulary, names: list[tuple[str, str]], ids: list[int]) -> None:
    assert vocabulary.match(_genes(*names)).ids.tolist() == ids


@pytest.mark.parametrize(
    ("names", "ids", "ambiguous"),
    [
        # The exact name wins, whichever column stands first.
        ([("GRCh38_CD3D", ""), ("CD3D", "")], [0, 1], 1),
        ([("H3-3A", ""), ("H3F3A", ""), ("LYZ", "")], [0, 3, 2], 1),
        # Two columns that would go to one gene.
        ([("GRCh38_CD3D", ""), ("hg19_CD3D", ""), ("LYZ", "")], [0, 0, 2], 2),
        ([("MARCH1", ""), ("", MARCHF1), ("LYZ", "")], [0, 0, 2], 2),
    ],
)
def test_what_is_claimed_twice_stays_unmatched(names: list[tuple[str, str]], ids: list[int], ambiguous: int) -> None:
    match = SYMBOLS.match(_genes(*names))
    assert match.ids.tolist() == ids
    assert match.ambiguous == ambiguous
    assert f"{ambiguous} genes of the file are left out as ambiguous" in str(match)


def test_two_genes_that_had_a_symbol_leave_it_unmatched() -> None:
    table = gene_table("human")
    shared, genes = next((symbol, genes) for symbol, genes in table.previous.items() if len(genes) > 1)
    names = [(shared, ""), ("CD3D", ""), ("LYZ", "")]
    match = Vocabulary(("",) * 3, (CD3D, LYZ, genes[0])).match(_genes(*names))
    assert match.ids.tolist() == [0, 1, 2]
    assert (match.derived, match.ambiguous) == (2, 1)
    # None of them is a gene of the model: nothing was lost.
    assert IDS.match(_genes(*names)).ambiguous == 0


def test_genes_of_another_species_do_not_match() -> None:
    mouse = [("Cd3d", ""), ("Lyz1", ""), ("Nkg7", ""), ("mm10___CD3D", "")]
    assert not SYMBOLS.match(_genes(*mouse)).matched
    assert not SYMBOLS.match(_genes(("cd3d", ""), ("lyz", ""), ("nkg7", ""))).matched
    # Both species in one file: those of the model are found.
    both = [("GRCh38_CD3D", ""), ("mm10___Cd3d", ""), ("GRCh38_H3-3A", ""), ("mm10___NKG7", "")]
    assert SYMBOLS.match(_genes(*both)).ids.tolist() == [1, 0, 3, 0]


def test_different_ids_stay_different_genes() -> None:
    vocabulary = Vocabulary(("CD3D", "LYZ"), (CD3D, LYZ))
    assert vocabulary.match(_genes(("GRCh38_CD3D", H3), ("LYZ", LYZ))).ids.tolist() == [0, 2]


def test_the_tables_are_small_and_whole() -> None:
    folder = files("scgraph.data.identifiers")
    assert sum(len((folder / f"{name}.tsv.gz").read_bytes()) for name in ("human", "mouse")) < 1_000_000
    assert len(gene_table("human").symbols) > 40_000
    assert len(gene_table("mouse").symbols) > 50_000
    assert "GENCODE release 44" in (folder / "README.md").read_text()
    # A symbol that a gene has now is no other gene's former one.
    assert not set(gene_table("human").symbols) & set(gene_table("human").previous)
    assert species_of(("Cd3d", "x"), ("", "")) == "mouse"


def _panel(make_adata: Make, genes: int, known: int) -> anndata.AnnData:
    """Cells of `genes` genes, of which the first `known` are GENE1, GENE2 ... ."""
    adata = make_adata(genes=genes)
    del adata.var["feature_id"]
    adata.X = sparse.csr_matrix(np.ones(adata.shape))
    adata.var_names = [f"GENE{at}" if at <= known else f"NONE{at}" for at in range(1, genes + 1)]
    return adata


WHOLE = Vocabulary(tuple(f"GENE{at}" for at in range(1, 1001)), ("",) * 1000)


def test_a_panel_whose_genes_are_known_is_not_refused(make_adata: Make) -> None:
    adata = _panel(make_adata, genes=25, known=20)
    match = WHOLE.require(read_cells(adata), min_matched=0.3)
    assert str(match).startswith("20 of 1,000 genes matched by symbol (20 of 25 of the file, 80.0% of its values)")
    assert "less than a third of the model's genes" in str(match)
    assert str(WHOLE.require(CellStream(adata), min_matched=0.3)) == str(match)
    with pytest.raises(DataError, match=r"only 20 of 1,000 .* at least 90% are needed.*A lower min_matched lets"):
        WHOLE.require(read_cells(adata), min_matched=0.9)


def test_a_panel_whose_known_genes_hold_few_counts_is_refused(make_adata: Make) -> None:
    adata = _panel(make_adata, genes=25, known=20)
    values = adata.X.toarray()
    values[:, 20:] = 100
    adata.X = sparse.csr_matrix(values)
    with pytest.raises(DataError, match=r"20 of 25 of the file, 3.8% of its values"):
        WHOLE.require(read_cells(adata), min_matched=0.3)


def test_a_file_of_many_more_genes_than_the_model_is_taken(make_adata: Make) -> None:
    few = Vocabulary(tuple(f"GENE{at}" for at in range(1, 5)), ("",) * 4)
    assert few.require(read_cells(_panel(make_adata, genes=30, known=3)), min_matched=0.5).matched == 3
