"""Tables that describe genes by a network or by chance, and a run with a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import scgraph
from scgraph.data import Vocabulary, read_cells, read_network
from scgraph.perturb.descriptions import network_embedding, random_vectors, shuffled
from scgraph.perturb.genes import GeneNames
from tests.perturb.forms import MEASURED, PATHWAY, labelled_screen, write_edges

if TYPE_CHECKING:
    from pathlib import Path

ONE = [f"A{at}" for at in range(10)]
OTHER = [f"B{at}" for at in range(10)]


@pytest.fixture(scope="module")
def genes(tmp_path_factory: pytest.TempPathFactory) -> GeneNames:
    """Two groups of genes with edges within each, one edge between, and measured genes apart."""
    pairs = [(one, other) for group in (ONE, OTHER) for one in group for other in group if one < other]
    file = write_edges(tmp_path_factory.mktemp("network"), [*pairs, ("A0", "B0")])
    cells = read_cells(labelled_screen(["control", "A0"]))
    vocabulary = Vocabulary((*MEASURED, *ONE), ("",) * (len(MEASURED) + len(ONE)))
    return GeneNames(cells, vocabulary.match(cells).ids, vocabulary, read_network(file))


def test_genes_of_a_group_are_near_each_other_in_the_embedding(genes: GeneNames) -> None:
    found = network_embedding(genes, 2)
    assert found.table.shape == (len(genes), 2)
    assert [genes.name(at) for at in np.flatnonzero(found.known)] == [*ONE, *OTHER]
    assert not found.table[~found.known].any()
    one, other = (found.table[[genes.find(name) for name in group]] for group in (ONE, OTHER))
    apart = np.linalg.norm(one.mean(axis=0) - other.mean(axis=0))
    assert apart > 5 * max(one.std(axis=0).max(), other.std(axis=0).max())


def test_a_shuffled_network_holds_the_same_rows_for_other_genes(genes: GeneNames) -> None:
    found = network_embedding(genes, 3)
    dealt = shuffled(found, seed=0)
    assert np.array_equal(dealt.known, found.known)
    assert np.allclose(np.sort(dealt.table, axis=0), np.sort(found.table, axis=0))
    assert (dealt.table != found.table).any(axis=1).sum() > 10
    assert np.array_equal(shuffled(found, seed=0).table, dealt.table)
    lengths = np.square(random_vectors(genes, seed=0).table).sum(axis=1)
    assert lengths.mean() == pytest.approx(1, rel=0.2)


def test_a_network_adds_rows_and_genes(graph_model_of_pathway: Path, tmp_path: Path) -> None:
    adata = labelled_screen(["NT_1", "NT_2", *PATHWAY, "CBL"], each=12)
    edges = [("CBL", "JAK2"), ("JAK2", "STAT1"), ("STAT1", "IRF1"), ("IFNGR1", "JAK2"), ("SPI1", "MYC"), ("MYC", "LYZ")]
    said: list[str] = []
    config = {"seeds": 1, "network": {"epochs": 2, "width": 8}, "components": 3, "control_cells": 20}
    result = scgraph.perturb(
        adata, graph_model_of_pathway, network=write_edges(tmp_path, edges), config=config, say=said.append
    )
    rows = set(result.summary["model"])
    assert {"ridge+network", "kernel+network", "nearest+network", "ridge+network shuffled"} <= rows
    assert set(result.results["perturbation"]) == {*PATHWAY, "CBL"}
    assert any("the model does not know CBL" in note for note in said)
    assert any("every perturbation is tested once a seed" in note for note in said)
    finite = result.results[["pearson", "mse", "mae", "discrimination", "overlap"]]
    assert np.isfinite(finite.to_numpy()).all()
