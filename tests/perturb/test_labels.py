"""Labels of perturbations in the forms that files come in."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scgraph.data import Vocabulary, read_cells
from scgraph.data.network.edge_list import read_edges
from scgraph.data.network.network import GeneEdges
from scgraph.perturb.genes import GeneNames
from scgraph.perturb.labels import Label, read_label
from tests.perturb.forms import write_edges

NAMES = ["AHR", "KLF1", "HLA-A", "NKX2_1", "MT_X", "CCNE2", "TP73"]


@pytest.fixture(scope="module")
def genes() -> GeneNames:
    var = pd.DataFrame({"gene_ids": [f"ENSG{at:011d}" for at in range(1, 8)]}, index=NAMES)
    return GeneNames(read_cells(ad.AnnData(np.ones((3, 7), dtype=np.float32), var=var)))


def read(label: str, genes: GeneNames, control: str = "mine") -> tuple[int, ...]:
    return read_label(label, [control], genes).genes


@pytest.mark.parametrize(
    ("label", "columns"),
    [
        ("AHR", (0,)),
        ("AHR+ctrl", (0,)),
        ("ctrl+AHR", (0,)),
        ("AHR+non-targeting", (0,)),
        ("AHR+AHR", (0,)),
        (" AHR ", (0,)),
        ("AHR+mine", (0,)),
        ("ENSG00000000002.7", (1,)),
        ("NKX2_1", (3,)),
        # doubles
        ("KLF1+AHR", (0, 1)),
        ("AHR_KLF1", (0, 1)),
        ("AHR, KLF1", (0, 1)),
        ("AHR;KLF1", (0, 1)),
        ("AHR|KLF1", (0, 1)),
        ("AHR||KLF1", (0, 1)),
        ("NKX2_1_MT_X", (3, 4)),
        ("HLA-A+NKX2_1", (2, 3)),
        ("ENSG00000000001+KLF1", (0, 1)),
        ("AHR_ctrl", (0,)),
        ("AHR|NT_3", (0,)),
        # guides
        ("AHR_1", (0,)),
        ("AHR-2", (0,)),
        ("sgAHR-1", (0,)),
        ("sgAHR", (0,)),
        ("AHRg2", (0,)),
        ("AHR_sg3", (0,)),
        ("AHR guide 4", (0,)),
        ("AHR_P1P2", (0,)),
        ("AHR_P1", (0,)),
        ("AHR-A", (0,)),
        ("AHR KO", (0,)),
        ("AHR_KD", (0,)),
        ("AHR knockout", (0,)),
        ("CCNE2_+_95907328.23-P1P2", (5,)),
        ("CCNE2_-_95907017.23-P1P2", (5,)),
        ("HLA-A_1", (2,)),
        ("NKX2_1_1", (3,)),
        # guides of doubles
        ("AHR_1+KLF1_2", (0, 1)),
        ("AHR_1|KLF1_2", (0, 1)),
        ("sgAHR_1_KLF1_2", (0, 1)),
    ],
)
def test_common_forms_are_read(genes: GeneNames, label: str, columns: tuple[int, ...]) -> None:
    assert read(label, genes) == columns


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("TP53", Label((), ("TP53",), "unknown")),
        ("TP53_1", Label((), ("TP53_1",), "unknown")),
        ("ahr", Label((), ("ahr",), "unknown")),
        ("AHR_TP53", Label((), ("AHR_TP53",), "unknown")),
        ("AHR+TP53", Label((), ("TP53",), "unknown")),
        ("TP53_+_7687490.23-P1P2", Label((), ("TP53_+_7687490.23-P1P2",), "unknown")),
        ("stim", Label((), ("stim",), "unknown")),
        ("AHR+KLF1+HLA-A", Label((), (), "many")),
    ],
)
def test_other_labels_say_what_is_unknown(genes: GeneNames, label: str, said: Label) -> None:
    assert read_label(label, ["ctrl"], genes) == said


def test_a_gene_that_nobody_here_knows_is_no_guide_of_another_one() -> None:
    """NKX2-1 and HLA-B are genes of the species; GENE-1 and GENE-B would be guides of NKX2 and HLA."""
    adata = ad.AnnData(np.ones((2, 4), dtype=np.float32), var=pd.DataFrame(index=["NKX2", "HLA", "CD3D", "LYZ"]))
    genes = GeneNames(read_cells(adata))
    assert [read(label, genes) for label in ("NKX2-1", "HLA-B", "HLA-Z1")] == [(), (), ()]
    assert [read(label, genes) for label in ("NKX2-77", "CD3D-B")] == [(0,), (2,)]


def test_two_ways_to_divide_are_refused() -> None:
    var = pd.DataFrame(index=["A1", "B1_C1", "A1_B1", "C1"])
    genes = GeneNames(read_cells(ad.AnnData(np.ones((2, 4), dtype=np.float32), var=var)))
    assert read_label("A1_B1_C1", [], genes).problem == "ambiguous"
    assert read("A1+B1_C1", genes) == (0, 1)


def test_genes_of_the_model_and_of_a_network_can_be_named_too(tmp_path: object) -> None:
    adata = ad.AnnData(np.ones((2, 3), dtype=np.float32), var=pd.DataFrame(index=["CD3D", "LYZ", "NKG7"]))
    cells = read_cells(adata)
    vocabulary = Vocabulary(("LYZ", "SPI1", "MARCHF1"), ("", "ENSG00000066336", ""))
    network = GeneEdges(read_edges(write_edges(tmp_path, [("SPI1", "LYZ"), ("GATA3", "CD3D"), ("CD3D", "NKG7")])))
    genes = GeneNames(cells, vocabulary.match(cells).ids, vocabulary, network)
    names = ["CD3D", "LYZ", "NKG7", "SPI1", "MARCHF1", "GATA3"]
    assert [genes.name(at) for at in range(len(genes))] == names
    assert genes.ids.tolist() == [0, 1, 0, 2, 3, 0]
    assert [genes.find(name) for name in ("ENSG00000066336.4", "MARCH1", "GATA3", "gata3")] == [3, 4, 5, None]
    assert [genes.is_known(at) for at in range(6)] == [True] * 6
    assert genes.network is not None
    joined = {tuple(genes.name(genes.nodes[at - 1]) for at in edge) for edge in genes.network.edge_index.T}
    assert ("GATA3", "CD3D") in joined
    assert len(joined) == 6
    without = GeneNames(cells, vocabulary.match(cells).ids, vocabulary)
    assert [without.is_known(at) for at in range(5)] == [False, True, False, True, True]
