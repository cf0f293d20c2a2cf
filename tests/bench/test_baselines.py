"""The baselines reach what they are known to reach, and see nothing of the test part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from scgraph.bench.baselines import INVERSE_PENALTIES, majority, pca_logreg
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.data.sets.splits import make_split
from scgraph.errors import DataError
from scgraph.reporting.statistics import score

if TYPE_CHECKING:
    from pathlib import Path


def test_majority() -> None:
    found = majority([2, 1, 1, 2, 2], 3)
    assert found.predictions.tolist() == [2, 2, 2]
    assert "60.0%" in found.note
    with pytest.raises(DataError, match="empty"):
        majority([], 3)


def test_predictions_of_a_cell_do_not_depend_on_the_other_test_cells() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = sparse.csr_matrix(rng.poisson(1.0, (90, 40)) + 3.0 * np.eye(40)[y])
    known = (x[:60], y[:60], x[60:70], y[60:70])
    everything = pca_logreg(*known, x[70:], components=5, seed=0)
    alone = pca_logreg(*known, x[75:76], components=5, seed=0)
    assert alone.predictions[0] == everything.predictions[5]
    assert score(y[70:], everything.predictions)["accuracy"] > 0.6
    assert "5 components" in everything.note


def test_components_are_those_of_the_train_part_alone() -> None:
    """Test cells that vary widely in other genes would turn every component their way."""
    rng = np.random.default_rng(0)
    y = np.arange(180) % 3
    x = rng.normal(size=(180, 40)) + 4.0 * np.eye(40)[y]
    x[120:, 20:] += 100.0 * rng.normal(size=(60, 20))
    x = sparse.csr_matrix(x)
    found = pca_logreg(x[:90], y[:90], x[90:120], y[90:120], x[120:], components=2, seed=0)
    alone = PCA(2, svd_solver="arpack", random_state=0).fit(x[:90])
    model = LogisticRegression(C=0.1).fit(alone.transform(x[:90]), y[:90])
    assert (found.predictions == model.predict(alone.transform(x[120:]))).mean() > 0.9


def test_the_validation_part_chooses_the_penalty() -> None:
    """Validation cells labelled as one penalty would predict them make it the best, whatever suits the train part."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 120)
    x = sparse.csr_matrix(rng.normal(size=(1120, 30)) + 0.6 * np.eye(30)[rng.integers(0, 3, 1120)])
    train, validation, test = x[:120], x[120:620], x[620:]
    pca = PCA(20, svd_solver="arpack", random_state=0).fit(train)
    chosen = []
    for penalty in (min(INVERSE_PENALTIES), max(INVERSE_PENALTIES)):
        model = LogisticRegression(C=penalty, max_iter=2000).fit(pca.transform(train), y)
        labels = model.predict(pca.transform(validation))
        found = pca_logreg(train, y, validation, labels, test, components=20, seed=0)
        assert (found.predictions == model.predict(pca.transform(test))).mean() > 0.97
        chosen.append(found.predictions)
    assert (chosen[0] == chosen[1]).mean() < 0.9


def test_components_are_capped_by_the_data() -> None:
    x = sparse.csr_matrix(np.random.default_rng(0).random((8, 5)))
    y = np.array([0, 1] * 4)
    assert "4 components" in pca_logreg(x, y, x, y, x, seed=0).note


def test_known_level_on_the_cells_that_scanpy_carries() -> None:
    probe = read_probe_sets(["pbmc68k_reduced"])[0]
    reached = level(probe.cells.normalized(), probe.codes)
    # .788/.635 on average over ten random splits, with a standard deviation of .017/.027
    assert reached["accuracy"] > 0.72
    assert reached["macro_f1"] > 0.52


def test_known_level_on_real_cells(shared_data: Path) -> None:
    import anndata

    cells = anndata.read_h5ad(shared_data / "pbmc3k.h5ad")
    counts = sparse.csr_matrix(cells.X, dtype=np.float64)
    x = sparse.csr_matrix(sparse.diags(1e4 / np.asarray(counts.sum(1)).ravel()) @ counts).log1p()
    reached = level(x, cells.obs["cell_type"].cat.codes.to_numpy())
    # .910/.912 on average over random splits; the sd of one split is about .010/.018
    assert reached["accuracy"] > 0.88
    assert reached["macro_f1"] > 0.86


def level(x: sparse.csr_matrix, y: np.ndarray) -> dict[str, float]:
    """Scores of the baseline on the first random split."""
    split = make_split(y, seed=0)
    known = (x[split.train], y[split.train], x[split.validation], y[split.validation])
    found = pca_logreg(*known, x[split.test], components=50, seed=0)
    return score(y[split.test], found.predictions)
