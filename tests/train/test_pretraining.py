"""Pretraining: what it learns, refuses and leaves alone."""

from __future__ import annotations

import importlib
import random
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from scgraph.errors import ConfigError, DataError
from scgraph.models import initial_model, load_model
from scgraph.train import mvp_loss, pretrain
from tests.train import helpers

if TYPE_CHECKING:
    from pathlib import Path


def test_the_loss_is_the_mean_squared_error_of_the_masked_genes() -> None:
    prediction = torch.tensor([[1.0, 2.0, float("nan")], [0.0, 5.0, 1.0]], requires_grad=True)
    values = torch.tensor([[0.0, 4.0, 0.0], [9.0, 2.0, 9.0]])
    mask = torch.tensor([[True, True, False], [False, True, False]])
    loss = mvp_loss(prediction, values, mask)
    assert loss.item() == pytest.approx((1 + 4 + 9) / 3)
    loss.backward()
    assert prediction.grad is not None
    assert prediction.grad[~mask].eq(0).all()


def test_without_masked_genes_the_loss_and_its_gradient_are_zero() -> None:
    prediction = torch.ones(2, 3, requires_grad=True)
    loss = mvp_loss(prediction, torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert prediction.grad is not None
    assert prediction.grad.eq(0).all()


def test_a_run_in_memory_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    importlib.import_module("scgraph.train.module")  # importing Lightning draws from Python's generator
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002 - the global one
    threads, handler = torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    result = pretrain(helpers.small_model(), helpers.small_training(epochs=1), *helpers.parts())
    assert len(result.history) == 1
    assert not result.model.training
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002 - the global one
    assert random.getstate() == before[2]
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert signal.getsignal(signal.SIGINT) is handler


def test_seeds_decide_the_outcome() -> None:
    weights = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed * 11)
        training = helpers.small_training(epochs=1, seed=seed)
        weights.append(pretrain(helpers.small_model(), training, *helpers.parts()).model.state_dict())
    first, again, other = weights
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def largest_step(**settings: Any) -> float:
    """How far the first step moves a weight, in learning rates: by one of them, whatever the gradient is, says Adam."""
    training = helpers.small_training(**{"batch_size": 100, "epochs": 4, "warmup_share": 0.0} | settings)
    train, validation = helpers.parts()
    before = initial_model(helpers.small_model(), training, train).state_dict()
    after: dict[str, torch.Tensor] = {}

    def copy_weights(model: Any, epoch: int) -> None:
        if epoch == 0:
            after.update({name: weight.detach().clone() for name, weight in model.state_dict().items()})

    pretrain(helpers.small_model(), training, train, validation, on_epoch=copy_weights)
    moved = max(float((after[name] - weight).abs().max()) for name, weight in before.items())
    return moved / training.learning_rate


def test_the_rate_rises_over_the_warm_up() -> None:
    assert largest_step() == pytest.approx(1, rel=0.01)
    assert largest_step(warmup_share=0.75) == pytest.approx(1 / 3, rel=0.01)
    assert largest_step(warmup_share=0.5) == pytest.approx(1 / 2, rel=0.01)


def test_gradients_are_clipped() -> None:
    """Far below the 1e-8 that Adam adds to the size of a gradient, a clipped one moves nothing."""
    assert largest_step(clip=None) == pytest.approx(1, rel=0.01)
    assert largest_step(clip=1e-10) < 0.02


def test_the_loss_of_the_cell_counts_by_its_weight() -> None:
    beside = {}
    for weight in (0.0, 0.5, 2.0):
        training = helpers.small_training(epochs=1, batch_size=100, cell_loss=weight)
        first = pretrain(helpers.small_model(), training, *helpers.parts()).history.iloc[0]
        beside[weight] = first["train_loss"] - first["train_mvp_loss"]
    assert beside[0.0] == 0
    assert beside[0.5] > 0.01
    assert beside[2.0] == pytest.approx(4 * beside[0.5], rel=1e-3)


def test_every_step_has_a_dropout_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []

    def watched(dropout: torch.nn.Dropout, x: torch.Tensor) -> torch.Tensor:
        if dropout.training:
            drawn.append(float(torch.rand(1)))
        return x

    monkeypatch.setattr(torch.nn.Dropout, "forward", watched)
    pretrain(helpers.small_model(), helpers.small_training(epochs=2), *helpers.parts())
    assert len(set(drawn)) == len(drawn) == 2 * 2 * 25  # layers, epochs, steps


def test_threads_that_prepare_batches_change_nothing() -> None:
    results = [
        pretrain(helpers.small_model(), helpers.small_training(epochs=1, num_workers=workers), *helpers.parts())
        for workers in (0, 2)
    ]
    first, second = (result.model.state_dict() for result in results)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("at_odds", [True, False])
def test_patience_stops_and_keeps_the_best_epoch(tmp_path: Path, at_odds: bool) -> None:
    parts = helpers.parts_at_odds() if at_odds else helpers.parts()
    training = helpers.small_training(learning_rate=0.003, epochs=6, batch_size=20, patience=2, warmup_share=0.0)
    result = pretrain(helpers.small_model(), training, *parts, out=tmp_path / "run")
    losses = result.history["validation_loss"].to_numpy()
    if at_odds:
        assert len(losses) < 6
        assert len(losses) - 1 - losses.argmin() == 2
    else:
        assert losses.argmin() > 0
    saved = load_model(tmp_path / "run")
    assert saved.progress["epoch"] == losses.argmin()
    in_memory = pretrain(helpers.small_model(), training, *parts)
    for name, weight in saved.model.state_dict().items():
        assert torch.equal(weight, result.model.state_dict()[name])
        assert torch.equal(weight, in_memory.model.state_dict()[name])


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_train_and_give_a_float32_model(tmp_path: Path, precision: str) -> None:
    training = helpers.small_training(precision=precision, epochs=1)
    result = pretrain(helpers.small_model(), training, *helpers.parts(), out=tmp_path / "run")
    assert np.isfinite(result.history[["train_loss", "validation_loss"]].to_numpy()).all()
    assert {weight.dtype for weight in result.model.parameters()} == {torch.float32}
    load_model(tmp_path / "run")


def test_cells_with_one_gene_are_left_out_and_said_aloud() -> None:
    train, validation = helpers.parts()
    lengths = np.minimum(np.diff(train.indptr), np.where(np.arange(len(train)) < 9, 1, 99))
    entries = np.concatenate([np.arange(a, a + n) for a, n in zip(train.indptr[:-1], lengths, strict=True)])
    ends = np.concatenate([[0], np.cumsum(lengths)])
    thin = type(train).from_arrays(
        ends, train.genes.array[entries], train.values.array[entries], train.keys, train.vocabulary
    )
    result = pretrain(helpers.small_model(), helpers.small_training(epochs=1), thin, validation)
    assert result.history["step"].iloc[0] == -(-91 // 4)
    assert "9 of 100 training cells" in result.notes[0]
    empty = thin.subset(np.arange(9))
    with pytest.raises(DataError, match="None of the 9 training cells"):
        pretrain(helpers.small_model(), helpers.small_training(batch_size=2), empty)


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({}, {"batch_size": 101}, "batch_size is 101, and there are 100 training cells"),
        ({}, {"genes": 1}, "genes must be at least 2"),
        ({"cell_head": False}, {}, "cell head"),
        ({}, {"device": "cuda:99"}, "not on this machine"),
        ({}, {"device": "gpu0"}, "no device 'gpu0'"),
        ({}, {"precision": "16-mixed"}, "needs a GPU"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_written(
    tmp_path: Path, model: dict[str, Any], training: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrain(
            helpers.small_model(**model), helpers.small_training(**training), *helpers.parts(), out=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


def test_an_automatic_batch_holds_all_cells_of_a_small_set() -> None:
    train, validation = helpers.parts()
    automatic, whole = (
        pretrain(helpers.small_model(), helpers.small_training(batch_size=size, epochs=2), train, validation)
        for size in ("auto", 100)
    )
    assert automatic.history["step"].tolist() == [1, 2]
    for one, other in zip(automatic.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_patience_needs_validation_cells() -> None:
    with pytest.raises(ConfigError, match="validation cells"):
        pretrain(helpers.small_model(), helpers.small_training(patience=1), helpers.parts()[0])
