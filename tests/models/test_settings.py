"""Every model trains at its own rate, and what is asked for all models goes before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

import scgraph
from scgraph.cli.options import bench_settings
from scgraph.config import PretrainConfig
from scgraph.config_files import as_bench_config, laid_over, load_yaml
from scgraph.errors import ConfigError
from scgraph.models import settings
from scgraph.models.settings import settings_by_model
from scgraph.tune.config import as_tune_config, base_settings
from scgraph.tune.objective import Objective
from scgraph.tune.plan import plan_search
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.config import BenchConfig

MVP = "bench/mvp"
OWN = load_yaml(MVP)["train_per_model"]["tf"]["learning_rate"]
GENERAL = load_yaml(MVP)["train"]["learning_rate"]


def rate(config: BenchConfig, model: str = "tf") -> float:
    return settings_by_model([model], config)[model].train.learning_rate


def test_the_preset_of_masked_values_has_a_rate_for_tf() -> None:
    config = as_bench_config(MVP)
    assert (rate(config), rate(config, "gnn")) == (OWN, GENERAL)
    assert OWN < GENERAL


@pytest.mark.parametrize("model", ["tf", "gnn", "none"])
def test_the_papers_rate_is_that_of_all_models(model: str) -> None:
    assert rate(as_bench_config("bench/paper"), model) == 2e-4


def test_a_rate_for_all_models_goes_before_that_of_a_preset(tmp_path: Path) -> None:
    given = {"train": {"learning_rate": 0.004}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(given))
    for config in (
        as_bench_config(given),
        as_bench_config(tmp_path / "mine.yaml"),
        bench_settings(MVP, ["train.learning_rate=0.004"], model={}, train={}),
        base_settings(as_tune_config({"base": MVP, "bench": given})),
    ):
        assert rate(config) == rate(config, "gnn") == 0.004


def test_a_rate_for_one_model_goes_before_that_for_all() -> None:
    words = ["train.learning_rate=0.004", "train_per_model.tf.learning_rate=0.003"]
    config = bench_settings(MVP, words, model={}, train={})
    assert (rate(config), rate(config, "gnn")) == (0.003, 0.004)


def test_a_config_that_was_written_is_read_back() -> None:
    written = as_bench_config(MVP).model_dump(mode="json")
    assert as_bench_config(written) == as_bench_config(MVP)
    older = {key: value for key, value in written.items() if key != "train_per_model"}
    assert rate(as_bench_config(older)) == GENERAL


def test_only_what_is_named_is_replaced() -> None:
    base: dict[str, Any] = {"per_model": {"tf": {"rank": 4, "conv_options": {"heads": 4, "bias": True}}}}
    found = laid_over(base, {"model": {"conv_options": {"heads": 2}}}, source="test")
    assert found["per_model"] == {"tf": {"rank": 4, "conv_options": {"bias": True}}}
    assert base["per_model"]["tf"]["conv_options"]["heads"] == 4


def test_pretraining_alone_takes_it_too(tmp_path: Path) -> None:
    rates = {"train_per_model": {"tf": {"learning_rate": OWN}}}
    train = QUICK["train"] | {"learning_rate": GENERAL}
    config = {"model": QUICK["model"], "train": train, "per_model": QUICK["per_model"]} | rates
    for model, expected in (("tf", OWN), ("gnn", GENERAL)):
        scgraph.pretrain([make_cells()], model=model, config=config, out=tmp_path / model)
        assert scgraph.load_model(tmp_path / model).metadata["training"]["learning_rate"] == expected


def test_settings_of_a_pretraining_say_all_that_one_needs() -> None:
    cells = make_cells()
    sizes = {"model": QUICK["model"], "train": QUICK["train"], "per_model": {"gnn": {"channels": 24}}}
    own = PretrainConfig.model_validate(sizes)
    assert settings_by_model(["gnn"], own)["gnn"].model.channels == 24
    assert scgraph.pretrain([cells], model="gnn", config=own).model.channels == 24
    with pytest.raises(ConfigError, match=r"per_model\.gnn: there is no key 'chanels'"):
        settings_by_model(["none"], PretrainConfig.model_validate({"per_model": {"gnn": {"chanels": 24}}}))


@pytest.mark.parametrize("study", ["bench", "search"])
def test_the_settings_of_a_model_are_laid_over_each_other_once(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan has them, and what comes after it is handed them."""
    asked: list[str] = []

    def counted(name: str, config: BenchConfig) -> BenchConfig:
        asked.append(name)
        return laid_over_model(name, config)

    laid_over_model = settings._laid_over
    monkeypatch.setattr(settings, "_laid_over", counted)
    make_cells().write_h5ad(tmp_path / "cells.h5ad")
    if study == "bench":
        scgraph.bench(["none", "mean"], [tmp_path / "cells.h5ad"], config=QUICK | {"seeds": 2})
    else:
        tune = as_tune_config({"bench": QUICK, "space": {"model": {"layers": None}}})
        job = plan_search(["none", "mean"], [tmp_path / "cells.h5ad"], config=tune, workers=1, corpus=[], study="tune")
        Objective(job)("none", {"train.learning_rate": 0.01}, lambda _loss, _epoch: None)
    assert asked == ["none", "mean"]
