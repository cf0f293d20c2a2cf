"""Known edges: random networks keep degrees, scores are those of loops, a planted graph is found, bad files refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from scgraph.data import read_cells
from scgraph.errors import ConfigError, DataError
from scgraph.genes import edge_agreement, edge_recovery, read_known
from scgraph.genes.known.agreement import shared_genes
from scgraph.genes.known.chance import degree_matched
from scgraph.genes.known.recovery import METRICS, early_precision, edge_scores
from scgraph.genes.known.report import agreement_markdown, agreement_verdict, recovery_markdown, recovery_verdicts
from tests.genes.helpers import FAMILY, cells, planted, run, small_config

if TYPE_CHECKING:
    from scgraph.models import SavedModel

TARGETS = [f"RPL3\t{name}\t-1" for name in FAMILY[1:]] + [f"RPS2\t{name}\t1" for name in ("RPL4", "RPL5", "RPS3")]
OTHERS = [f"GENE{at}\tGENE{at + 7}\t1" for at in range(0, 30, 3)]


def written(path: Path, lines: list[str] | None = None) -> Path:
    path.write_text("\n".join(["source\ttarget\tweight", *(TARGETS + OTHERS if lines is None else lines)]) + "\n")
    return path


def test_random_networks_keep_the_degrees_of_every_gene() -> None:
    rng = np.random.default_rng(0)
    possible = np.ones((12, 30), dtype=bool)
    possible[np.arange(12), np.arange(12)] = False
    known = (rng.random((12, 30)) < np.linspace(0.1, 0.7, 12)[:, None]) & possible
    found = list(degree_matched(known, possible, 20, seed=1))
    for network in found:
        assert (network.sum(axis=0) == known.sum(axis=0)).all()
        assert (network.sum(axis=1) == known.sum(axis=1)).all()
        assert not (network & ~possible).any()
    assert all((one != other).any() for one, other in pairwise(found))
    again = list(degree_matched(known, possible, 20, seed=1))
    assert all((one == other).all() for one, other in zip(found, again, strict=True))


def test_random_networks_take_every_edge_as_often_as_the_others() -> None:
    known = np.eye(5, dtype=bool)
    found = list(degree_matched(known, np.ones((5, 5), dtype=bool), 2000, seed=0))
    assert np.abs(np.mean(found, axis=0) - 0.2).max() < 0.05


def test_scores_are_what_loops_say() -> None:
    rng = np.random.default_rng(3)
    labels, score, listened = rng.random(200) < 0.1, rng.normal(size=200), rng.random(200) < 0.3
    early, odds, auprc = edge_scores(labels, score, listened)
    strongest = sorted(range(200), key=lambda at: -score[at])[: labels.sum()]
    assert early == pytest.approx(sum(labels[at] for at in strongest) / labels.sum())
    counts = [[sum(labels & listened), sum(labels & ~listened)], [sum(~labels & listened), sum(~labels & ~listened)]]
    assert odds == pytest.approx(counts[0][0] * counts[1][1] / (counts[0][1] * counts[1][0]))
    order = np.argsort(-score)
    precision = np.cumsum(labels[order]) / np.arange(1, 201)
    assert auprc == pytest.approx(precision[labels[order]].mean())


def test_equal_weights_count_as_expected() -> None:
    labels = np.asarray([True, False, True, False, False, False])
    assert early_precision(labels, np.asarray([3.0, 1, 1, 1, 1, 0])) == pytest.approx((1 + 1 / 4) / 2)
    assert early_precision(labels, np.zeros(6)) == pytest.approx(2 / 6)


def test_a_planted_network_is_found_and_another_is_not(gnn: SavedModel, tmp_path: Path) -> None:
    read = read_cells(cells(), name="cells")
    known = read_known([written(tmp_path / "tf.tsv"), written(tmp_path / "none.tsv", OTHERS)], gnn.vocabulary)
    found = edge_recovery(gnn, read, known, top_k=5, random=60)
    rows = found.table.set_index(["known", "network"])
    assert list(found.table["network"]) == ["learned", "change", "untrained", "embedding", "correlation"] * 2
    row = rows.loc["tf.tsv", "learned"]
    assert (row["edges"], row["sources"]) == (17, 12)
    assert row["density"] == pytest.approx(17 / (12 * row["targets"] - 12))
    assert row["early_precision_ratio"] == pytest.approx(row["early_precision"] / row["density"])
    assert row["early_precision"] > row["early_precision_high"]
    assert row["early_precision_p"] == 1 / 61
    assert row["odds_ratio"] > row["odds_ratio_high"]
    assert row["auprc"] > row["auprc_high"]
    assert rows.loc["tf.tsv", "correlation"]["auprc_p"] == 1 / 61
    assert (found.table[[f"{metric}_low" for metric in METRICS]].to_numpy() >= 0).all()
    assert rows.loc["none.tsv", "learned"]["early_precision_p"] > 0.05
    assert found.table.equals(edge_recovery(gnn, read, known, top_k=5, random=60).table)
    said = recovery_verdicts(found)
    assert said[0].startswith("The learned graph finds the edges of tf.tsv more often")
    assert any(sentence.startswith("The learned graph does not find the edges of none.tsv") for sentence in said)
    page = recovery_markdown(found)
    assert "| tf.tsv | learned |" in page
    assert "tf.tsv: 17 edges between 58 genes, from 12 sources" in page


def test_average_precision_is_compared_over_sources(gnn: SavedModel, tmp_path: Path) -> None:
    lines = [f"{source}\tGENE{at}\t1" for source in ("RPL3", "CD3D", "CD3E") for at in range(3, 9)]
    known = read_known([written(tmp_path / "tf.tsv", [*lines, "CD3G\tGENE1\t1"])], gnn.vocabulary)
    found = edge_recovery(gnn, read_cells(cells(), name="cells"), known, random=5)
    row = found.differences.set_index("other").loc["correlation"]
    assert row["sources"] == 3  # CD3G has one target
    assert row["low"] < row["difference"] < row["high"]
    assert row["better"] + row["worse"] == 3


def test_signs_and_other_columns_do_not_count(gnn: SavedModel, tmp_path: Path) -> None:
    (tmp_path / "collectri.csv").write_text("source,target,weight,PMID\nRPL3,RPL4,-1,1;2\nRPL3,CD3D,1,3\n")
    (tmp_path / "dorothea.csv").write_text("tf,confidence,target,mor\nRPL3,A,RPL4,-1\nRPL3,A,CD3D,1\n")
    (tmp_path / "trrust.tsv").write_text("RPL3\tRPL4\tRepression\t12\nRPL3\tENSG00000000006\tUnknown\t13;14\n")
    (tmp_path / "beeline.csv").write_text("Gene1,Gene2\nRPL3,RPL4\nRPL3,CD3D\nRPL3,RPL3\nRPL3,NOT1\n")
    names = ("collectri.csv", "dorothea.csv", "trrust.tsv", "beeline.csv")
    for one in read_known([tmp_path / name for name in names], gnn.vocabulary):
        assert (one.source.tolist(), one.target.tolist()) == ([0, 0], [1, 5]), one.name
    assert "1 of 4 genes are unknown" in one.notes[1]


def test_two_models_agree_with_themselves_and_by_chance_with_others(gnn: SavedModel, tmp_path: Path) -> None:
    read = read_cells(cells(), name="cells")
    same = edge_agreement(gnn, gnn, read, top_k=5).table.set_index("network")
    models = ["learned", "change", "untrained", "embedding"]
    assert (same.loc[models, ["shared", "jaccard"]] == 1).all(axis=None)
    assert np.allclose(same.loc[models, "correlation"], 1)
    assert 0 < same.loc["correlation", "shared"] < 1
    found = edge_agreement(gnn, planted(tmp_path / "m", small_config(), seed=4), read, top_k=5)
    rows = found.table.set_index("network")
    assert rows.loc["untrained", "shared"] == pytest.approx(rows.loc["untrained", "chance"], abs=0.1)
    assert rows.loc["learned", "shared"] > rows.loc["learned", "chance"]  # both have the planted family
    assert "| learned |" in agreement_markdown(found)
    assert agreement_verdict(found) in agreement_markdown(found)


def test_chance_of_two_graphs_is_that_of_shuffled_receivers() -> None:
    from scgraph.genes.known.agreement import _compared

    rng = np.random.default_rng(0)
    popular = 3 * rng.normal(size=40)  # hubs that are the same in both
    shared, expected = [], []
    for _ in range(40):
        pair = tuple((rng.normal(size=(40, 40)) + popular).astype(np.float32) for _ in range(2))
        found = _compared(pair, 5)
        shared.append(found["shared"])
        expected.append(found["chance"])
    assert np.mean(shared) == pytest.approx(np.mean(expected), abs=0.02)
    assert np.mean(expected) > 0.3


def test_genes_of_two_vocabularies_are_matched(gnn: SavedModel) -> None:
    from scgraph.data import Vocabulary

    other = Vocabulary(("CD3D", "NEW", "rpl3"), ("", "", "ENSG00000000001"))
    found = shared_genes(gnn.vocabulary, other)
    assert found[gnn.vocabulary.symbols.index("RPL3")] == 2
    assert found[gnn.vocabulary.symbols.index("CD3D")] == 0
    assert (found >= 0).sum() == 2


def test_what_cannot_be_compared(gnn: SavedModel, tmp_path: Path) -> None:
    read = read_cells(cells(), name="cells")
    rare = read_known([written(tmp_path / "rare.tsv", ["RPL3\tGENE50\t1"])], gnn.vocabulary)
    with pytest.raises(
        DataError, match=r"rare\.tsv: none of its 1 edges between genes of the model joins two of the 58"
    ):
        edge_recovery(gnn, read, rare)
    full = read_known([written(tmp_path / "full.tsv", ["RPL3\tRPL4\t1"])], gnn.vocabulary)
    with pytest.raises(DataError, match="every edge between its genes that might be is known"):
        edge_recovery(gnn, read, full)
    with pytest.raises(ConfigError, match="top_k"):
        edge_recovery(gnn, read, full, top_k=0)
    with pytest.raises(ConfigError, match="no file is named"):
        edge_recovery(gnn, read, [])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models, one without an adjacency, and cells."""
    place = tmp_path_factory.mktemp("known")
    planted(place / "m", small_config())
    planted(place / "n", small_config(), seed=4)
    planted(place / "t", small_config("tf", conv_options={"heads": 2}))
    cells().write_h5ad(place / "cells.h5ad")
    return place


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("m", "n", "t", "cells.h5ad"):
        (tmp_path / name).symlink_to(folder / name)
    written(tmp_path / "tf.tsv")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_the_command_writes_what_it_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("../m", "--out", "net.tsv", "--check", "../cells.h5ad", "--known", "../tf.tsv", "--other", "../n")
    assert run(*words, "--permutations", "30", "--top-k", "4", "--json", "found.json") == 0, capsys.readouterr().err
    said = " ".join(capsys.readouterr().out.split())
    assert "Edges of tf.tsv" in said
    assert "The learned graph finds the edges of tf.tsv more often than random networks of the same degrees" in said
    assert "The two models share" in said
    found = json.loads(Path("found.json").read_text())
    assert [row["network"] for row in found["known"]["table"]] == pd.read_csv("net.known.csv")["network"].tolist()
    assert pd.read_csv("net.agreement.csv")["shared"].between(0, 1).all()
    page = Path("net.check.md").read_text()
    assert page.index("# Edges within families") < page.index("# Edges that are known") < page.index("# Edges that two")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["NOT1\tNOT2\t1"], "known.tsv: only 0 of the 2 genes of the network"),
        (["RPL3\tNOT2\t1"], "known.tsv: no edge joins two genes of the vocabulary"),
        (["RPL3\tGENE50\t1"], "known.tsv: none of its 1 edges between genes of the model joins two"),
        (["RPL3\tRPL4\t1", "RPL3\t\t1"], "known.tsv: line 3 lacks the name of a gene"),
        (["RPL3\tRPL4\t1\t2\t3"], "known.tsv: is no table"),
    ],
    ids=["unknown", "no edge", "not expressed", "no name", "malformed"],
)
def test_bad_files_get_one_message_and_write_no_check(
    here: Path, capsys: pytest.CaptureFixture[str], lines: list[str], said: str
) -> None:
    written(Path("known.tsv"), lines)
    assert run("../m", "--check", "../cells.h5ad", "--known", "known.tsv", "--permutations", "5") == 2
    captured = capsys.readouterr()
    assert said in " ".join(captured.err.split())
    assert "Traceback" not in captured.err
    assert [path.name for path in here.iterdir()] == ["known.tsv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "net.tsv", "--known", "../tf.tsv"], "--known: belongs to --check CELLS."),
        (["--out", "net.tsv", "--other", "../n"], "--other: belongs to --check CELLS."),
        (["--check", "../cells.h5ad", "--known", "../tf.tsv", "--known", "../here/../tf.tsv"], "is named twice"),
        (["--check", "../cells.h5ad", "--known", "missing.tsv"], "missing.tsv: cannot be read"),
        (["--check", "../cells.h5ad", "--known", "../cells.h5ad"], "a .tsv, .csv or .graphml file, not .h5ad"),
        (["--check", "../cells.h5ad", "--other", "../m"], "--other ../m: is the model itself"),
        (["--check", "../cells.h5ad", "--other", "../t"], "'tf' has no adjacency"),
        (["--check", "../cells.h5ad", "--other", "../nowhere"], "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_get_one_message_and_write_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run("../m", *words) == 2
    captured = capsys.readouterr()
    assert said in " ".join(captured.err.split())
    assert "Traceback" not in captured.err
    assert list(here.iterdir()) == []
