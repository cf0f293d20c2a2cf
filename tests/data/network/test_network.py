"""A user's gene network: what is read, what is left out and said, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx
import numpy as np
import pytest

from scgraph.data import GeneEdges, Vocabulary, read_network
from scgraph.data.network.edge_list import read_edges
from scgraph.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.data import Network

GENES = ("CD3D", "CD3E", "LYZ", "MS4A1", "NKG7", "")
VOCABULARY = Vocabulary(GENES, ("ENSG00000167286", "ENSG00000198851", "", "", "", "ENSG00000105374"))


def written(folder: Path, text: str | bytes, name: str = "edges.tsv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def pairs(network: Network) -> list[tuple[int, int, float]]:
    return [(int(a), int(b), float(w)) for a, b, w in zip(*network.edge_index, network.weight, strict=True)]


def test_names_are_matched_and_all_that_is_left_out_is_said(tmp_path: Path) -> None:
    text = (
        "source\ttarget\tweight\n"
        "ENSG00000167286.10\tCD3E\t0.5\n"  # CD3D by its id with a version
        "CD3E\tCD3D\t0.7\n"  # the same edge the other way round
        "CD3D\tLYZ\t0.2\n"
        "NA\tLYZ\t1\n"  # a name, not a missing value
        "LYZ\tLYZ\t1\n"
        "MS4A1\tLYZ\t0\n"
        "ENSG00000105374\tNKG7\t3\n"
    )
    network = read_network(written(tmp_path, text)).on(VOCABULARY)
    one_way = [(1, 2, 0.7), (1, 3, 0.2), (5, 6, 3.0)]
    assert sorted(pairs(network)) == sorted([*one_way, *((b, a, w) for a, b, w in one_way)])
    assert (np.diff(network.edge_index[1] * 10 + network.edge_index[0]) > 0).all()
    said = " | ".join(network.notes)
    for part in (
        "network edges.tsv: 6 edges on 5 genes, each in both directions",
        "7 of 8 genes of the network are in the vocabulary (88%)",
        "1 are unknown and left out with their edges ('NA')",
        "1 edges lead from a gene to itself",
        "1 edges of weight 0",
        "1 edges stand more than once in either direction: the largest weight is kept",
        "1 of 6 genes of the vocabulary have no edge and hear only themselves ('MS4A1')",
    ):
        assert part in said
    assert network.manifest["edges"] == 6
    assert str(tmp_path) not in said
    assert str(tmp_path) not in str(network.manifest)


def test_directed_edges_keep_their_direction(tmp_path: Path) -> None:
    path = written(tmp_path, "CD3D,CD3E\nCD3E,CD3D\nLYZ,CD3D\nLYZ,CD3D\n", "edges.csv")
    network = read_network(path, undirected=False).on(VOCABULARY)
    assert pairs(network) == [(2, 1, 1.0), (3, 1, 1.0), (1, 2, 1.0)]
    assert "1 edges stand more than once: " in " ".join(network.notes)
    both = read_network(path).on(VOCABULARY)
    assert both.edges == 4
    assert both.sha256 != network.sha256
    shuffled = written(tmp_path, "target,score,source\nCD3D,9,LYZ\nCD3E,9,CD3D\nCD3D,9,CD3E\n", "other.csv")
    assert read_network(shuffled, undirected=False).on(VOCABULARY).sha256 == network.sha256


def test_graphml_by_name_or_id(tmp_path: Path) -> None:
    graph = networkx.DiGraph()
    graph.add_edge("CD3D", "CD3E", weight=0.5)
    graph.add_edge("CD3D", "LYZ", weight=2)
    networkx.write_graphml(graph, tmp_path / "ids.graphml")
    network = read_network(tmp_path / "ids.graphml", undirected=False).on(VOCABULARY)
    assert pairs(network) == [(1, 2, 0.5), (1, 3, 2.0)]
    named = networkx.Graph()
    named.add_nodes_from([("n0", {"name": "CD3D"}), ("n1", {"name": "LYZ"})])
    named.add_edge("n0", "n1")
    networkx.write_graphml(named, tmp_path / "names.graphml")
    assert pairs(read_network(tmp_path / "names.graphml", undirected=False).on(VOCABULARY)) == [
        (3, 1, 1.0),
        (1, 3, 1.0),
    ]


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "edges.tsv", "is empty"),
        (" \n\n", "edges.tsv", "is empty"),
        (b"\x80\x04\x95\x00\x01", "edges.tsv", "is no text"),
        ("CD3D\tLYZ\0\n", "edges.tsv", "is no text"),
        ("CD3D LYZ\nCD3E LYZ\n", "edges.tsv", "has 1 column. The first line is 'CD3D LYZ'"),
        ("a\tb\tc\td\n", "edges.tsv", "has 4 columns and no header"),
        ("CD3D\tLYZ\nCD3D\tLYZ\t3\t4\n", "edges.tsv", "Expected 2 fields in line 2, saw 4"),
        ("source\ttarget\n", "edges.tsv", "holds no edge"),
        ("gene1\tgene2\tscore\nCD3D\tLYZ\t1\n", "edges.tsv", "line 1 is neither an edge (its weight is 'score')"),
        ("CD3D\tLYZ\t1\nCD3E\tLYZ\thigh\n", "edges.tsv", "line 2: the weight 'high' is no number"),
        ("CD3D\tLYZ\t1\nCD3E\tLYZ\n", "edges.tsv", "line 2: the weight '' is no number"),
        ("source\ttarget\tweight\nCD3D\tLYZ\t-1\n", "edges.tsv", "1 weights are negative or not finite ('line 2: -1')"),
        ("CD3D\tLYZ\tnan\nCD3D\tCD3E\tinf\n", "edges.tsv", "2 weights are negative or not finite"),
        ("CD3D\tLYZ\n\t\nCD3E\t\n", "edges.tsv", "line 2 lacks the name of a gene"),
        ("CD3D,LYZ\n1-Mar,LYZ\n", "edges.csv", "a spreadsheet made dates of 1 gene names ('1-Mar')"),
        ("CD3D\tLYZ\n", "edges.sif", "a .tsv, .csv or .graphml file, not .sif"),
        ("<graphml><node", "net.graphml", "is no GraphML that networkx reads"),
        ("<?xml version='1.0'?><a/>", "net.graphml", "is no GraphML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><graphml/>', "net.graphml", "declares a document type"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str | bytes, name: str, said: str) -> None:
    path = written(tmp_path, text, name)
    with pytest.raises(DataError) as error:
        read_network(path)
    assert str(path) in str(error.value)
    assert said in str(error.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.tsv").mkdir()
    for name in ("absent.tsv", "folder.tsv"):
        with pytest.raises(DataError, match="cannot be read"):
            read_network(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A\tB\nC\tD\n", "only 0 of the 4 genes of the network (0.0%) are among the 6 genes"),
        ("Cd3d\tCd3e\nLyz\tNkg7\n", "4 symbols would match if case were ignored"),
        (
            "ENSMUSG00000032094\tENSMUSG00000032093\n",
            "Ensembl ids of the network are mouse, those of the vocabulary human",
        ),
        ("CD3D\tA\nLYZ\tB\n", "no edge joins two genes of the vocabulary"),
    ],
)
def test_networks_of_other_genes_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError) as error:
        read_network(path).on(VOCABULARY)
    assert said in str(error.value)


def test_few_known_genes_of_a_large_network_are_enough(tmp_path: Path) -> None:
    """A genome-wide network on a small vocabulary, and the other way round, are no mistake; one gene in both is."""
    wide = "".join(f"G{at}\tG{at + 1}\n" for at in range(1000))
    assert read_network(written(tmp_path, wide + "CD3D\tLYZ\n")).on(VOCABULARY).edges == 2
    large = Vocabulary(("CD3D", *(f"X{at}" for at in range(99))), ("",) * 100)
    with pytest.raises(DataError, match=r"only 1 of the 1,003 genes of the network \(0\.1%\)"):
        read_network(written(tmp_path, wide + "CD3D\tLYZ\n")).on(large)


def test_a_network_is_laid_on_a_vocabulary_once(tmp_path: Path) -> None:
    edges = GeneEdges(read_edges(written(tmp_path, "\ufeffCD3D\tLYZ\n")))
    assert edges.on(VOCABULARY) is edges.on(Vocabulary(VOCABULARY.symbols, VOCABULARY.ensembl))
    assert edges.described.startswith("edges.tsv, 1 edges, undirected, ")
