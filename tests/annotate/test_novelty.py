"""How unlike every class a cell is: the ratio is what it is defined as, and finds what a softmax is sure of."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import scgraph
from scgraph.annotate.folds import make_folds
from scgraph.annotate.measure import hold_out, leave_classes_out
from scgraph.annotate.novelty import ClassDensities, NoveltyScale
from scgraph.errors import ConfigError, ModelFileError
from tests.annotate.conftest import query_cells, reference_cells

if TYPE_CHECKING:
    from pathlib import Path


def clouds(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes beside each other on the first of five axes, as wide as each other."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 2
    x = rng.normal(size=(n, 5)) * [0.5, 1, 1, 1, 1]
    x[:, 0] += 4 * codes
    return x, codes


def test_the_ratio_is_that_of_the_densities() -> None:
    from scipy.stats import multivariate_normal
    from sklearn.covariance import ledoit_wolf

    x, codes = clouds(400, seed=0)
    query = np.random.default_rng(1).normal(size=(20, 5)) * 3
    centres = [x[codes == code].mean(axis=0) for code in (0, 1)]
    within, _ = ledoit_wolf(x - np.asarray(centres)[codes], assume_centered=True)
    every = within + np.cov(np.asarray(centres).T, ddof=0)
    best = np.max([multivariate_normal(centre, within).logpdf(query) for centre in centres], axis=0)
    expected = multivariate_normal(x.mean(axis=0), every).logpdf(query) - best
    np.testing.assert_allclose(ClassDensities.fit(x, codes)(query), expected, rtol=1e-8)


def test_what_lies_between_classes_is_new_and_what_lies_within_is_not() -> None:
    x, codes = clouds(600, seed=0)
    scale = NoveltyScale.fit(x[:300], codes[:300], ClassDensities.fit(x[:300], codes[:300])(x[300:]))
    again, _ = clouds(2000, seed=2)
    assert (scale(again) > 0.96).mean() == pytest.approx(0.04, abs=0.03)
    assert (scale(np.asarray([[2.0, 0, 0, 0, 0]])) > 0.99).all()
    assert scale(x[:5]).min() >= 0
    assert scale(np.full((1, 5), 1e3)).max() <= 1


def test_features_that_do_not_vary_give_finite_ratios() -> None:
    x, codes = clouds(40, seed=0)
    x[:, 3] = 7.0
    assert np.isfinite(ClassDensities.fit(x, codes)(x)).all()
    assert np.isfinite(ClassDensities.fit(np.ones((6, 2)), np.arange(6) % 2)(np.ones((3, 2)))).all()


def test_a_class_between_the_others_is_left_out_and_found() -> None:
    """A softmax gives every cell to one side; only the densities see that nobody stands there."""
    x, codes = clouds(300, seed=0)
    rng = np.random.default_rng(3)
    between = rng.normal(size=(150, 5)) * 0.3 + [2, 3, 0, 0, 0]
    x, codes = np.r_[x, between].astype(np.float32), np.r_[codes, np.full(150, 2)]
    folds = make_folds(["a", "b", "new"], codes, None, seed=0)
    measured = hold_out("x", lambda _: x, codes, folds, classes=3)
    rows = leave_classes_out(measured, x, codes, ["a", "b", "new"], seed=0)
    assert rows[2]["unknown"] > 0.9
    assert measured.unknown < 0.12
    assert len(measured.ratios) == round(measured.scores["accuracy"] * 450)


def test_limits_of_ones_own_are_taken_and_the_novelty_is_written(folder: Path) -> None:
    labelled = ad.read_h5ad(folder / "labelled.h5ad")
    novelty, record = labelled.obs["scgraph_novelty"].to_numpy(), json.loads((folder / "it.json").read_text())
    assert np.isnan(novelty[90]), "a cell without counts"
    assert ((novelty[:90] >= 0) & (novelty[:90] <= 1)).all()
    unknown = labelled.obs["scgraph_label"].astype(str).to_numpy() == "unknown"
    assert unknown[:90][novelty[:90] > record["max_novelty"]].all()
    adata = query_cells()
    scgraph.annotate(adata, model=folder / "classifier", threshold=0.0, max_novelty=1.0)
    assert (adata.obs["scgraph_label"].astype(str) == "unknown").sum() == 1
    scgraph.annotate(adata, model=folder / "classifier", threshold=0.0, max_novelty=0.5)
    said = adata.obs["scgraph_label"].astype(str).to_numpy()[:90] == "unknown"
    assert np.array_equal(said, novelty[:90] > 0.5)
    assert 0 < said.sum() < 90
    with pytest.raises(ConfigError, match="max_novelty"):
        scgraph.annotate(adata, model=folder / "classifier", max_novelty=1.5)


def test_a_classifier_of_format_1_is_read_and_asks_for_the_probability_alone(folder: Path, tmp_path: Path) -> None:
    old = shutil.copytree(folder / "classifier", tmp_path / "old")
    description = json.loads((old / "classifier.json").read_text())
    description["format"] = 1
    del description["novelty"]
    (old / "classifier.json").write_text(json.dumps(description))
    said: list[str] = []
    adata, now = query_cells(), query_cells()
    scgraph.annotate(adata, model=old, say=said.append)
    scgraph.annotate(now, model=folder / "classifier", max_novelty=1.0)
    assert adata.obs["scgraph_novelty"].isna().all()
    assert adata.obs["scgraph_label"].astype(str).tolist() == now.obs["scgraph_label"].astype(str).tolist()
    assert any("format 1" in text and "(save)" in text for text in said)


@pytest.mark.parametrize("change", ["lost", "order", "shape"])
def test_densities_that_do_not_fit_are_refused(folder: Path, tmp_path: Path, change: str) -> None:
    copy = shutil.copytree(folder / "classifier", tmp_path / "classifier")
    path = copy / "classifier.safetensors"
    tensors = load_file(path)
    if change == "lost":
        del tensors["novelty.precision"]
    elif change == "order":
        tensors["novelty.quantiles"] = tensors["novelty.quantiles"][::-1].copy()
    else:
        tensors["novelty.centres"] = tensors["novelty.centres"][:, 1:].copy()
    from scgraph.models.tensors import read_tensors

    save_file(tensors, path, read_tensors(folder / "classifier" / "classifier.safetensors")[1])
    with pytest.raises(ModelFileError, match="Copy the whole folder"):
        scgraph.annotate(query_cells(), model=copy)


def test_a_class_that_the_reference_lacks_is_found_by_its_novelty() -> None:
    reference, query = reference_cells(), query_cells()[:90].copy()
    scgraph.annotate(query, reference[reference.obs["cell_type"] != "type 2"].copy(), threshold=0.0)
    unknown = query.obs["scgraph_label"].astype(str) == "unknown"
    share = unknown.groupby(query.obs["cell_type"].astype(str)).mean()
    assert share["type 2"] > 0.5
    assert max(share["type 0"], share["type 1"]) < 0.3
