"""Simulated screens: what was drawn is what the graph says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scgraph.errors import ConfigError
from scgraph.models import load_model
from scgraph.perturb.config import PerturbConfig
from scgraph.perturb.screen import read_screen
from scgraph.perturb.simulate import SimulatedScreen, simulate_screen

if TYPE_CHECKING:
    from pathlib import Path


def test_effects_run_through_the_graph(simulated: SimulatedScreen, graph_model: Path) -> None:
    weights = simulated.target @ simulated.source.T
    settled = simulated.spread @ (np.eye(80) - weights)
    assert np.allclose(settled, np.eye(80), atol=1e-9)
    assert np.abs(np.linalg.eigvals(weights)).max() == pytest.approx(0.85)
    screen = read_screen(simulated.adata, load_model(graph_model).vocabulary, PerturbConfig())
    singles = [at for at, one in enumerate(screen.perturbations) if len(one.genes) == 1]
    truth = np.stack([-2 * simulated.spread[:, screen.perturbations[at].genes[0]] for at in singles])
    change = screen.change[singles]
    other = ~screen.targets()[singles]
    change = change - change.mean(axis=0)
    assert np.corrcoef(truth[other], change[other])[0, 1] > 0.6
    assert (screen.change[screen.targets()] < -0.3).mean() > 0.8


def test_the_same_seed_draws_the_same_cells() -> None:
    small = {"n_genes": 20, "singles": 5, "cells": 3, "controls": 4, "programs": 2}
    one, same = simulate_screen(**small, seed=3), simulate_screen(**small, seed=3)
    assert (one.adata.X != same.adata.X).nnz == 0
    assert (one.adata.X != simulate_screen(**small, seed=4).adata.X).nnz > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strength": 1.0}, "strength"),
        ({"shared": 2.0}, "shared"),
        ({"singles": 30}, "30 singles"),
        ({"singles": 3, "doubles": 4}, "4 doubles"),
    ],
)
def test_impossible_screens_are_refused(given: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        simulate_screen(**{"n_genes": 20, "singles": 5, "cells": 2, "controls": 2, **given})
