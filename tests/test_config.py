"""Configurations: every one that ships is valid, and what is wrong is named."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from scgraph.cli.options import assignments
from scgraph.config import BenchConfig, ModelConfig, PretrainConfig, TrainConfig
from scgraph.config_files import as_bench_config, as_pretrain_config, config_names, load_yaml, merged, parse_config
from scgraph.drugs.config import DrugsConfig
from scgraph.errors import ConfigError
from scgraph.models.settings import settings_by_model
from scgraph.nn import AsymmetricModel, GeneModel
from scgraph.nn.cell_model import CellModel
from scgraph.nn.encoder import GeneEncoder
from scgraph.perturb.config import PerturbConfig
from scgraph.synthetic.config import SyntheticConfig
from scgraph.tune.config import Range, TuneConfig

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", [name for name in config_names() if name.startswith("bench/")])
def test_shipped_benches_are_valid(name: str) -> None:
    config = parse_config(BenchConfig, load_yaml(name), source=name)
    for settings in [{}, *config.per_model.values()]:
        parse_config(ModelConfig, merged(config.model.model_dump(), settings), source=name)


def test_defaults_are_the_papers_sizes() -> None:
    model, train = ModelConfig(), BenchConfig().train
    assert (model.layers, model.channels, model.rank) == (6, 256, 48)
    assert (train.genes, train.batch_size, train.epochs, train.learning_rate) == (512, 256, 10, 2e-4)


def test_every_setting_of_a_model_reaches_it() -> None:
    GeneModel(5, **ModelConfig(channels=8, layers=1, rank=2).model_kwargs())


def test_sizes_are_stated_once_and_what_else_a_model_may_leave_out_is_the_same() -> None:
    stated = {key: field.get_default(call_default_factory=True) for key, field in ModelConfig.model_fields.items()}
    for cls in (CellModel, AsymmetricModel):
        for name, parameter in inspect.signature(cls).parameters.items():
            if name in ("channels", "layers", "rank", "decoder_layers"):
                assert parameter.default is inspect.Parameter.empty
            elif name in stated and name != "network":
                assert (parameter.default or None) == (stated[name] or None), name
    assert inspect.signature(GeneEncoder).parameters["bins"].default == stated["value_bins"]


def test_every_field_is_described() -> None:
    for cls in (ModelConfig, type(BenchConfig().train), type(BenchConfig().probe)):
        assert all(field.description for field in cls.model_fields.values())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"train": {"epoch": 3}}, "there is no key 'train.epoch'. Did you mean 'epochs'?"),
        ({"modell": {}}, "Did you mean 'model'?"),
        ({"train": {"epochs": 0}}, "train.epochs: Input should be greater than or equal to 1, not 0."),
        ({"train": {"mask_share": 1.0}}, "train.mask_share"),
        ({"test_share": 0.8, "validation_share": 0.3}, "nothing is left to train on"),
        ({"model": {"channels": "wide"}}, "model.channels"),
    ],
)
def test_wrong_settings_are_named(data: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(BenchConfig, data, source="mine.yaml")
    assert str(error.value).startswith("mine.yaml: ")
    assert said in str(error.value)


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "inf", "nan", "1e999"])
@pytest.mark.parametrize(
    ("cls", "path"),
    [
        (BenchConfig, "train.learning_rate"),
        (BenchConfig, "train.epochs"),
        (BenchConfig, "train.clip"),
        (BenchConfig, "probe.weight_decay"),
        (BenchConfig, "equivalence_margin"),
        (BenchConfig, "model.dropout"),
        (TuneConfig, "heartbeat_seconds"),
        (PerturbConfig, "network.learning_rate"),
        (DrugsConfig, "network.learning_rate"),
        (DrugsConfig, "synergistic"),
        (SyntheticConfig, "learning_rate"),
    ],
)
def test_numbers_are_finite(cls: type[Any], path: str, number: str) -> None:
    with pytest.raises(ConfigError, match=f"^x: {path}: .*(finite|valid integer)"):
        parse_config(cls, assignments([f"{path}={number}"]), source="x")


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1.0e+999"])
@pytest.mark.parametrize(
    ("cls", "path"),
    [
        (BenchConfig, "per_model.gnn.dropout"),
        (BenchConfig, "train_per_model.gnn.learning_rate"),
        (BenchConfig, "model.conv_options.slope"),
        (TuneConfig, "bench.train.learning_rate"),
        (TuneConfig, "space.train.learning_rate.high"),
        (Range, "high"),
    ],
)
def test_numbers_in_plain_data_are_finite(cls: type[Any], path: str, number: str) -> None:
    with pytest.raises(ConfigError, match=f"^x: {path}: must be a finite number"):
        parse_config(cls, assignments([f"{path}={number}"]), source="x")
    with pytest.raises(ConfigError, match=r"^x: space\.train\.dropout\.1: must be a finite number, not inf"):
        parse_config(TuneConfig, {"space": {"train": {"dropout": [0, float("inf")]}}}, source="x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1\n", "holds list"),
        ("a: [", "cannot be read as YAML"),
        ("\x00", "cannot be read as YAML"),
        ("[" * 5000 + "]" * 5000, "cannot be read as YAML: nested more than 100 levels deep"),
        ("train:\n  epochs: 1\n  epochs: 2\n", r"mine\.yaml: .*'epochs' stands twice, first in line 2"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_yaml(path)


def test_merging_is_deep_and_changes_nothing() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged(base, {"a": {"b": 5}}, {"d": 6}) == {"a": {"b": 5, "c": 2}, "d": 6}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize(("cells", "epochs"), [(10, 20), (6400, 15), (10**7, 1)])
def test_epochs_are_cut_to_the_steps_allowed(cells: int, epochs: int) -> None:
    config = parse_config(BenchConfig, {"train": {"epochs": 20, "batch_size": 64}, "max_steps": 1500}, source="test")
    assert config.train_for(cells, seed=7).epochs == epochs
    assert config.train_for(cells, seed=7).seed == 7
    assert BenchConfig().train_for(cells).epochs == 10


def test_an_automatic_batch_is_of_128_cells_or_all_that_there_are() -> None:
    config = BenchConfig(train=TrainConfig(batch_size="auto", epochs=200), max_steps=500)
    assert [config.train.cells_a_step(cells) for cells in (0, 60, 128, 5000)] == [1, 60, 128, 128]
    assert [config.train_for(cells).epochs for cells in (60, 640)] == [200, 100]
    with pytest.raises(ConfigError, match=r"x: batch_size: Input should be a whole number of 1 or more, or auto, not"):
        parse_config(TrainConfig, {"batch_size": "all"}, source="x")


@pytest.mark.parametrize("value", [0, -3, 1.5, True, "few", [1]])
def test_genes_to_embed_are_a_number_or_all(value: object) -> None:
    with pytest.raises(ConfigError, match=r"x: embed_genes: Input should be a whole number of 1 or more, or all, not"):
        parse_config(TrainConfig, {"embed_genes": value}, source="x")


def test_genes_to_embed() -> None:
    assert TrainConfig(genes=9).genes_to_embed() == 9
    assert TrainConfig(genes=9, embed_genes=20).genes_to_embed() == 20
    assert TrainConfig(genes=9, embed_genes="all").genes_to_embed() is None


def test_a_start_at_components_needs_the_product_encoding() -> None:
    with pytest.raises(ConfigError, match=r"x: train\.start pca sets the table of the product encoding"):
        parse_config(BenchConfig, {"model": {}, "train": {"start": "pca"}}, source="x")
    of_one = as_bench_config({"per_model": {"tf": {"value_encoding": "linear"}}})
    with pytest.raises(ConfigError, match=r"model tf: train\.start pca sets the table of the product encoding"):
        settings_by_model(["gnn", "tf"], of_one)


def test_the_papers_settings_take_nothing_from_the_default_ones() -> None:
    def keys(data: dict[str, Any], before: str = "") -> set[str]:
        return {
            name
            for key, value in data.items()
            for name in (keys(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}"})
        }

    paper, default = load_yaml("bench/paper"), load_yaml("bench/default")
    assert keys(default) <= keys(paper)
    assert parse_config(TrainConfig, paper["train"], source="") == TrainConfig()
    assert parse_config(ModelConfig, paper["model"], source="") == ModelConfig()


def test_a_pretraining_takes_the_configuration_of_a_bench() -> None:
    """One file serves both: what only a bench needs is checked, and no part of a pretraining's settings."""
    assert as_pretrain_config("bench/default") == as_bench_config("bench/default")
    assert as_pretrain_config({"probe": {"kind": "adam", "epochs": 3}, "train": {"epochs": 4}}).train.epochs == 4
    with pytest.raises(ConfigError, match=r"there is no key 'probe.epoch'. Did you mean 'epochs'"):
        as_pretrain_config({"probe": {"epoch": 3}})
    own = PretrainConfig(train=TrainConfig(epochs=4))
    assert as_pretrain_config(own) is own
    assert not {"probe", "probe_per_model", "seeds", "test_share"} & set(PretrainConfig.model_fields)


def test_settings_that_a_probe_does_not_have_are_said_to_have_no_effect() -> None:
    probe = as_bench_config({"probe": {"epochs": 3, "batch_size": 8}}).probe
    assert probe.without_effect() == (
        "probe.epochs and probe.batch_size: no effect, as logistic regression has no such settings; they are of "
        "probe.kind adam."
    )
    assert as_bench_config({}).probe.without_effect() == ""
    assert as_bench_config({"probe": {"kind": "adam", "epochs": 3}}).probe.without_effect() == ""
    assert as_bench_config({"probe": {"kind": "adam", "epochs": 3}}).probe.epochs == 3
    written = as_bench_config("bench/paper").model_dump(mode="json")
    assert as_bench_config(written).probe.kind == "adam"
