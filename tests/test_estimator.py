"""A model as a transformer of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import scgraph
from scgraph import CellEmbedder
from scgraph.errors import DataError
from tests.helpers import QUICK, make_cells

# The cells of the checks are no counts, and some are eight: values are declared, no counts are thinned, batches small.
CHECKED = {
    "model": {"channels": 4, "layers": 1, "rank": 2},
    "train": {"genes": 16, "epochs": 1, "batch_size": 4, "thinning": None},
}


@pytest.fixture(scope="module")
def fitted() -> CellEmbedder:
    return CellEmbedder(config=QUICK, device="cpu").fit(make_cells())


@parametrize_with_checks([CellEmbedder(config=CHECKED, values="linear", device="cpu")])
def test_it_passes_the_checks_of_scikit_learn(estimator: CellEmbedder, check: Any) -> None:
    check(estimator)


def test_its_vectors_are_those_of_embed_and_the_cells_stay_as_they_are(fitted: CellEmbedder) -> None:
    adata = make_cells(20, seed=3)
    vectors = fitted.transform(adata)
    assert not adata.obsm
    assert not adata.uns
    scgraph.tl.embed(adata, fitted.model_, device="cpu")
    assert np.array_equal(vectors, adata.obsm["X_scgraph"])
    assert vectors.dtype == np.float32
    assert list(fitted.get_feature_names_out()) == [f"cellembedder{at}" for at in range(16)]
    turned = make_cells(20, seed=3)[:, ::-1]
    assert np.array_equal(fitted.transform(turned), vectors)


def test_a_frame_names_the_genes_and_a_matrix_has_them_in_order(fitted: CellEmbedder) -> None:
    adata = make_cells()
    frame = pd.DataFrame(adata.X, columns=adata.var_names)
    framed = clone(fitted).fit(frame)
    assert list(framed.feature_names_in_) == list(fitted.feature_names_in_) == list(adata.var_names)
    assert framed.n_features_in_ == 40
    assert framed.transform(frame).shape == (90, 16)
    with pytest.raises(ValueError, match="feature names"):
        framed.transform(frame[frame.columns[::-1]])
    plain = clone(fitted).set_params(seed=1).fit(adata.X)
    assert set(plain.model_.vocabulary.symbols) == {f"gene{at}" for at in range(40)}
    assert plain.get_params()["seed"] == plain.model_.training().seed == 1


def test_layers_of_anndata_are_read(fitted: CellEmbedder) -> None:
    adata = make_cells()
    adata.layers["counts"] = adata.X.copy()
    adata.X = np.zeros_like(adata.X)
    vectors = fitted.transform(make_cells())
    assert np.array_equal(clone(fitted).set_params(layer="counts").fit(adata).transform(adata), vectors)


def test_cells_of_other_genes_are_refused(fitted: CellEmbedder) -> None:
    other = make_cells()
    other.var_names = [f"other{at}" for at in range(40)]
    with pytest.raises(DataError, match="0 of 40 genes matched"):
        fitted.transform(other)


def test_it_stands_in_a_pipeline_that_is_cross_validated() -> None:
    adata = make_cells(180)
    pipeline = make_pipeline(CellEmbedder(config=QUICK, device="cpu"), LogisticRegression())
    scores = cross_val_score(pipeline, adata.X, adata.obs["cell_type"].to_numpy(), cv=3)
    assert scores.min() > 0.5  # a third by chance
