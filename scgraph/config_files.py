"""Configurations from files and plain data: read, checked, laid over each other."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from scgraph.config import PER_MODEL, BenchConfig, PretrainConfig
from scgraph.errors import ConfigError, did_you_mean
from scgraph.parsing import parse_yaml

__all__ = [
    "DEFAULT",
    "Config",
    "as_bench_config",
    "as_config",
    "as_pretrain_config",
    "config_names",
    "laid_over",
    "load_yaml",
    "merged",
    "parse_config",
    "yaml_text",
]


Config = TypeVar("Config", bound=BaseModel)

DEFAULT = "bench/default"
"""The settings that others are laid over."""


def parse_config(cls: type[Config], data: dict[str, Any], *, source: str) -> Config:
    """Check plain data against a configuration class.

    Raises:
        ConfigError: an unknown key (the nearest one is suggested) or a value out of range; names `source`.
    """
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{source}: {_explain(cls, error)}") from error


def as_config(cls: type[Config], config: Config | str | Path | dict[str, Any]) -> Config:
    """Return the settings behind plain data or a YAML file; what they leave out keeps its default.

    Raises:
        ConfigError: no such file, or an unknown or impossible setting.
    """
    if isinstance(config, cls):
        return config
    given, source = _given(config)
    return parse_config(cls, given, source=source)


def load_yaml(name: str | Path) -> dict[str, Any]:
    """Read a YAML file, or a configuration that ships with scgraph by its name (``bench/default``).

    Raises:
        ConfigError: no such file or name, not YAML, or not a mapping.
    """
    path = Path(name)
    if not path.suffix:
        path = _shipped() / f"{name}.yaml"
        if not path.is_file():
            raise ConfigError(f"There is no configuration {str(name)!r}.{did_you_mean(str(name), config_names())}")
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file. Shipped configurations: {', '.join(config_names())}.") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds {type(data).__name__}, not a mapping of keys to values.")
    return data


def yaml_text(config: BaseModel) -> str:
    """Return a configuration as `load_yaml` reads it back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def config_names() -> list[str]:
    """Return the names of the configurations that ship with scgraph."""
    root = _shipped()
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))


def merged(base: dict[str, Any], *overrides: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with nested overrides laid over it; neither is changed."""
    result = dict(base)
    for override in overrides:
        for key, value in override.items():
            below = result.get(key)
            result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def laid_over(base: dict[str, Any], *overrides: dict[str, Any], source: str) -> dict[str, Any]:
    """Return settings of a bench with others laid over them, the later over the earlier.

    What one of them says for all models goes before what those below it say for one model: ``--set
    train.learning_rate=0.003`` holds for a model too whose rate ``bench/default`` names.

    Raises:
        ConfigError: a value stands where a mapping is needed; the next override would hide it.
    """
    for override in overrides:
        for key, value in override.items():
            if isinstance(base.get(key), dict) and not isinstance(value, dict):
                raise ConfigError(f"{source}: {key}: must be a mapping of keys to values, not {value!r}.")
        lowered = dict(base)
        for part, field in PER_MODEL.items():
            own, given = lowered.get(field) or {}, override.get(part, {})
            lowered[field] = {name: _without(table, given) for name, table in own.items()}
        base = merged(lowered, override)
    return base


def _without(table: Any, given: dict[str, Any]) -> Any:
    """Return the table without the values that `given` names."""
    if not isinstance(table, dict):
        return table
    left = {}
    for key, value in table.items():
        inner = given.get(key)
        if isinstance(value, dict) and isinstance(inner, dict):
            left[key] = _without(value, inner)
        elif key not in given:
            left[key] = value
    return left


def _shipped() -> Path:
    # A wheel carries the folder inside the package, a checkout beside it.
    inside = Path(str(resources.files("scgraph"))) / "configs"
    return inside if inside.is_dir() else inside.parent.parent / "configs"


def _explain(cls: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *parents, last = (str(part) for part in first["loc"])
        known: Any = cls
        for parent in parents:
            known = known.model_fields[parent].annotation
        below = _places_below(known, last)
        hint = f" Did you mean {' or '.join(map(repr, below))}?" if below else did_you_mean(last, known.model_fields)
        return f"there is no key {place!r}.{hint}"
    message = first["msg"].removeprefix("Value error, ")
    if message.endswith(("?", ".")):  # it says already what would be right
        return f"{place}: {message}"
    if not place:
        return f"{message}."
    if isinstance(first["input"], dict):  # a whole section: its other settings say nothing of what is wrong
        return f"{place}: {message}."
    return f"{place}: {message}, not {first['input']!r}."


def _places_below(cls: type[BaseModel], key: str) -> list[str]:
    """Return where a key stands one level deeper: train.epochs for epochs."""
    parts = {name: field.annotation for name, field in cls.model_fields.items()}
    return [
        f"{name}.{key}"
        for name, part in parts.items()
        if isinstance(part, type) and issubclass(part, BaseModel) and key in part.model_fields
    ]


def _given(config: Any) -> tuple[dict[str, Any], str]:
    """Plain data and what it is called in messages: the data themselves, or those of a file or name."""
    return (config, "config") if isinstance(config, dict) else (load_yaml(config), str(config))


def as_bench_config(config: BenchConfig | str | Path | dict[str, Any]) -> BenchConfig:
    """Return the configuration behind a name, a file or plain data, laid over ``bench/default``.

    Raises:
        ConfigError: it does not exist or holds an unknown or impossible setting.
    """
    if isinstance(config, BenchConfig):
        return config
    given, source = _given(config)
    parse_config(BenchConfig, given, source=source)
    return parse_config(BenchConfig, laid_over(load_yaml(DEFAULT), given, source=source), source=source)


def as_pretrain_config(config: PretrainConfig | str | Path | dict[str, Any]) -> PretrainConfig:
    """Return the configuration of a pretraining behind a name, a file or plain data, laid over ``bench/default``.

    One configuration serves both: names, files and data are those of a bench, whose own settings (`probe`, `seeds`,
    `test_share`, ...) are checked with the others and make no difference to a pretraining.

    Raises:
        ConfigError: it does not exist or holds an unknown or impossible setting.
    """
    return config if isinstance(config, PretrainConfig) else as_bench_config(config)
