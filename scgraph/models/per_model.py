"""Settings that are meant for one model: their model must exist, and so must they."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph.catalogue import ARRANGEMENTS, PRESETS
from scgraph.config import PARTS, PER_MODEL
from scgraph.errors import ConfigError, did_you_mean
from scgraph.models.names import model_name, without_prefix
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
    for part, table in PER_MODEL.items():
        by_model, known = getattr(config, table, {}), PARTS[part].model_fields
        check_model_keys(table, by_model, models)
        for name, settings in by_model.items():
            for key in settings:
                if key not in known:
                    raise ConfigError(f"{table}.{name}: there is no key {key!r}.{did_you_mean(key, known)}")


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
