"""Training with a decoder: which zeros are seen, what the loss is the mean of, and that everything around it holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from scgraph.config import ModelConfig
from scgraph.config_files import as_bench_config, load_yaml, merged
from scgraph.data.sampling.genes import mask_reference
from scgraph.data.sampling.zeros import zeros_reference
from scgraph.errors import ConfigError, ModelFileError
from scgraph.models import build_model, load_model, save_model
from scgraph.models.names import model_name
from scgraph.models.settings import settings_by_model
from scgraph.nn import AsymmetricModel
from scgraph.nn.conv.registry import conv_class, register_conv
from scgraph.train import embed, masked_value_loss, pretrain
from scgraph.train.checkpoint import Sums
from scgraph.train.distributed import collective
from scgraph.train.distributed.world import World
from scgraph.train.loader import CellLoader
from scgraph.train.module import PretrainingModule
from scgraph.tune.config import TuneConfig
from scgraph.tune.space import search_space
from tests.train import helpers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def config() -> ModelConfig:
    return helpers.small_model(asymmetric=True, decoder_layers=1, dropout=0.0)


@pytest.fixture(scope="module")
def loader() -> CellLoader:
    training = helpers.small_training(zero_genes=9, mask_share=0.3, zero_mask_share=0.2, seed=5)
    return CellLoader(helpers.small_store(), training, shuffle=True, zeros=True)


def test_zeros_follow_what_is_expressed(loader: CellLoader) -> None:
    rows, store = np.array([3, 40, 7]), loader.store
    batch = loader.batch(rows, 2, 0)
    plain = CellLoader(store, loader.config, shuffle=True).batch(rows, 2, 0)
    width = plain.genes.shape[1]
    assert torch.equal(batch.genes[:, :width], plain.genes)
    assert torch.equal(batch.mask[:, :width], plain.mask)
    assert not batch.values[:, width:].any()
    dense = store.matrix().toarray()
    for at, row in enumerate(rows):
        genes = store.genes.array[store.indptr[row] : store.indptr[row + 1]]
        zeros = zeros_reference(genes, store.keys[row], vocabulary_size=40, limit=9, seed=5, epoch=2)
        shown = batch.genes[at, width:].numpy()
        assert shown[: len(zeros)].tolist() == zeros.tolist()
        assert not dense[row, zeros - 1].any()
        hidden = mask_reference(shown, store.keys[row], share=0.2, seed=5, epoch=2, at_least=0)
        assert batch.mask[at, width:].tolist() == hidden.tolist()
    assert torch.equal(batch.masked_expressed[:, :width], plain.mask)
    assert not batch.masked_expressed[:, width:].any()
    assert batch.width == int(((plain.genes > 0) & ~plain.mask).sum(dim=1).max())
    assert plain.width is None


def test_batches_of_a_cell_agree_whatever_stands_beside_it(loader: CellLoader) -> None:
    alone, among = loader.batch(np.array([7]), 0, 0), loader.batch(np.array([90, 7, 3]), 0, 0)
    pairs = [
        {(int(g), float(v), bool(m)) for g, v, m in zip(b.genes[at], b.values[at], b.mask[at], strict=True) if g}
        for b, at in ((alone, 0), (among, 1))
    ]
    assert pairs[0] == pairs[1]
    stand_in = CellLoader(loader.store, loader.config, shuffle=True, zeros=True, world=World(size=2, rank=1))
    share = stand_in.share(np.array([7]), 0, 0)
    assert not share.mask.any()
    assert share.width == int((share.values > 0).sum())


def test_all_zeros_are_the_rest_of_the_vocabulary() -> None:
    training = helpers.small_training(zero_genes="all", genes=40)
    batch = CellLoader(helpers.small_store(), training, shuffle=True, zeros=True).batch(np.arange(5), 0, 0)
    assert [sorted(row[row > 0].tolist()) for row in batch.genes] == [list(range(1, 41))] * 5


def test_the_loss_is_the_mean_over_masked_zeros_and_values(loader: CellLoader, config: ModelConfig) -> None:
    model = build_model(40, **config.model_kwargs())
    batch = loader.batch(np.arange(12), 0, 0)
    losses = PretrainingModule(model, helpers.small_training(cell_loss=0.0), total_steps=1).losses(batch)
    with torch.no_grad():
        error = (model(batch.genes, batch.values, batch.mask).values - batch.values).square()
    expressed = batch.mask & (batch.values > 0)
    assert 0 < int(expressed.sum()) < int(batch.mask.sum())
    torch.testing.assert_close(losses["whole_loss"], error[batch.mask].mean())
    torch.testing.assert_close(losses["mvp_loss"], error[expressed].mean())
    assert (losses["masked"], losses["masked_expressed"]) == (int(batch.mask.sum()), int(expressed.sum()))
    assert losses["loss"].requires_grad
    assert not losses["mvp_loss"].requires_grad


def test_shares_of_a_batch_add_up(loader: CellLoader, config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two processes would tell each other, without the processes."""
    model = build_model(40, **config.model_kwargs())
    rows, training = np.arange(11), helpers.small_training()
    whole = PretrainingModule(model, training, total_steps=1).losses(loader.batch(rows, 0, 0))
    sent: list[list[float]] = []

    def collect(values: Any, _device: Any) -> list[float]:
        sent.append([float(value) for value in values])
        return sent[-1] if len(sent) <= 2 else np.sum(sent[:2], axis=0).tolist()

    monkeypatch.setattr(collective, "all_sum", collect)
    losses = []
    for rank in (0, 1, 0, 1):
        world = World(size=2, rank=rank, devices=2)
        share = CellLoader(loader.store, loader.config, shuffle=True, zeros=True, world=world).share(rows, 0, 0)
        losses.append(PretrainingModule(model, training, total_steps=1, world=world).losses(share))
    for name in ("whole_loss", "mvp_loss"):
        assert float(losses[3][name]) == pytest.approx(float(whole[name]), rel=1e-5)
    for name in ("masked", "masked_expressed"):
        assert losses[3][name] == whole[name]
    assert float(losses[2]["loss"].detach() + losses[3]["loss"].detach()) / 2 == pytest.approx(
        float(whole["loss"].detach()), rel=1e-5
    )


def test_sums_count_zeros_and_values_apart() -> None:
    sums = Sums()
    sums.add({"whole_loss": 1.0, "mvp_loss": 3.0, "masked": 10, "masked_expressed": 2})
    sums.add({"whole_loss": 2.0, "mvp_loss": 6.0, "masked": 10, "masked_expressed": 4})
    assert sums.means() == (1.5, 5.0)
    assert Sums(loss=1.0, mvp_loss=3.0, masked=3).means() == (1 / 3, 1.0)  # as kept before zeros were masked


class _StopError(Exception):
    pass


def test_a_run_is_gone_on_with_exactly_saved_and_embedded(config: ModelConfig, tmp_path: Path) -> None:
    config = config.model_copy(update={"conv": "gnn", "decoder": "gnn-linear", "value_encoding": "discretised"})
    training = helpers.small_training(epochs=2, batch_size=20, zero_mask_share=0.1, shuffle="blocks")
    whole = pretrain(config, training, *helpers.parts(), out=tmp_path / "whole")

    def stop(_model: Any, _epoch: int) -> None:
        raise _StopError

    with pytest.raises(_StopError):
        pretrain(config, training, *helpers.parts(), out=tmp_path / "run", on_epoch=stop)
    again = pretrain(config, training, *helpers.parts(), out=tmp_path / "run", resume=True)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name]), name
    columns = ["train_loss", "validation_loss", "train_mvp_loss", "validation_mvp_loss"]
    assert np.array_equal(whole.history[columns], again.history[columns])
    assert (whole.history["validation_mvp_loss"] != whole.history["validation_loss"]).all()
    saved = load_model(tmp_path / "run")
    assert isinstance(saved.model, AsymmetricModel)
    store = helpers.small_store()
    assert np.array_equal(embed(saved.model, store, genes=16), embed(whole.model, store, genes=16))
    loss = masked_value_loss(saved.model, helpers.parts()[1], training)
    assert loss == pytest.approx(whole.history["validation_mvp_loss"].iloc[-1], rel=1e-5)


def test_a_decoder_that_is_not_registered_is_never_imported(config: ModelConfig, tmp_path: Path) -> None:
    store = helpers.small_store(4)
    save_model(tmp_path / "run", build_model(40, **config.model_kwargs()), store.vocabulary, config, metadata={})
    path = tmp_path / "run" / "config.json"
    description = json.loads(path.read_text())
    description["model"]["decoder"] = "my_lab:Decoder"
    path.write_text(json.dumps(description))
    with pytest.raises(ModelFileError, match="asks for the convolution 'my_lab:Decoder'"):
        load_model(tmp_path / "run")


def test_names_say_the_arrangement() -> None:
    own = {"model": {"value_encoding": "linear"}, "per_model": {"asym:gnn": {"decoder_layers": 3}}}
    base = as_bench_config(merged(load_yaml("bench/mvp"), own))
    names = ["gnn", "asym:gnn", "xtrimogene", "asym:torch_geometric.nn.SAGEConv"]
    configs = {name: own.model for name, own in settings_by_model(names, base).items()}
    assert [config.asymmetric for config in configs.values()] == [False, True, True, True]
    assert [config.value_encoding for config in configs.values()] == ["linear", "linear", "discretised", "linear"]
    assert configs["asym:gnn"].convs() == ["gnn", "performer"]
    assert configs["asym:gnn"].decoder_layers == 3
    assert configs["gnn"].decoder_layers == 2
    assert configs["xtrimogene"].conv == "tf"
    assert configs["xtrimogene"].name() == "asym:tf"
    own = settings_by_model(["xtrimogene"], as_bench_config({"per_model": {"xtrimogene": {"value_encoding": "bins"}}}))
    assert own["xtrimogene"].model.value_encoding == "bins"
    assert model_name("asym:torch_geometric.nn.GCNConv").key == "asym:torch_geometric.nn.GCNConv"
    with pytest.raises(ConfigError, match="Did you mean 'gnn'"):
        model_name("asym:gnm")
    with pytest.raises(ConfigError, match="Did you mean 'xtrimogene'"):
        model_name("xtrimogen")
    for taken in ("xtrimogene", "asym:mine"):
        with pytest.raises(ConfigError, match="stands for an asymmetric model"):
            register_conv(taken)
    assert configs["xtrimogene"].readout == "mean"
    # It cannot start at components, and does not where others do; for it alone that is refused.
    default = as_bench_config({})
    assert settings_by_model(["xtrimogene"], default)["xtrimogene"].train.start == "random"
    assert settings_by_model(["gnn"], default)["gnn"].train.start == "pca"
    with pytest.raises(ConfigError, match="pca sets the table"):
        settings_by_model(["xtrimogene"], as_bench_config({"train_per_model": {"xtrimogene": {"start": "pca"}}}))


@pytest.mark.parametrize("asymmetric", [False, True])
def test_settings_say_of_the_model_what_it_says_of_itself(asymmetric: bool) -> None:
    config = ModelConfig(conv="tf", channels=16, layers=3, rank=2, asymmetric=asymmetric, decoder="mean")
    model = build_model(9, **config.model_kwargs())
    assert config.sees_zeros == model.sees_zeros
    said = [(conv_class(conv), blocks) for conv, blocks, _ in config.stacks()]
    assert said == [(type(stack.blocks[0].conv), len(stack.blocks)) for stack in model.stacks]


def test_a_search_knows_the_settings_of_the_decoder() -> None:
    tune = TuneConfig(
        space={"train": {"zero_mask_share": [0.03, 0.1]}, "model": {"decoder_layers": [1, 2]}},
        space_per_model={"asym:tf": {"model": {"decoder": ["performer", "gnn-linear"]}}},
    )
    by_model = settings_by_model(["asym:tf", "tf"], as_bench_config({}))
    space = search_space("asym:tf", tune, by_model["asym:tf"])
    assert {"model.decoder", "model.decoder_layers", "train.zero_mask_share", "model.conv_options.heads"} <= set(space)
    assert "model.decoder" not in search_space("tf", tune, by_model["tf"])
