"""The search space of a model: what is common, what its conv adds, and what a study says of it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from scgraph.config import PARTS, PER_MODEL, BenchConfig, ModelConfig
from scgraph.config_files import merged, parse_config
from scgraph.errors import ConfigError, did_you_mean
from scgraph.models.names import model_name
from scgraph.models.settings import check_settings, with_parts
from scgraph.nn.conv.registry import conv_class
from scgraph.tune.config import Range

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from scgraph.tune.config import TuneConfig

__all__ = [
    "Space",
    "default_values",
    "distributions",
    "format_distribution",
    "nested",
    "search_space",
    "trial_settings",
    "with_values",
]

Choices = tuple[Any, ...]
Space = dict[str, Choices | Range]
"""Dotted name of a setting (``train.learning_rate``, ``model.conv_options.heads``) to what it may be."""

# Where a run takes place, how it is saved and what names it are no matter of a search.
FIXED = {
    "model": {"conv", "asymmetric", "network"},
    "train": {
        *("seed", "device", "devices", "nodes", "strategy"),
        *("precision", "compile", "checkpoint_every", "num_workers"),
    },
    "probe": set[str](),
}
OPTIONS = "conv_options"


def search_space(name: str, config: TuneConfig, settings: BenchConfig) -> Space:
    """Return what a study varies for a model: `space`, then its conv's `search_space`, then `space_per_model`.

    Args:
        name: of the model.
        config: the study.
        settings: what the search starts from, as the model sees it.

    Raises:
        ConfigError: an unknown setting (the nearest one is suggested), or a value the setting cannot have.
    """
    named = model_name(name)
    cls = conv_class(named.conv)
    space: dict[str, tuple[str, Any]] = {}
    written_in: list[tuple[str, dict[str, Any]]] = [("space", config.space)]
    written_in += [(f"search_space of {cls.__name__}", _of_conv(key, value)) for key, value in cls.search_space.items()]
    special = config.space_per_model.get(name, config.space_per_model.get(named.key, {}))
    written_in.append((f"space_per_model.{name}", special))
    for source, written in written_in:
        for path, value in _flat(written, source).items():
            space.pop(path, None)
            if value is not None:
                space[path] = (source, value)
    dimensions = {path: _dimension(value, f"{source}.{path}") for path, (source, value) in space.items()}
    if not dimensions:
        raise ConfigError(f"space: there is nothing to search for {name}. Name at least one setting in space.train.")
    for path, dimension in dimensions.items():
        ends = dimension if isinstance(dimension, tuple) else (dimension.low, dimension.high)
        for value in ends:
            try:
                check_settings({name: trial_settings(name, {path: value}, settings)})
            except ConfigError as error:
                raise ConfigError(f"{space[path][0]}.{path}: {value!r} is not possible: {error}") from error
    return dimensions


def default_values(name: str, space: Space, settings: BenchConfig) -> dict[str, Any]:
    """Return the settings the search starts from, as far as they lie in the space: the first trial runs them."""
    start = settings.model_dump()
    signature = inspect.signature(conv_class(model_name(name).conv).__init__).parameters
    usual = {key: one.default for key, one in signature.items() if one.default is not inspect.Parameter.empty}
    start["model"][OPTIONS] = {**usual, **start["model"][OPTIONS]}
    values = {}
    for path, dimension in space.items():
        value: Any = start
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(dimension, tuple):
            inside = any(value == choice and type(value) is type(choice) for choice in dimension)
        else:
            inside = isinstance(value, int | float) and dimension.low <= value <= dimension.high
            inside = inside and not (dimension.whole and not isinstance(value, int))
            if inside and dimension.step is not None:
                steps = (value - dimension.low) / dimension.step
                inside = abs(steps - round(steps)) < 1e-9
        if inside:
            values[path] = value
    return values


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """Return dotted names as nested data."""
    whole: dict[str, Any] = {}
    for path, value in values.items():
        inner: Any = value
        for word in reversed(path.split(".")):
            inner = {word: inner}
        whole = merged(whole, inner)
    return whole


def trial_settings(name: str, values: dict[str, Any], settings: BenchConfig) -> BenchConfig:
    """Return what a trial of a model runs: the values drawn for it, laid over what the model's search starts from.

    Raises:
        ConfigError: the values do not go together.
    """
    return with_parts(settings, nested(values), source=f"model {name}")


def with_values(name: str, values: dict[str, Any], base: BenchConfig) -> BenchConfig:
    """Return the settings of all models with values of the space in what differs for one, as a bench takes them.

    Raises:
        ConfigError: the values do not go together.
    """
    key = model_name(name).key
    written = nested(values)
    over = {}
    for part, field in PER_MODEL.items():
        table = getattr(base, field)
        own = merged(table.get(name, table.get(key, {})), written.get(part, {}))
        if own:
            over[field] = {**table, name: own}
    return parse_config(BenchConfig, {**base.model_dump(), **over}, source=f"model {name}")


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the space as Optuna's distributions."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    by_path: dict[str, BaseDistribution] = {}
    for path, dimension in space.items():
        if isinstance(dimension, tuple):
            by_path[path] = CategoricalDistribution(dimension)
        elif dimension.whole:
            step = 1 if dimension.step is None else int(dimension.step)
            by_path[path] = IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=step)
        else:
            by_path[path] = FloatDistribution(
                float(dimension.low), float(dimension.high), log=dimension.log, step=dimension.step
            )
    return by_path


def format_distribution(dimension: Choices | Range) -> str:
    """Return a dimension in words: ``32, 64 or 128``, ``0.001 to 0.03, log``."""
    if isinstance(dimension, tuple):
        words = [str(choice) for choice in dimension]
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    text = f"{dimension.low:g} to {dimension.high:g}"
    if dimension.whole:
        text += ", whole"
    if dimension.log:
        text += ", log"
    return text if dimension.step is None else f"{text}, in steps of {dimension.step:g}"


def _of_conv(key: str, value: Any) -> dict[str, Any]:
    return {"model": {key: value}} if key in ModelConfig.model_fields else {"model": {OPTIONS: {key: value}}}


def _flat(written: dict[str, Any], source: str) -> dict[str, Any]:
    by_path = {}
    for part, entries in written.items():
        if part not in PARTS:
            raise ConfigError(f"{source}: there is no part {part!r}.{did_you_mean(part, PARTS)}")
        if not isinstance(entries, dict):
            raise ConfigError(f"{source}.{part}: must name settings, not hold {entries!r}.")
        known = [key for key in PARTS[part].model_fields if key not in FIXED[part]]
        for key, value in entries.items():
            if key not in known:
                why = "is fixed in a study" if key in FIXED[part] else "is no setting"
                raise ConfigError(f"{source}.{part}.{key}: {why}.{did_you_mean(key, known)}")
            if key == OPTIONS and isinstance(value, dict):
                by_path.update({f"{part}.{key}.{option}": choice for option, choice in value.items()})
            elif key == OPTIONS:
                raise ConfigError(f"{source}.{part}.{key}: must name options of the conv, not hold {value!r}.")
            else:
                by_path[f"{part}.{key}"] = value
    return by_path


def _dimension(value: Any, source: str) -> Choices | Range:
    if isinstance(value, dict):
        return parse_config(Range, value, source=source)
    if isinstance(value, list | tuple) and value:
        wrong = [choice for choice in value if not isinstance(choice, str | int | float | bool | None)]
        if not wrong:
            return tuple(value)
    raise ConfigError(
        f"{source}: {value!r} is no search space. Give a list of choices such as [32, 64], or a range such as "
        "{low: 0.001, high: 0.1, log: true}."
    )
