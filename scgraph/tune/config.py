"""Settings of a study: what is searched, how long, by which measure, and how patient its workers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from scgraph.config import BenchConfig
from scgraph.config_fields import Positive, Settings
from scgraph.config_files import as_bench_config, laid_over, load_yaml, merged, parse_config
from scgraph.errors import ConfigError, argument

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DIRECTIONS", "Objective", "PrunerConfig", "Range", "TuneConfig", "as_tune_config", "base_settings"]

Objective = Literal["loss", "probe", "loss-cost", "probe-cost"]
"""Validation loss of masked value prediction, or validation macro-F1 of the probe; alone, or with multiply-adds."""

DIRECTIONS: dict[str, tuple[Literal["minimize", "maximize"], ...]] = {
    "loss": ("minimize",),
    "probe": ("maximize",),
    "loss-cost": ("minimize", "minimize"),
    "probe-cost": ("maximize", "minimize"),
}

Seconds = Annotated[float, Field(gt=0)]


class Range(Settings):
    """Numbers from `low` to `high`, both included: whole ones where both are whole."""

    low: int | float
    high: int | float
    log: bool = Field(default=False, description="uniform in the logarithm")
    step: int | float | None = Field(None, description="distance of neighbouring values")

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if not self.low <= self.high:
            raise ValueError(f"low ({self.low}) must not lie above high ({self.high})")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 where log is true, not {self.low}")
        if self.log and self.step is not None:
            raise ValueError("log and step exclude each other")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step must be above 0, not {self.step}")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)


class PrunerConfig(Settings):
    """When a trial is given up by its validation loss."""

    kind: Literal["median", "hyperband", "none"] = Field("median", description="Optuna's pruner")
    startup_trials: Annotated[int, Field(ge=0)] = Field(5, description="finished trials before the first is given up")
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(3, description="epochs no trial is given up in")


class TuneConfig(Settings):
    """A study."""

    base: str = Field("bench/default", description="settings the search starts from: a YAML file or a shipped name")
    bench: dict[str, Any] = Field(default_factory=dict, description="settings laid over the base, as for the bench")
    objective: Objective = Field("probe", description="what decides, measured on the validation part")
    trials: Positive = Field(50, description="finished trials of every model")
    startup_trials: Positive = Field(10, description="random trials before the sampler (TPE) learns from them")
    seed: int = Field(0, description="of the split, the weights and the sampler")
    pruner: PrunerConfig = PrunerConfig()
    space: dict[str, Any] = Field(
        default_factory=dict,
        description="model, train, probe: a list of choices, {low, high, log, step}, or null to leave a setting alone",
    )
    space_per_model: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="what differs from `space` and the conv's own search_space for one model"
    )
    attempts: Positive = Field(3, description="times a trial may lose its worker before it counts as failed")
    restarts: Annotated[int, Field(ge=0)] = Field(20, description="workers that died and are replaced, in one run")
    heartbeat_seconds: Seconds = Field(10.0, description="time between signs of life of a running trial")
    lost_after_seconds: Seconds = Field(60.0, description="silence after which its worker counts as gone")
    patience_seconds: Annotated[float, Field(ge=0)] = Field(300.0, description="how long a lost database is waited for")

    @model_validator(mode="after")
    def _beats_before_it_is_lost(self) -> TuneConfig:
        if self.lost_after_seconds < 2 * self.heartbeat_seconds:
            raise ValueError(
                f"lost_after_seconds ({self.lost_after_seconds:g}) must be at least twice heartbeat_seconds "
                f"({self.heartbeat_seconds:g})"
            )
        return self


def as_tune_config(config: TuneConfig | str | Path | dict[str, Any], *over: dict[str, Any]) -> TuneConfig:
    """Return the study behind a name, a file or plain data, laid over ``tune/default``, with `over` laid over it.

    Raises:
        ConfigError: it does not exist or holds an unknown or impossible setting.
    """
    if isinstance(config, TuneConfig):
        given, source = config.model_dump(), "config"
    elif isinstance(config, dict):
        given, source = config, "config"
    else:
        given, source = load_yaml(config), str(config)
    parse_config(TuneConfig, given, source=source)
    whole = given if isinstance(config, TuneConfig) else merged(load_yaml("tune/default"), given)
    return parse_config(TuneConfig, merged(whole, *over), source="options" if any(over) else source)


def base_settings(config: TuneConfig) -> BenchConfig:
    """Return the settings of the bench that the search starts from.

    The split is that of the study's seed, for every repetition: so the test part stays unseen until the end.

    Raises:
        ConfigError: an unknown or impossible setting, or training on several devices.
    """
    settings = as_bench_config(config.base).model_dump()
    chosen = {"split_seed": config.seed, "train": {"seed": config.seed}}
    source = f"{config.base} with bench of the study"
    whole = laid_over(settings, config.bench, chosen, source=source)
    if "epochs" in config.bench.get("train", {}) and "max_steps" not in config.bench:
        whole["max_steps"] = None  # epochs that are asked for by hand are not cut
    base = parse_config(BenchConfig, whole, source=source)
    if base.train.devices * base.train.nodes > 1:
        raise ConfigError(
            f"bench.train.devices: a trial takes one device; {argument('workers')} runs several trials at a time."
        )
    if not (base.train.mvp_loss or (base.train.count_loss and base.model.cell_head)):
        raise ConfigError(
            "bench.train: a search compares losses on masked values or counts, and the base has neither; set "
            "train.mvp_loss, or train.count_loss and model.cell_head."
        )
    return base
