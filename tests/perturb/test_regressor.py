"""What is read from a model, and the network that learns from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scgraph.data import CellStore, read_cells
from scgraph.errors import ConfigError, TrainingError
from scgraph.models import load_model
from scgraph.nn import CellGraph, GeneModel
from scgraph.perturb.config import NetworkConfig
from scgraph.perturb.embeddings import affected_features, control_features, gene_tables
from scgraph.perturb.regressor import fit_network

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.perturb.simulate import SimulatedScreen

QUICK = NetworkConfig(width=16, epochs=60, patience=60, learning_rate=0.02)


def test_tables_are_those_of_the_model() -> None:
    torch.manual_seed(0)
    model = GeneModel(6, conv="gnn", channels=4, layers=2, rank=3, shared_adjacency=False, value_encoding="product")
    gene, value, learned = (gene_tables(model, kind) for kind in ("gene", "value", "adjacency"))
    weight = model.encoder.gene.weight.detach().numpy()
    assert np.allclose(gene.perturbed, weight / np.sqrt((weight[1:] ** 2).mean()))
    assert np.array_equal(gene.perturbed, gene.affected)
    assert np.array_equal(gene_tables(model, "auto").perturbed, value.perturbed)
    assert learned.perturbed.shape == (7, 6)
    assert not np.allclose(learned.perturbed, learned.affected)
    source = model.adjacencies[0].source.detach().numpy()[1:]
    assert np.corrcoef(learned.perturbed[1:, :3].ravel(), source.ravel())[0, 1] > 0.999
    assert gene_tables(model, "all").perturbed.shape == (7, 4 + 4 + 6)
    assert not learned.perturbed[0].any()
    plain = GeneModel(6, conv="none", channels=4, layers=1, rank=4)
    assert np.array_equal(gene_tables(plain, "auto").perturbed, gene_tables(plain, "gene").perturbed)
    with pytest.raises(ConfigError, match=r"no adjacency table. It has: gene"):
        gene_tables(plain, "adjacency")


def test_control_features_are_means_over_the_cells_that_express_a_gene(
    simulated: SimulatedScreen, graph_model: Path
) -> None:
    saved = load_model(graph_model)
    store = CellStore.from_cells(read_cells(simulated.adata[:20].copy()), saved.vocabulary)
    found = control_features(saved.model, store, genes=None, seed=0, device=torch.device("cpu"))
    expected: dict[int, list[np.ndarray]] = {}
    for row in range(20):
        ids, values = store.batch(np.asarray([row]), genes=80, seed=0, epoch=0)
        with torch.no_grad():
            x = saved.model.norm(saved.model.encode(CellGraph(torch.from_numpy(ids)), torch.from_numpy(values)).last)
        for gene, features in zip(ids[0].tolist(), x[0].numpy(), strict=True):
            expected.setdefault(gene, []).append(features)
    assert found.shape == (81, saved.model.channels)
    assert not found[0].any()
    for gene in range(1, 81):
        mean = np.mean(expected[gene], axis=0) if gene in expected else np.zeros(saved.model.channels)
        assert np.allclose(found[gene], mean, atol=1e-5)


def test_genes_that_the_model_does_not_know_are_marked() -> None:
    rng = np.random.default_rng(0)
    table, features = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(5, 2)).astype(np.float32)
    ids = np.asarray([2, 0, 4, 1], dtype=np.int32)
    found = affected_features(table, features, np.asarray([1, 2, 3, 4], dtype=np.float32), ids)
    assert found.shape == (4, 3 + 2 + 2)
    assert not found[1, :5].any()
    assert found[:, -1].tolist() == [1, 0, 1, 1]
    assert np.allclose(found[[0, 2, 3], :5].mean(axis=0), 0)
    assert found[1, -2] < found[2, -2]


def made(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Perturbations and genes whose change is a product of what describes them."""
    x, affected = rng.normal(size=(40, 4)), rng.normal(size=(60, 4))
    return x, affected, (x @ rng.normal(size=(4, 4)) @ affected.T + 1).astype(np.float32)


def test_the_network_finds_what_a_product_can_tell() -> None:
    x, affected, change = made(np.random.default_rng(0))
    train, validation, test = np.arange(24), np.arange(24, 30), np.arange(30, 40)
    predicted, epoch = fit_network(x, affected, change, train, validation, QUICK, seed=0)
    assert np.corrcoef(predicted[test].ravel(), change[test].ravel())[0, 1] > 0.9
    assert epoch > 10
    hidden = change.copy()
    hidden[test] = 1e6  # what the test part measured is never looked at
    unseen, _ = fit_network(x, affected, hidden, train, validation, QUICK, seed=0)
    assert np.array_equal(predicted, unseen)


def test_where_nothing_can_be_learned_the_mean_change_stays() -> None:
    rng = np.random.default_rng(1)
    x, affected, change = made(rng)
    change = (3 * rng.normal(size=change.shape)).astype(np.float32)
    quick = QUICK.model_copy(update={"patience": 3})
    predicted, epoch = fit_network(x, affected, change, np.arange(24), np.arange(24, 40), quick, seed=0)
    assert epoch <= 3
    mean = np.broadcast_to(change[:24].mean(axis=0), (16, 60))
    assert np.square(predicted[24:] - change[24:]).mean() < 1.02 * np.square(mean - change[24:]).mean()


def test_the_validation_part_chooses_the_epoch() -> None:
    """Where it says the opposite of the training part, every step does harm."""
    x, affected, change = made(np.random.default_rng(0))
    mean = change[:24].mean(axis=0)
    change[24:30] = 2 * mean - change[24:30]
    predicted, epoch = fit_network(x, affected, change, np.arange(24), np.arange(24, 30), QUICK, seed=0)
    assert epoch <= 3
    assert np.abs(predicted - mean).mean() < 0.2 * np.abs(change - mean).mean()


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    x, affected, change = made(np.random.default_rng(0))
    wild = QUICK.model_copy(update={"learning_rate": 1e30, "epochs": 5})
    with pytest.raises(TrainingError, match=r"network.learning_rate"):
        fit_network(x, affected, change, np.arange(24), np.arange(24, 30), wild, seed=0)
