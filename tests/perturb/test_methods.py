"""What the methods may learn from: nothing of the perturbations they are tested on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scgraph.config import TrainConfig
from scgraph.data import Vocabulary
from scgraph.models import load_model
from scgraph.perturb.config import NetworkConfig, PerturbConfig
from scgraph.perturb.measure import measure
from scgraph.perturb.methods import ADDITIVE, PCA, Experiment
from scgraph.perturb.scores import MEAN
from scgraph.perturb.screen import read_screen
from scgraph.perturb.splits import split_perturbations
from tests.perturb.forms import MEASURED, PATHWAY, labelled_screen
from tests.perturb.test_run import ROWS

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
    assert len(unseen) == len(ROWS) - 1  # all but the ceiling
    for name, found in before.items():
        np.testing.assert_array_equal(unseen[name], found.change, err_msg=name)
    seen = after(split.train[:3])
    for name in (MEAN, ADDITIVE, PCA):
        assert not np.allclose(seen[name], before[name].change, atol=0.01), name


def test_a_seed_draws_the_untrained_model_and_leaves_the_trained_one(job: Experiment) -> None:
    split = split_perturbations([one.genes for one in job.screen.perturbations], seed=0)
    first, second = (job.predict(split, seed=seed) for seed in (0, 1))
    assert job.measured(1).controls.tolist() != job.measured(0).controls.tolist()
    same = replace(job, settings=SETTINGS.model_copy(update={"separate_controls": False}), _kept={})
    first, second = (same.predict(split, seed=seed) for seed in (0, 1))
    assert np.array_equal(first["ridge+gnn"].change, second["ridge+gnn"].change)
    assert not np.allclose(first["ridge+gnn untrained"].change, second["ridge+gnn untrained"].change, atol=1e-3)


def test_the_error_of_the_controls_is_not_taken_for_a_prediction() -> None:
    """Cells that nothing was done to: the mean of the others tells nothing, and seems to where controls are shared."""
    labels = ["control", *PATHWAY, *MEASURED[:8]]
    adata = labelled_screen(labels, each=40)
    adata.X = np.random.default_rng(0).poisson(5.0, size=adata.shape).astype(np.float32) + 1
    vocabulary = Vocabulary((*MEASURED, *PATHWAY), ("",) * (len(MEASURED) + len(PATHWAY)))
    screen = read_screen(adata, vocabulary, PerturbConfig())
    floors = {}
    for separate in (False, True):
        own = []
        for seed in range(10):
            found = measure(screen, seed=seed, separate_controls=separate)
            for at in range(len(found.truth)):
                mean = np.delete(found.learned, at, axis=0).mean(axis=0)
                own.append(float(np.corrcoef(mean, found.truth[at])[0, 1]))
        floors[separate] = float(np.mean(own))
    assert floors[False] > 0.5
    assert abs(floors[True]) < 0.2
    halves = measure(screen, seed=0, separate_controls=True).halves
    assert abs(float(np.mean([np.corrcoef(*pair)[0, 1] for pair in np.swapaxes(halves, 0, 1)]))) < 0.3
