"""Tables of a saved model: which genes training has seen, what decay alone would have left, models without any."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import scgraph
from scgraph.data import CellStore, Vocabulary, read_cells
from scgraph.errors import ConfigError
from scgraph.genes import Edges, gene_tables, strongest_senders, to_networkx
from scgraph.genes import senders as edges_module
from scgraph.genes.tables import start_model
from scgraph.models import SavedModel, save_model
from scgraph.nn.kernels import attention
from scgraph.train import pretrain
from tests.genes.helpers import NAMES, UNSEEN, cells, planted, small_config

if TYPE_CHECKING:
    from pathlib import Path


def test_the_seed_tells_which_genes_training_has_seen(gnn: SavedModel, layered: SavedModel) -> None:
    for saved in (gnn, layered):
        tables = gene_tables(saved)
        assert tables.seen is not None
        assert np.flatnonzero(~tables.seen).tolist() == [UNSEEN]
        assert tables.start is not None
        assert torch.allclose(tables.start[0][:, UNSEEN], tables.target[:, UNSEEN], atol=1e-5)
    other = replace(gnn, metadata={"training": {"seed": 4}})
    assert gene_tables(other).seen is None
    with pytest.raises(ConfigError, match="do not go back"):
        strongest_senders(gene_tables(other), weights="change")


@pytest.mark.parametrize("asymmetric", [False, True])
def test_a_real_training_leaves_the_unseen_at_their_start(asymmetric: bool) -> None:
    """Padded batches and weight decay included: the rows of padding get no gradient."""
    from scgraph.config import TrainConfig

    read = read_cells(cells(40), name="cells")
    store = CellStore.from_cells(read, Vocabulary(NAMES, ("",) * len(NAMES)))
    config = small_config(asymmetric=asymmetric)
    training = TrainConfig(epochs=1, batch_size=16, genes=40, weight_decay=0.1, seed=7)
    trained = pretrain(config, training, store)
    saved = SavedModel(trained.model, trained.vocabulary, config, trained.config, {}, {})
    tables = gene_tables(saved)
    assert tables.seen is not None
    assert np.flatnonzero(~tables.seen).tolist() == [UNSEEN]


def test_senders_are_those_of_the_whole_matrix(gnn: SavedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = gene_tables(gnn)
    monkeypatch.setattr(edges_module, "LARGEST_BLOCK", 400)  # six genes at a time
    edges = strongest_senders(tables, top_k=4)
    whole = tables.target[0] @ tables.source[0].T
    whole = whole - whole.mean(dim=1, keepdim=True)
    whole.fill_diagonal_(-torch.inf)
    best, at = whole.topk(4, dim=1)
    assert edges.source.reshape(60, 4).tolist() == at.tolist()
    assert np.allclose(edges.weight.reshape(60, 4), best.numpy(), atol=2e-6)
    assert edges.target.tolist() == np.repeat(np.arange(60), 4).tolist()
    assert [edges.names[at] for at in edges.source[edges.target == 1][:1]] == ["RPL3"]


def test_hubs_are_those_that_are_listened_to() -> None:
    names = ("hub", "a", "b", "c")
    ends = np.array([0, 0, 0, 1]), np.array([1, 2, 3, 0])
    graph = to_networkx(Edges(names, ("",) * 4, *ends, np.array([2.0, 1.0, 1.0, -5.0])))
    assert next(iter(graph.edges(data="weight"))) == ("hub", "a", 2.0)
    assert max(names, key=lambda name: graph.nodes[name]["pagerank"]) == "hub"
    assert graph.nodes["hub"]["out_strength"] == 4
    assert graph.nodes["hub"]["in_strength"] == -5
    assert graph.nodes["a"]["in_strength"] == 2


def test_softmax_weights_are_those_of_the_layer(layered: SavedModel) -> None:
    tables = gene_tables(layered)
    some = torch.tensor([0, 5, 9, 30])
    expected = torch.stack(
        [attention.masked_softmax(t[some] @ s[some].T, None) for t, s in zip(tables.target, tables.source, strict=True)]
    )
    assert torch.allclose(tables.scores(some, some, "softmax"), expected.mean(dim=0), atol=1e-6)
    second = gene_tables(layered, layer=2)
    assert torch.allclose(second.scores(some, some, "softmax"), expected[1], atol=1e-6)


def test_positive_layers_weigh_by_their_own_weights(tmp_path: Path) -> None:
    tables = gene_tables(planted(tmp_path / "m", small_config("gnn-linear")))
    genes = torch.arange(60)
    target, source = attention.row_normalized(
        *(torch.nn.functional.softplus(table[:1]) for table in (tables.target, tables.source))
    )
    assert torch.allclose(tables.scores(genes, genes, "softmax"), (target @ source.transpose(1, 2))[0], atol=1e-6)


def test_change_leaves_out_what_decay_left_of_the_start(gnn: SavedModel) -> None:
    tables = gene_tables(gnn)
    assert tables.start is not None
    genes = torch.arange(60)
    change = tables.scores(genes, genes, "change")
    first = tables.start[0][0] @ tables.start[1][0].T
    whole = tables.scores(genes, genes, "logit") - (first - first.mean(dim=1, keepdim=True))
    assert torch.allclose(change, whole, atol=1e-5)


@pytest.mark.parametrize(
    ("conv", "options", "said"),
    [("tf", {"heads": 2}, "can be had: embeddings alone"), ("mean", {}, "no adjacency"), ("none", {}, "no adjacency")],
)
def test_models_without_an_adjacency_offer_their_embeddings(
    tmp_path: Path, conv: str, options: dict[str, Any], said: str
) -> None:
    saved = planted(tmp_path / "m", small_config(conv, conv_options=options))
    with pytest.raises(ConfigError, match=said):
        gene_tables(saved)


def test_gat_has_tables_where_it_asks_for_them(tmp_path: Path) -> None:
    saved = planted(tmp_path / "m", small_config("gat", conv_options={"heads": 2, "use_adjacency": True}))
    assert len(strongest_senders(gene_tables(saved), top_k=3).weight) == 180


def test_layers_that_there_are_not(gnn: SavedModel, layered: SavedModel) -> None:
    with pytest.raises(ConfigError, match="share one adjacency"):
        gene_tables(gnn, layer=1)
    with pytest.raises(ConfigError, match="layers 1 to 2, not 3"):
        gene_tables(layered, layer=3)
    with pytest.raises(ConfigError, match="top_k"):
        strongest_senders(gene_tables(gnn), top_k=0)
    with pytest.raises(ConfigError, match="at least two genes"):
        strongest_senders(gene_tables(gnn), np.array([3]))


def test_a_graph_that_is_its_random_start_is_said_aloud(tmp_path: Path) -> None:

    saved = planted(tmp_path / "m", small_config())
    tables = gene_tables(saved)
    near = tables.start_correlation(np.arange(60))
    assert near is not None
    assert near < 0.9
    logits = tables.scores(torch.arange(60), torch.arange(60), "logit").flatten()
    first = logits - tables.scores(torch.arange(60), torch.arange(60), "change").flatten()
    assert near == pytest.approx(np.corrcoef(logits.numpy(), first.numpy())[0, 1], abs=1e-5)
    said: list[str] = []
    scgraph.gene_graph(saved, say=said.append)
    assert not any("random start" in note for note in said)
    with torch.no_grad():
        for table, start in zip(saved.model.adjacencies, start_model(saved).adjacencies, strict=True):
            for name in ("target", "source"):
                getattr(table, name).copy_(getattr(start, name))
                getattr(table, name)[1:30] += 0.01
    save_model(tmp_path / "n", saved.model, saved.vocabulary, saved.model_config, metadata=saved.metadata)
    scgraph.gene_graph(str(tmp_path / "n"), say=said.append)
    assert any("hardly left its random start (correlation 1.000)" in note for note in said)
    said.clear()
    scgraph.gene_graph(str(tmp_path / "n"), weights="change", say=said.append)
    assert not any("random start" in note for note in said)
