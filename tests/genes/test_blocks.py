"""Cells of a file are read a block at a time by all that `scgraph graph` does with them, to the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import scgraph
from scgraph.data import Cells, read_cells
from scgraph.data.files.stream import CellStream, cells_or_stream
from scgraph.errors import DataError
from scgraph.genes import edge_agreement, edge_recovery, enrichment_test, read_known
from scgraph.genes.enrichment import networks, values
from scgraph.genes.enrichment.networks import correlation
from scgraph.genes.enrichment.values import CellValues, GeneValues
from tests.genes.helpers import FAMILY, NAMES, cells, planted, run, small_config

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.models import SavedModel


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cells in a file that is read a few at a time, of which nothing is held; some are empty to the model."""
    adata = cells()
    adata.X[[0, 50, 119]] = 0
    adata.X = sparse.csr_matrix(adata.X)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 300)
    monkeypatch.setattr(values, "_HELD", 0)
    monkeypatch.setattr(networks, "_CELLS_AT_ONCE", 16)
    return tmp_path / "cells.h5ad"


@pytest.mark.parametrize("held", [0, 1000, 2**20])
def test_a_check_is_the_same_in_blocks(
    gnn: SavedModel, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(values, "_HELD", held)
    whole, stream = read_cells(path), CellStream(path)
    assert len(list(stream.blocks())) > 10
    found = [enrichment_test(gnn, one, top_k=5, permutations=19, bins=3) for one in (whole, stream)]
    assert found[0].table.equals(found[1].table)
    assert (found[0].genes, found[0].cells, found[0].notes) == (found[1].genes, found[1].cells, found[1].notes)
    lines = [f"{source}\t{target}" for source in FAMILY for target in NAMES[3:30] if source != target]
    (tmp_path / "known.tsv").write_text("\n".join(["source\ttarget", *lines]) + "\n")
    known = read_known([tmp_path / "known.tsv"], gnn.vocabulary)
    tables = [edge_recovery(gnn, one, known, random=5).table for one in (whole, stream)]
    assert tables[0].equals(tables[1])
    other = planted(tmp_path / "other", small_config(), seed=4)
    tables = [edge_agreement(gnn, other, one, top_k=5).table for one in (whole, stream)]
    assert tables[0].equals(tables[1])


def test_a_graph_is_the_same_in_blocks(gnn: SavedModel, path: Path) -> None:
    edges, said = [], []
    adata = ad.read_h5ad(path)
    for data in (adata, path, ad.read_h5ad(path, backed="r")):
        notes: list[str] = []
        graph = scgraph.gene_graph(gnn, data=data, min_share=0.5, top_k=4, say=notes.append)
        edges.append(sorted((*pair, str(row)) for *pair, row in graph.edges(data=True)))
        said.append(notes)
    assert edges[0] == edges[1] == edges[2]
    assert said[0] == said[1] == said[2]


def test_values_are_those_of_the_matrix(gnn: SavedModel, path: Path) -> None:
    whole, stream = (CellValues(one, gnn.vocabulary) for one in (read_cells(path), CellStream(path)))
    assert whole.note == stream.note
    assert np.array_equal(whole.detected, stream.detected)
    genes = np.flatnonzero(whole.detected > 10)
    one, other = whole.of(genes), stream.of(genes)
    matrix = sparse.vstack(list(one.rows(1000)), format="csr")
    assert (sparse.vstack(list(other.rows(7)), format="csr") != matrix).nnz == 0
    assert [block.shape[0] for block in other.rows(50)] == [50, 50, 17]
    assert np.array_equal(other.mean(), np.asarray(matrix.mean(axis=0)).ravel())
    chosen = np.random.default_rng(0).random(one.cells) < 0.5
    assert np.array_equal(correlation(other, chosen), correlation(one, chosen))
    half = matrix[np.flatnonzero(chosen)]
    assert np.array_equal(correlation(other, chosen), correlation(GeneValues(lambda: [half], *half.shape)))
    expected = np.corrcoef(half.toarray().T)
    np.testing.assert_allclose(correlation(other, chosen), expected, atol=1e-5)


def test_the_command_holds_no_matrix(gnn: SavedModel, path: Path, tmp_path: Path) -> None:
    planted(tmp_path / "gnn", small_config())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scgraph.data.files.stream.read_cells", lambda *_, **__: pytest.fail("read whole"))
        out = tmp_path / "net.tsv"
        words = ("--check", str(path), "--data", str(path), "--out", str(out), "--permutations", "9")
        assert run(str(tmp_path / "gnn"), *words) == 0
    assert out.exists()


def test_what_is_in_memory_is_read_and_what_is_on_disk_is_opened(path: Path) -> None:
    adata = ad.read_h5ad(path)
    assert isinstance(cells_or_stream(adata), Cells)
    assert isinstance(cells_or_stream("pbmc68k_reduced"), Cells)
    for source in (path, str(path), ad.read_h5ad(path, backed="r"), ad.experimental.read_lazy(path)):
        assert isinstance(cells_or_stream(source), CellStream)
    with pytest.raises(DataError, match=r"there is no such file\. Did you mean 'pbmc68k_reduced'"):
        cells_or_stream("pbmc68k")
