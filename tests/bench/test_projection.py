"""Two dimensions out of many: seeded, checked, and safe on degenerate features."""

from __future__ import annotations

import numpy as np
import pytest

from scgraph.bench.projection import project
from scgraph.errors import ConfigError


def test_projection_is_seeded_and_checked() -> None:
    x = np.random.default_rng(0).normal(size=(30, 5))
    assert np.array_equal(project(x, seed=1), project(x, seed=1))
    assert project(x).shape == (30, 2)
    with pytest.raises(ConfigError, match="Did you mean 'tsne'"):
        project(x, method="tsn")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3, 5), (20, 5), (1, 1)])
def test_features_without_variance(shape: tuple[int, int]) -> None:
    found = project(np.ones(shape))
    assert found.shape == (shape[0], 2)
    assert np.isfinite(found).all()


def test_groups_far_apart_stay_apart() -> None:
    x = np.random.default_rng(0).normal(size=(60, 8)) + 40.0 * (np.arange(60) % 2)[:, None]
    plane = project(x)
    first, second = plane[::2], plane[1::2]
    gap = np.linalg.norm(first.mean(0) - second.mean(0))
    assert gap > max(np.linalg.norm(first - first.mean(0), axis=1).max(), 1.0)


@pytest.mark.slow  # numba compiles umap-learn for half a minute
def test_umap() -> None:
    pytest.importorskip("umap", reason="umap-learn is optional")
    x = np.random.default_rng(0).normal(size=(30, 5))
    assert project(x, method="umap", seed=3).shape == (30, 2)
