"""Losses against plain formulas, and pretrainings by each of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from scgraph.config import TrainConfig
from scgraph.models import initial_model, load_model
from scgraph.train import embed, masked_value_loss, pretrain, validation_loss
from scgraph.train.loader import make_loader
from scgraph.train.loss import count_loss, neighbor_loss
from scgraph.train.neighbors import linear_vectors, neighbor_targets
from tests.train import helpers

if TYPE_CHECKING:
    from pathlib import Path


def test_count_loss_is_the_multinomial_likelihood_a_count() -> None:
    counts = torch.tensor([[3.0, 0.0, 1.0], [0.0, 5.0, 0.0], [0.0, 0.0, 0.0]])
    logits = torch.randn(3, 3, dtype=torch.float64).requires_grad_()
    cells, columns = counts.nonzero(as_tuple=True)
    shares = (counts / counts.sum(dim=1, keepdim=True).clamp(min=1))[cells, columns]
    loss = count_loss(logits.log_softmax(dim=1), columns + 1, shares, cells)
    distributions = [
        torch.distributions.Multinomial(int(row.sum()), logits=logit)
        for row, logit in zip(counts[:2], logits, strict=False)
    ]
    plain = [
        -(d.log_prob(row.double()) - _coefficient(row)) / row.sum()
        for d, row in zip(distributions, counts[:2], strict=True)
    ]
    torch.testing.assert_close(loss, (plain[0] + plain[1]) / 3)
    torch.autograd.backward(loss)
    assert not logits.grad[2].any()


def _coefficient(row: torch.Tensor) -> torch.Tensor:
    row = row.double()
    return torch.lgamma(row.sum() + 1) - torch.lgamma(row + 1).sum()


def test_neighbor_loss_is_the_mean_square() -> None:
    z, t = torch.randn(4, 6), torch.randn(4, 6)
    torch.testing.assert_close(neighbor_loss(z, t), torch.nn.functional.mse_loss(z, t))


def test_targets_lie_half_way_to_the_mean_of_the_nearest_training_cells() -> None:
    store = helpers.counted_store()
    train, validation = store.subset(np.arange(100)), store.subset(np.arange(100, 120))
    config = helpers.pooled_model()
    model = initial_model(config, helpers.counts_training(start="pca"), train)
    own, held_out = neighbor_targets(model, train, validation, neighbors=5, seed=0)
    z = embed(model, train, genes=None, device="cpu")
    np.testing.assert_allclose(linear_vectors(model, train), z, rtol=1e-4, atol=1e-4)
    for vectors, targets in ((z, own), (linear_vectors(model, validation), held_out)):
        assert targets is not None
        distance = ((vectors[:, None] - z[None]) ** 2).sum(axis=-1)
        nearest = np.argsort(distance, axis=1)[:, :5]
        np.testing.assert_allclose(targets, (vectors + z[nearest].mean(axis=1)) / 2, rtol=1e-3, atol=1e-3)


OBJECTIVES: dict[str, dict[str, Any]] = {
    "counts": {},
    "counts of all": {"thinning": None},
    "neighbors": {"count_loss": 0.0, "neighbor_loss": 1.0, "start": "pca", "thinning": (0.2, 1.0)},
    "all": {"mvp_loss": 1.0, "cell_loss": 0.5, "neighbor_loss": 1.0, "start": "pca"},
}


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_every_objective_lowers_its_validation_loss(objective: str) -> None:
    store = helpers.counted_store()
    train, validation = store.subset(np.arange(100)), store.subset(np.arange(100, 120))
    training = helpers.counts_training(epochs=8, **OBJECTIVES[objective])
    history = pretrain(helpers.pooled_model(cell_layers=1), training, train, validation).history
    losses = history["validation_loss"].to_numpy()
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert history["validation_mvp_loss"].notna().all() == (training.mvp_loss > 0)


@pytest.mark.parametrize("conv", ["gnn", "gnn-linear", "gcn", "gat", "tf", "hybrid", "mean", "none"])
def test_every_convolution_learns_from_every_objective_at_once(conv: str) -> None:
    training = helpers.counts_training(epochs=1, batch_size=40, **OBJECTIVES["all"])
    options = {"heads": 2} if conv in ("tf", "gat") else {}
    config = helpers.pooled_model(conv=conv, conv_options=options)
    store = helpers.counted_store()
    before = initial_model(config, training, store).state_dict()
    after = pretrain(config, training, store).model.state_dict()
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still <= {
        "pooled_readout.scale",
        "pooled_readout.bias",
        "encoder.transform.weight",
        "encoder.transform.largest",
    }


def test_asymmetric_models_learn_from_counts_too() -> None:
    config = helpers.pooled_model(asymmetric=True, decoder="none", decoder_layers=1)
    history = pretrain(config, helpers.counts_training(epochs=1), helpers.counted_store()).history
    assert np.isfinite(history["train_loss"]).all()


def test_frozen_tables_stay_as_they_start() -> None:
    training = helpers.counts_training(epochs=1, freeze_values=True, start="pca", neighbor_loss=1.0)
    config, store = helpers.pooled_model(), helpers.counted_store()
    before = initial_model(config, training, store).encoder.value.weight
    trained = pretrain(config, training, store).model
    assert torch.equal(before, trained.encoder.value.weight)
    assert all(weight.requires_grad for weight in trained.parameters())
    moved = pretrain(config, training.model_copy(update={"freeze_values": False}), store).model.encoder.value.weight
    assert not torch.equal(before, moved)


def test_the_rate_warms_up_and_falls_as_a_cosine() -> None:
    from scgraph.train.module import PretrainingModule

    training = helpers.counts_training(learning_rate=1.0, decoder_rate=3.0, warmup_share=0.1, schedule="cosine")
    model = initial_model(helpers.pooled_model(), training, helpers.counted_store())
    module = PretrainingModule(model, training, total_steps=100)
    optimizer = module.configure_optimizers()
    module._trainer = type("Trainer", (), {"optimizers": [optimizer]})()  # what Lightning sets
    rates, decoder = [], optimizer.param_groups[1]
    for step in range(100):
        module.steps_done = step
        module.on_train_batch_start(None, 0)  # type: ignore[arg-type]
        rates.append(optimizer.param_groups[0]["lr"])
        assert decoder["lr"] == pytest.approx(3 * rates[-1])
    assert model.cell_head is not None
    assert set(decoder["params"]) == set(model.cell_head.parameters())
    trained = {weight for group in optimizer.param_groups for weight in group["params"]}
    assert trained == {weight for weight in model.parameters() if weight.requires_grad}
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9]
    assert rates[50] == pytest.approx(0.5)
    assert 0 < rates[99] < 1e-3


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    settings = {"hidden_genes": (0.0, 0.7), "decoder_rate": 3.0, **OBJECTIVES["neighbors"]}
    training = helpers.counts_training(epochs=3, freeze_values=True, schedule="cosine", **settings)
    config = helpers.pooled_model(cell_layers=1, dropout=0.1)
    store = helpers.counted_store()
    parts = store.subset(np.arange(100)), store.subset(np.arange(100, 120))

    def stop(model: Any, epoch: int) -> None:
        if epoch == 1:
            raise ValueError("enough")

    whole = pretrain(config, training, *parts, out=tmp_path / "whole")
    with pytest.raises(ValueError, match="enough"):
        pretrain(config, training, *parts, out=tmp_path / "cut", on_epoch=stop)
    cut = pretrain(config, training, *parts, out=tmp_path / "cut", resume=True)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, cut.model.state_dict()[name]), name
    loaded = load_model(tmp_path / "cut").model
    shutil.rmtree(tmp_path / "cut")
    vectors = [embed(model, parts[1], genes=None, device="cpu") for model in (whole.model, loaded)]
    np.testing.assert_array_equal(*vectors)


def test_the_vector_of_a_cell_pools_all_genes_where_the_blocks_see_few() -> None:
    training = helpers.counts_training(epochs=1)
    store = helpers.counted_store()
    model = pretrain(helpers.pooled_model(), training, store).model
    few, whole = (embed(model, store, genes=genes, device="cpu") for genes in (4, None))
    batches = embed(model, store, genes=4, device="cpu", form="batches")
    np.testing.assert_allclose(few, batches, rtol=1e-3, atol=1e-4)
    model.pooled_readout.gate.data.zero_()  # type: ignore[union-attr]
    few, whole = (embed(model, store, genes=genes, device="cpu") for genes in (4, None))
    np.testing.assert_allclose(few, whole, rtol=1e-4, atol=1e-5)


def test_batches_show_the_blocks_genes_that_are_in_the_bag() -> None:
    training = helpers.counts_training(genes=5)
    loader = make_loader(helpers.counted_store(), helpers.pooled_model(), training, shuffle=True)
    batch = loader.batch(np.arange(8), 0, 0)
    assert batch.bag is not None
    assert batch.genes.shape == (8, 5)
    ends = [*batch.bag.starts.tolist()[1:], len(batch.bag.genes)]
    for row, (first, last) in enumerate(zip(batch.bag.starts.tolist(), ends, strict=True)):
        values = dict(zip(batch.bag.genes[first:last].tolist(), batch.bag.values[first:last].tolist(), strict=True))
        for gene, value in zip(batch.genes[row].tolist(), batch.values[row].tolist(), strict=True):
            assert gene == 0 or values[gene] == value
    assert not batch.mask.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mvp_loss": 0.0}, "must be above 0"),
        ({"neighbor_loss": 1.0}, "set start to pca"),
        ({"thinning": (0.7, 0.3)}, "not from 0.7 to 0.3"),
        ({"thinning": (0.3, 1.0), "count_loss": 1.0}, "must end below 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainConfig(**changes)


def test_the_loss_that_searches_compare_by_is_that_of_the_run_on_its_own_settings() -> None:
    store = helpers.counted_store()
    train, validation = store.subset(np.arange(100)), store.subset(np.arange(100, 120))
    training = helpers.counts_training(epochs=1)
    trained = pretrain(helpers.pooled_model(), training, train, validation)
    own = trained.history["validation_loss"].iloc[-1]
    assert validation_loss(trained.model, validation, training) == pytest.approx(own, rel=1e-4)
    shallower = training.model_copy(update={"thinning": (0.1, 0.1)})
    assert validation_loss(trained.model, validation, shallower) != pytest.approx(own, rel=1e-4)
    masked = helpers.small_training()
    assert validation_loss(trained.model, validation, masked) == masked_value_loss(trained.model, validation, masked)
