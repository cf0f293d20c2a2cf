"""What a pretraining starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from scgraph.errors import ConfigError
from scgraph.models import initial_model
from scgraph.models.loadings import component_loadings
from scgraph.train import embed
from tests.train import helpers


def settings(**model: Any) -> tuple[Any, Any]:
    config = helpers.small_model(conv="none", value_encoding="product", readout_norm=False, embedding_sd=0.5, **model)
    return config, helpers.small_training(start="pca")


def test_vectors_start_as_scores_of_principal_components() -> None:
    config, training = settings()
    store = helpers.small_store()
    model = initial_model(config, training, store)
    for block in model.blocks:
        torch.nn.init.zeros_(block.conv.linear.weight)
        torch.nn.init.zeros_(block.conv.linear.bias)
    torch.nn.init.zeros_(model.encoder.gene.weight)
    vectors = embed(model, store, genes=None, device="cpu") * np.diff(store.indptr)[:, None]
    matrix = store.matrix().toarray()
    pca = PCA(16).fit(matrix)
    scores = matrix @ pca.components_.T
    along = [abs(np.corrcoef(vectors[:, k], scores[:, k])[0, 1]) for k in range(8)]
    assert min(along) > 0.999
    assert model.encoder.value.weight[1:].std().item() == pytest.approx(0.5, rel=1e-3)
    assert not model.encoder.value.weight[0].any()


def test_the_start_is_a_function_of_seed_and_cells() -> None:
    config, training = settings()
    store = helpers.small_store()
    first, again = (initial_model(config, training, store).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    random = initial_model(config, training.model_copy(update={"start": "random"}), store).state_dict()
    other = [name for name in first if not torch.equal(first[name], random[name])]
    assert other == ["encoder.gene.weight", "encoder.value.weight"]
    fewer = initial_model(config, training, store.subset(np.arange(60))).state_dict()
    assert not torch.equal(fewer["encoder.value.weight"], first["encoder.value.weight"])


def test_cells_are_decomposed_once_for_every_kind_width_and_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same start as of a store that nothing was computed of before."""
    config, training = settings()
    wider, other = settings(channels=24)[0], training.model_copy(update={"seed": training.seed + 1})
    asked = [(config, training), (config, training), (wider, training), (config, other), (config, training)]
    apart = [initial_model(*one, helpers.small_store()).state_dict() for one in asked]
    widths: list[int] = []

    def watched(matrix: Any, components: int, **more: Any) -> Any:
        widths.append(components)
        return component_loadings(matrix, components, **more)

    monkeypatch.setattr("scgraph.models.initial.component_loadings", watched)
    store = helpers.small_store()
    together = [initial_model(*one, store).state_dict() for one in asked]
    assert widths == [16, 24, 16]
    for first, second in zip(apart, together, strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_channels_beyond_the_components_stay_random() -> None:
    config, training = settings(channels=64)
    store = helpers.small_store(12)
    random = initial_model(config, training.model_copy(update={"start": "random"}), store)
    model = initial_model(config, training, store)
    same = (model.encoder.value.weight == random.encoder.value.weight)[1:].all(dim=0)
    assert same.tolist() == [False] * 11 + [True] * 53


def test_the_linear_encoding_has_no_table_to_start() -> None:
    with pytest.raises(ConfigError, match=r"train\.start: pca sets the table of the product encoding"):
        initial_model(helpers.small_model(), helpers.small_training(start="pca"), helpers.small_store())
