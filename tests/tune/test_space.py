"""Search spaces: where they come from, what is refused, what the first trial runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
import pytest

from scgraph.config_files import config_names
from scgraph.errors import ConfigError
from scgraph.models.settings import settings_by_model
from scgraph.nn.conv.registry import conv_class, conv_names
from scgraph.tune.config import Range, TuneConfig, as_tune_config, base_settings
from scgraph.tune.space import (
    default_values,
    distributions,
    format_distribution,
    search_space,
    trial_settings,
    with_values,
)

if TYPE_CHECKING:
    from scgraph.config import BenchConfig


def spaces(model: str, **config: Any) -> dict[str, Any]:
    settings = as_tune_config(config)
    return search_space(model, settings, start(model, settings))


def start(model: str, config: TuneConfig) -> BenchConfig:
    return settings_by_model([model], base_settings(config))[model]


@pytest.mark.parametrize("name", [name for name in config_names() if name.startswith("tune/")])
@pytest.mark.parametrize("model", conv_names())
def test_shipped_searches_hold_for_every_model(name: str, model: str) -> None:
    config = as_tune_config(name)
    space = search_space(model, config, start(model, config))
    assert distributions(space).keys() == space.keys()
    own = {path.rsplit(".", 1)[-1] for path in space}
    assert set(conv_class(model).search_space) <= own
    first = default_values(model, space, start(model, config))
    if name == "tune/default":
        assert set(first) == set(space)  # the first trial runs the settings the search starts from, all of them


def test_every_field_is_described() -> None:
    undescribed = {name for name, field in TuneConfig.model_fields.items() if not field.description}
    assert undescribed == {"pruner"}  # described by its own fields


def test_a_conv_brings_its_own_space_and_a_study_may_change_it() -> None:
    space = spaces("tf")
    assert space["model.conv_options.heads"] == (1, 2, 4, 8)
    assert space["model.channels"] == (32, 64, 128)
    assert "model.rank" not in space
    assert spaces("gnn")["model.rank"] == (16, 32, 48, 96)
    changed = spaces(
        "tf",
        space={"model": {"channels": None}, "train": {"learning_rate": [0.01]}},
        space_per_model={"tf": {"model": {"conv_options": {"heads": [2]}, "dropout": {"low": 0, "high": 0.5}}}},
    )
    assert changed["model.conv_options.heads"] == (2,)
    assert "model.channels" not in changed
    assert changed["train.learning_rate"] == (0.01,)
    assert changed["model.dropout"] == Range(low=0, high=0.5)


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"trian": {}}, "space: there is no part 'trian'. Did you mean 'train'?"),
        ({"train": {"learning_rat": [1]}}, "space.train.learning_rat: is no setting. Did you mean 'learning_rate'?"),
        ({"train": {"seed": [1, 2]}}, "space.train.seed: is fixed in a study"),
        ({"train": {"mask_share": [0.5, 1.5]}}, "space.train.mask_share: 1.5 is not possible"),
        ({"train": {"mask_share": {"low": 0.5, "high": 0.1}}}, "low .0.5. must not lie above high"),
        ({"train": {"mask_share": {"low": 0, "high": 0.1, "log": True}}}, "must be above 0 where log is true"),
        ({"train": {"learning_rate": {"low": 0.001, "hihg": 0.2}}}, "Did you mean 'high'"),
        ({"train": {"mask_share": 0.5}}, "0.5 is no search space. Give a list of choices"),
        ({"train": {"mask_share": []}}, "is no search space"),
        ({"model": {"conv_options": {"haeds": [1]}}}, "haeds"),
        ({"model": {"channels": [63]}}, "must divide channels"),
    ],
)
def test_wrong_spaces_are_named(space: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        spaces("tf", space=space)


def test_values_reach_one_model_alone() -> None:
    base = base_settings(as_tune_config({}))
    values = {"model.channels": 32, "model.conv_options.heads": 8, "train.learning_rate": 0.02, "probe.kind": "adam"}
    changed = with_values("tf", values, base)
    before, after = (settings_by_model(["tf", "gnn"], settings) for settings in (base, changed))
    tf = after["tf"]
    assert (tf.model.channels, tf.model.conv_options) == (32, {"heads": 8})
    assert (tf.train.learning_rate, tf.probe.kind) == (0.02, "adam")
    assert after["gnn"] == before["gnn"]
    assert trial_settings("tf", values, before["tf"]) == tf  # what a trial runs is what the bench at the end runs


def test_numbers_are_whole_where_both_ends_are() -> None:
    whole, real = Range(low=1, high=4), Range(low=1, high=4.0)
    found = distributions({"a": whole, "b": real, "c": (1, 2), "d": Range(low=8, high=64, log=True)})
    assert found["a"] == optuna.distributions.IntDistribution(1, 4)
    assert found["b"] == optuna.distributions.FloatDistribution(1.0, 4.0)
    assert found["d"] == optuna.distributions.IntDistribution(8, 64, log=True)
    assert [format_distribution(one) for one in (whole, real, (1, 2))] == ["1 to 4, whole", "1 to 4", "1 or 2"]


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least twice heartbeat_seconds"):
        as_tune_config({"heartbeat_seconds": 50})
    with pytest.raises(ConfigError, match=r"bench of the study: there is no key 'train.epoch'. Did you mean 'epochs'"):
        base_settings(as_tune_config({"bench": {"train": {"epoch": 3}}}))
