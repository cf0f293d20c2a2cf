"""Settings that are meant for one model: their model must exist, and so must they."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph.config import BenchConfig, ModelConfig, ProbeConfig, TrainConfig
from scgraph.errors import ConfigError, did_you_mean
from scgraph.models.names import ARRANGEMENTS, PRESETS, model_name, without_prefix
from scgraph.nn.conv.registry import conv_names, is_import_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scgraph.config import PretrainConfig

__all__ = ["check_model_keys", "check_per_model"]


def check_per_model(models: Sequence[str], config: PretrainConfig) -> None:
    """Refuse `per_model`, `train_per_model` and `probe_per_model` for what is no model, or with what is no setting.

    Raises:
        ConfigError: as said; the nearest name is suggested.
    """
    tables: list[tuple[str, dict[str, Any], type[ModelConfig | TrainConfig | ProbeConfig]]] = [
        ("per_model", config.per_model, ModelConfig),
        ("train_per_model", config.train_per_model, TrainConfig),
    ]
    if isinstance(config, BenchConfig):
        tables.append(("probe_per_model", config.probe_per_model, ProbeConfig))
    for table, by_model, cls in tables:
        check_model_keys(table, by_model, models)
        for name, settings in by_model.items():
            for key in settings:
                if key not in cls.model_fields:
                    raise ConfigError(f"{table}.{name}: there is no key {key!r}.{did_you_mean(key, cls.model_fields)}")


def check_model_keys(table: str, by_model: dict[str, Any], models: Iterable[str]) -> None:
    """Refuse keys that name no model.

    A configuration may hold settings for models that are not run. Their names are looked up as those of models that
    are: a class given by its path is imported.

    Raises:
        ConfigError: there is no such model, with the nearest name, or a path leads to no convolution.
    """
    convs = conv_names()
    run = {key for name in models for key in (name, model_name(name).key)}
    known = run | {*PRESETS} | {f"{prefix}{conv}" for prefix in ARRANGEMENTS for conv in convs}
    for key in by_model:
        if key in known:
            continue
        if not is_import_path(without_prefix(key)):
            raise ConfigError(f"{table}: there is no model {key!r}.{did_you_mean(key, known)}")
        try:
            model_name(key)
        except ConfigError as error:
            raise ConfigError(f"{table}: {error} Settings of a model that is not run can be left out.") from error
