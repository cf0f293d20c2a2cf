"""What earlier versions wrote, models and stores, is read and means the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

import scgraph
from scgraph.data import CellStore, Vocabulary, read_cells
from tests.models.write_old import MODELS, OLD, SIZES, TRAINING, cells

VECTORS = json.loads((OLD / "vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", MODELS)
def test_a_model_of_an_earlier_version_gives_the_vectors_it_gave(folder: str) -> None:
    adata = cells()
    scgraph.embed(adata, OLD / folder, device="cpu")
    np.testing.assert_allclose(adata.obsm["X_scgraph"][:3], VECTORS[folder], rtol=1e-4, atol=1e-5)


def test_a_store_of_an_earlier_version_holds_the_cells_it_held() -> None:
    read = read_cells(cells())
    memory = CellStore.from_cells(read, Vocabulary.from_cells([read]))
    disk = CellStore.open(OLD / "store", verify=True)
    assert disk.vocabulary == memory.vocabulary
    np.testing.assert_array_equal(disk.matrix().toarray(), memory.matrix().toarray())


def test_a_store_of_an_earlier_version_is_trained_on() -> None:
    trained = scgraph.pretrain([OLD / "store"], model="gnn", config={"model": SIZES, "train": TRAINING})
    assert np.isfinite(trained.history["train_loss"]).all()
