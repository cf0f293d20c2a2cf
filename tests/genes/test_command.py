"""The command `scgraph graph`: its files as networkx, pandas and anndata read them, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import networkx as nx
import numpy as np
import pandas as pd
import pytest

import scgraph
from scgraph.errors import DataError
from scgraph.genes.picture import MOST_NODES, strongest_part
from scgraph.genes.tables import node_names
from tests.genes.helpers import FAMILY, NAMES, UNSEEN, cells, planted, run, small_config

if TYPE_CHECKING:
    from scgraph.models import SavedModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model `m`, a Transformer `t` and cells."""
    place = tmp_path_factory.mktemp("graph")
    planted(place / "m", small_config())
    planted(place / "t", small_config("tf", conv_options={"heads": 2}))
    cells().write_h5ad(place / "cells.h5ad")
    return place


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with the models and cells beside it, as ``../m``."""
    for name in ("m", "t", "cells.h5ad"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_everything_in_one_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("../m", "--top-k", "4", "--data", "../cells.h5ad", "--check", "../cells.h5ad", "--permutations", "50")
    files = ("--out", "net.graphml", "--embeddings", "genes.h5ad", "--figure", "net.svg")
    assert run(*words, *files, "--json", "found.json") == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert "1 of 60 genes were in no training cell" in said.err
    assert "The learned graph knows families" in " ".join(said.out.split())
    graph = nx.read_graphml("net.graphml")
    assert graph.is_directed()
    assert set(graph) == set(NAMES) - {"GENE50", "GENE51"}
    assert all(degree == 4 for _, degree in graph.in_degree())
    assert nx.number_of_selfloops(graph) == 0
    assert graph.nodes["RPL3"]["ensembl"] == "ENSG00000000001"
    assert all(graph.has_edge("RPL3", name) for name in FAMILY[1:])
    hubs = pd.read_csv("net.hubs.tsv", sep="\t")
    row = hubs.set_index("gene").loc["RPL3"]
    assert row["out_strength"] == pytest.approx(sum(w for *_, w in graph.out_edges("RPL3", data="weight")), abs=1e-4)
    assert row["in_strength"] == pytest.approx(sum(w for *_, w in graph.in_edges("RPL3", data="weight")), abs=1e-4)
    assert len({graph.nodes[name]["module"] for name in FAMILY}) == 1
    assert Path("net.svg").read_text().lstrip().startswith("<?xml")
    found = json.loads(Path("found.json").read_text())
    assert found["genes"] == 58
    assert found["edges"] == 4 * 58
    assert len(found["check"]["verdicts"]) == 3
    assert pd.read_csv("net.check.csv")["network"].nunique() == 5
    assert "| learned | matched |" in Path("net.check.md").read_text()
    before = {name: Path(name).read_bytes() for name in ("net.graphml", "net.hubs.tsv", "net.svg")}
    assert run(*words[:5], *files[:2], *files[4:], "--overwrite") == 0
    assert {name: Path(name).read_bytes() for name in before} == before


def test_without_a_check_it_says_that_correlation_may_be_better(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert run("../m", "--top-k", "4", "--overwrite", *words) == 0
        return " ".join(capsys.readouterr().out.split())

    note = "Not compared with correlation. "
    assert "--check CELLS says what holds for this one." in said("--out", "net.tsv").partition(note)[2]
    checked = said("--out", "net.tsv", "--check", "../cells.h5ad", "--permutations", "50")
    assert note not in checked
    assert "the correlation of the same cells" in checked
    assert note not in said("--embeddings", "genes.h5ad")  # no edges


def test_edges_as_a_table_have_the_columns_of_an_edge_list(here: Path) -> None:
    assert (
        run("../m", "--out", "net.tsv", "--top-k", "3", "--weights", "softmax", "--genes", "RPL3,RPL4,RPL5,CD3D") == 0
    )
    table = pd.read_csv("net.tsv", sep="\t")
    assert list(table.columns) == ["source", "target", "weight"]
    assert len(table) == 12
    assert (table["source"] != table["target"]).all()
    assert table.groupby("target")["weight"].sum().between(0, 1).all()


def test_embeddings_join_a_data_set(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("../t", "--embeddings", "genes.tsv") == 0, capsys.readouterr().err
    table = pd.read_csv("genes.tsv", sep="\t", index_col="gene")
    assert list(table.columns) == ["symbol", "ensembl", *(f"gene_{at}" for at in range(8))]
    assert run("../m", "--embeddings", "genes.h5ad") == 0
    genes = ad.read_h5ad("genes.h5ad")
    model = scgraph.load_model("../m").model
    assert np.array_equal(genes.X, model.encoder.gene.weight[1:].detach().numpy())
    assert np.array_equal(genes.obsm["target"], model.adjacencies[0].target[1:].detach().numpy())
    assert genes.obs["seen"].tolist() == [at != UNSEEN for at in range(60)]
    adata = cells()[:, ::-1].copy()
    adata.varm["source"] = genes.to_df().reindex(adata.var_names).to_numpy()
    assert np.array_equal(adata.varm["source"][-1], genes.X[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["../m"], "Nothing is asked for"),
        (["../nowhere", "--out", "net.tsv"], "nowhere"),
        (["../t", "--out", "net.tsv"], "'tf' has no adjacency"),
        (["../m", "--out", "net.csv"], "must end in .graphml or .tsv"),
        (["../m", "--figure", "net.pdf"], "must end in .svg or .png"),
        (["../m", "--embeddings", "genes.csv"], "must end in .h5ad or .tsv"),
        (["../m", "--out", "there/net.tsv"], "folder 'there' does not exist"),
        (["../m", "--out", "net.tsv", "--figure", "../m"], "must end in"),
        (["../m", "--out", "net.tsv", "--top-k", "0"], "--top-k must"),
        (["../m", "--out", "net.tsv", "--layer", "1"], "share one adjacency"),
        (["../m", "--out", "net.tsv", "--weights", "logits"], "'logit'"),
        (["../m", "--out", "net.tsv", "--genes", "RPL33,CD3D"], "Did you mean 'RPL3'"),
        (["../m", "--out", "net.tsv", "--genes", "RPL3"], "at least two genes"),
        (["../m", "--out", "net.tsv", "--genes", ","], "none is named"),
        (["../m", "--out", "net.tsv", "--genes", "missing.txt"], "missing.txt"),
        (["../m", "--out", "net.tsv", "--data", "missing.h5ad"], "missing.h5ad"),
        (["../m", "--out", "net.tsv", "--data", "../cells.h5ad", "--min-share", "3"], "--min-share must"),
        (["../m", "--out", "net.tsv", "--families", "f.tsv"], "--check"),
        (["../m", "--check", "../cells.h5ad", "--families", "f.tsv"], "f.tsv"),
        (["../m", "--check", "../cells.h5ad", "--permutations", "0"], "permutations"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_get_one_message_and_write_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert list(here.iterdir()) == []


def test_files_are_not_replaced_unasked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.hubs.tsv").write_text("mine")
    assert run("../m", "--out", "net.tsv") == 2
    assert "net.hubs.tsv: stands there already" in capsys.readouterr().err
    assert Path("net.hubs.tsv").read_text() == "mine"
    assert run("../m", "--out", "net.tsv", "--figure", "net.tsv") == 2


def test_genes_and_families_from_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("genes.txt").write_text("RPL3\nENSG00000000002\nNOT1\n\nGENE51\nCD3D\n")
    graph = scgraph.gene_graph("../m", genes="genes.txt", top_k=2, say=print)
    assert sorted(graph) == ["CD3D", "GENE51", "RPL3", "RPL4"]
    said = capsys.readouterr().out
    assert "1 of 5 genes of genes.txt are unknown to the model: NOT1" in said
    assert "1 of the genes asked for were in no training cell" in said
    Path("own.tsv").write_text("family\tgene\nmine\tGENE1\nmine\tGENE2\nmine\tGENE3\n")
    words = ("../m", "--check", "../cells.h5ad", "--families", "own.tsv", "--permutations", "20")
    assert run(*words, "--json", "found.json") == 0
    table = pd.DataFrame(json.loads(Path("found.json").read_text())["check"]["table"])
    assert set(table["family"]) == {"all", "mine"}
    Path("own.tsv").write_text("mine GENE1\n")
    assert run(*words) == 2
    assert "line 1 is not family<TAB>gene" in capsys.readouterr().err


def test_names_that_stand_twice_become_ids(gnn: SavedModel) -> None:
    from dataclasses import replace

    from scgraph.data import Vocabulary

    twice = Vocabulary(("A", "A", "B"), ("ENSG1", "ENSG2", ""))
    assert node_names(replace(gnn, vocabulary=twice)) == ("ENSG1", "ENSG2", "B")


def test_a_picture_stays_readable(gnn: SavedModel) -> None:
    graph = scgraph.gene_graph(gnn, top_k=20)
    part = strongest_part(graph)
    assert 10 <= part.number_of_nodes() <= MOST_NODES
    hub = max(graph, key=lambda name: graph.nodes[name]["out_strength"])
    assert hub in part
    assert strongest_part(graph, most=7).number_of_nodes() == 7


def test_genes_that_no_cell_expresses_are_an_error(gnn: SavedModel) -> None:
    with pytest.raises(DataError, match="0 are left"):
        scgraph.gene_graph(gnn, data=cells(), genes=["GENE50", "GENE51"])
