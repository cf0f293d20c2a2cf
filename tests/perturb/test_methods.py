"""What the methods may learn from: nothing of the perturbations they are tested on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scgraph.config import TrainConfig
from scgraph.models import load_model
from scgraph.perturb.config import NetworkConfig, PerturbConfig
from scgraph.perturb.methods import ADDITIVE, MEAN, PCA, Experiment
from scgraph.perturb.screen import read_screen
from scgraph.perturb.splits import split_perturbations

if TYPE_CHECKING:
    from pathlib import Path

    import anndata as ad

    from scgraph.perturb.simulate import SimulatedScreen

SETTINGS = PerturbConfig(network=NetworkConfig(epochs=3, width=8), components=4, control_cells=20)


@pytest.fixture(scope="module")
def job(simulated: SimulatedScreen, graph_model: Path) -> Experiment:
    return job_of(simulated.adata, graph_model)


def job_of(adata: ad.AnnData, model: Path) -> Experiment:
    saved = load_model(model)
    screen = read_screen(adata, saved.vocabulary, SETTINGS)
    return Experiment(screen, saved, SETTINGS, TrainConfig(), torch.device("cpu"))


def test_no_method_looks_at_the_cells_of_test_perturbations(
    simulated: SimulatedScreen, graph_model: Path, job: Experiment
) -> None:
    split = split_perturbations([one.genes for one in job.screen.perturbations], seed=0)
    before = job.predict(split, seed=0)

    def after(perturbations: np.ndarray) -> dict[str, np.ndarray]:
        """Predictions where the cells of some perturbations hold other counts."""
        adata = simulated.adata.copy()
        counts = adata.X.toarray()
        rows = np.concatenate([job.screen.perturbations[at].cells for at in perturbations])
        counts[rows] = np.random.default_rng(0).poisson(30.0, size=(len(rows), counts.shape[1]))
        adata.X = counts
        other = job_of(adata, graph_model)
        assert not np.allclose(other.screen.change[perturbations], job.screen.change[perturbations], atol=0.1)
        return {name: found.change for name, found in other.predict(split, seed=0).items()}

    unseen = after(split.test)
    assert len(unseen) == 8
    for name, found in before.items():
        np.testing.assert_array_equal(unseen[name], found.change, err_msg=name)
    seen = after(split.train[:3])
    for name in (MEAN, ADDITIVE, PCA):
        assert not np.allclose(seen[name], before[name].change, atol=0.01), name


def test_a_seed_draws_the_untrained_model_and_leaves_the_trained_one(job: Experiment) -> None:
    split = split_perturbations([one.genes for one in job.screen.perturbations], seed=0)
    first, second = (job.predict(split, seed=seed) for seed in (0, 1))
    assert np.array_equal(first["ridge+gnn"].change, second["ridge+gnn"].change)
    assert not np.allclose(first["ridge+gnn untrained"].change, second["ridge+gnn untrained"].change, atol=1e-3)
