"""The union of genes, its form on disk, and matching."""

from __future__ import annotations

from collections.abc import Callable

import anndata
import numpy as np
import pytest

from scgraph.data import Cells, Vocabulary, read_cells
from scgraph.errors import DataError, ModelFileError

Make = Callable[..., anndata.AnnData]


def _cells(make_adata: Make, genes: dict[str, str]) -> Cells:
    """Read cells whose genes are `symbol: Ensembl id`."""
    adata = make_adata(genes=len(genes))
    adata.var["feature_id"] = list(genes.values())
    adata.var_names = list(genes)
    return read_cells(adata)


A, B, C = (f"ENSG{at:011d}" for at in (101, 102, 103))


def test_union_aligns_by_id_then_by_symbol_in_any_order(make_adata: Make) -> None:
    first = _cells(make_adata, {"CD3D": A, "LYZ": B, "LONE": ""})
    second = _cells(make_adata, {"CD3D-OLD": A, "LYZ": "", "NKG7": C})
    vocabulary = Vocabulary.from_cells([first, second])
    assert vocabulary.symbols == ("CD3D", "LONE", "LYZ", "NKG7")
    assert vocabulary.ensembl == (A, "", B, C)
    assert Vocabulary.from_cells([second, first]) == vocabulary
    assert vocabulary.match(first).ids.tolist() == [1, 3, 2]
    assert vocabulary.match(second).ids.tolist() == [1, 3, 4]
    assert str(vocabulary.match(first)) == "3 of 4 genes matched by Ensembl id or symbol (3 of 3 of the file)"


def test_symbol_of_another_id_is_another_gene(make_adata: Make) -> None:
    vocabulary = Vocabulary(("CD3D", "LYZ"), (A, ""))
    match = vocabulary.match(_cells(make_adata, {"CD3D": C, "LYZ": B}))
    assert match.ids.tolist() == [0, 2]
    assert (match.matched, match.total, match.by) == (1, 2, "symbol")
    assert match.examples == (("CD3D",), ("CD3D",))


def test_no_two_genes_of_a_file_share_an_id(make_adata: Make) -> None:
    # The second has the id of the first gene, the first its symbol.
    match = Vocabulary(("CD3D", "LYZ"), (A, B)).match(_cells(make_adata, {"CD3D": "", "OTHER": A, "LYZ": B}))
    assert match.ids.tolist() == [0, 1, 2]


def test_min_cells_counts_over_all_files(make_adata: Make) -> None:
    adata = make_adata()
    counts = adata.X.toarray()
    counts[:, 4] = 0
    counts[:3, 4] = 1
    counts[:, 5] = 0
    adata.X = counts
    cells = read_cells(adata)
    assert len(Vocabulary.from_cells([cells])) == 29
    assert "GENE5" in Vocabulary.from_cells([cells, cells], min_cells=6).symbols
    assert "GENE5" not in Vocabulary.from_cells([cells, cells], min_cells=7).symbols
    with pytest.raises(DataError, match="no gene is expressed in 41 cells"):
        Vocabulary.from_cells([cells], min_cells=41)


def test_tsv_round_trip_and_hash() -> None:
    vocabulary = Vocabulary(("CD3D", "", "γ gene\u2028"), (A, B, ""))
    again = Vocabulary.from_tsv(vocabulary.to_tsv())
    assert again == vocabulary
    assert again.sha256 == vocabulary.sha256
    assert Vocabulary(("", "CD3D"), (B, A)).sha256 != Vocabulary(("CD3D", ""), (A, B)).sha256


TSV = Vocabulary(("CD3D", "LYZ"), (A, B)).to_tsv()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        (TSV[:-1], "last line is cut"),
        (TSV.replace("2\t", "3\t"), "line 3 is damaged"),
        (TSV.replace("LYZ\t", "LYZ"), "line 3 is damaged"),
        (TSV.replace(B, A), "stand more than once"),
        (TSV[: TSV.index("1\t")], "no genes"),
        (TSV.replace(f"LYZ\t{B}", "\t"), "neither symbol nor Ensembl id"),
    ],
)
def test_damaged_tsv_is_refused(text: str, message: str) -> None:
    with pytest.raises(ModelFileError, match=f"^vocabulary: .*{message}"):
        Vocabulary.from_tsv(text)


@pytest.mark.parametrize(("symbols", "ensembl"), [(("A\tB",), ("",)), (("A",), ()), (("A", "A"), ("", ""))])
def test_impossible_vocabulary_is_refused(symbols: tuple[str, ...], ensembl: tuple[str, ...]) -> None:
    with pytest.raises(DataError):
        Vocabulary(symbols, ensembl)


def test_subset_keeps_the_order_given() -> None:
    assert Vocabulary(("X", "Y", "Z"), ("", "", A)).subset(np.array([3, 1])) == Vocabulary(("Z", "X"), (A, ""))
