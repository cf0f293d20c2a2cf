"""Every model trains at its own rate, and what is asked for all models goes before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

import scgraph
from scgraph.bench.protocol import settings_of
from scgraph.bench.run import as_bench_config
from scgraph.config import laid_over, load_yaml
from scgraph.options import bench_settings
from scgraph.tune.config import as_tune_config, base_settings
from tests.bench.conftest import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.config import BenchConfig

OWN = {name: own["learning_rate"] for name, own in load_yaml("bench/default")["train_per_model"].items()}
GENERAL = load_yaml("bench/default")["train"]["learning_rate"]


def rate(config: BenchConfig, model: str = "tf") -> float:
    return settings_of(model, config).train.learning_rate


def test_the_default_has_the_rates_that_were_measured() -> None:
    """Of tf far below the rest, where no seed moves between processors; the others keep the rate of all."""
    config = as_bench_config({})
    assert {name: rate(config, name) for name in ("gnn", "tf")} == OWN
    assert OWN["tf"] < OWN["gnn"] < GENERAL
    assert rate(config, "none") == rate(config, "gcn") == GENERAL


@pytest.mark.parametrize("model", ["tf", "gnn", "none"])
def test_the_papers_rate_is_that_of_all_models(model: str) -> None:
    assert rate(as_bench_config("bench/paper"), model) == 2e-4


def test_a_rate_for_all_models_goes_before_that_of_the_default(tmp_path: Path) -> None:
    settings = {"train": {"learning_rate": 0.004}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(settings))
    for config in (
        as_bench_config(settings),
        as_bench_config(tmp_path / "mine.yaml"),
        bench_settings("bench/default", ["train.learning_rate=0.004"], model={}, train={}),
        base_settings(as_tune_config({"bench": settings})),
    ):
        assert rate(config) == rate(config, "gnn") == 0.004


def test_a_rate_for_one_model_goes_before_that_for_all() -> None:
    words = ["train.learning_rate=0.004", "train_per_model.tf.learning_rate=0.003"]
    config = bench_settings("bench/default", words, model={}, train={})
    assert (rate(config), rate(config, "gnn")) == (0.003, 0.004)


def test_a_config_that_was_written_is_read_back() -> None:
    written = as_bench_config({}).model_dump(mode="json")
    assert as_bench_config(written) == as_bench_config({})
    older = {key: value for key, value in written.items() if key != "train_per_model"}
    assert rate(as_bench_config(older)) == GENERAL


def test_only_what_is_named_is_replaced() -> None:
    base: dict[str, Any] = {"per_model": {"tf": {"rank": 4, "conv_options": {"heads": 4, "bias": True}}}}
    found = laid_over(base, {"model": {"conv_options": {"heads": 2}}})
    assert found["per_model"] == {"tf": {"rank": 4, "conv_options": {"bias": True}}}
    assert base["per_model"]["tf"]["conv_options"]["heads"] == 4


def test_pretraining_alone_takes_it_too(tmp_path: Path) -> None:
    config = {"model": QUICK["model"], "train": QUICK["train"], "per_model": QUICK["per_model"]}
    for model, expected in (("tf", OWN["tf"]), ("none", GENERAL)):
        scgraph.pretrain([make_cells()], model=model, config=config, out=tmp_path / model)
        assert scgraph.load_model(tmp_path / model).metadata["training"]["learning_rate"] == expected
