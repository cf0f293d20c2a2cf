"""The settings of each model: those of all, and what differs for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from scgraph.config import PARTS, PER_MODEL, PretrainConfig
from scgraph.config_files import merged, parse_config
from scgraph.errors import ConfigError
from scgraph.memory import memory_of_model
from scgraph.models.build import build_model
from scgraph.models.names import model_name
from scgraph.models.network import with_network
from scgraph.models.per_model import check_per_model
from scgraph.nn.conv.registry import conv_class
from scgraph.testing import try_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scgraph.config import BenchConfig, ModelConfig, ProbeConfig

__all__ = [
    "BUILT_IN",
    "check_settings",
    "probe_settings",
    "settings_by_model",
    "with_parts",
]


BUILT_IN = "scgraph.nn.conv."

Settings = TypeVar("Settings", bound=PretrainConfig)


def settings_by_model(models: Sequence[str], config: Settings) -> dict[str, Settings]:
    """Return the settings as each model sees them, checked before an hour of training does it.

    What differs for that model is laid over what holds for all; between the two lies what a preset brings. The
    convolution, and whether there is a decoder, follow from the name. This is done once, while a plan is made; the plan
    is handed on.

    Raises:
        ConfigError: an unknown model, a setting out of range or one its convolution does not take.
        ContractError: a layer that is not of the zoo fails on a small batch, or gives another shape back.
        TrainingError: memory does not suffice for that small batch.
    """
    by_model = {name: _laid_over(name, config) for name in models}
    check_settings(by_model)
    check_per_model(models, config)
    return by_model


def check_settings(by_model: Mapping[str, PretrainConfig]) -> None:
    """Refuse settings that their models cannot be built with, by the name of the model.

    Raises:
        ConfigError: a setting that its convolution does not take, or a gene network that no model makes use of.
        ContractError: a layer that is not of the zoo fails on a small batch, or gives another shape back.
        TrainingError: memory does not suffice for that small batch.
    """
    import torch

    for name, settings in by_model.items():
        own = settings.model
        with torch.device("meta"):
            model = build_model(2, **own.model_kwargs())
        if settings.network is None:
            with_network(own, None)  # refuses settings that need a network
        elif not model.takes_network and _reads_network(own):
            raise ConfigError(f"network: {name} takes no gene network, as its decoder sees all genes of a panel.")
        for (conv, _, options), stack in zip(own.stacks(), model.stacks, strict=True):
            cls = conv_class(conv)
            if not cls.__module__.startswith(BUILT_IN):
                with memory_of_model(name), torch.random.fork_rng(devices=[]):
                    try_out(cls(stack.channels, **options))
    networks = [settings.network for settings in by_model.values() if settings.network is not None]
    if networks and not any(_reads_network(settings.model) for settings in by_model.values()):
        raise ConfigError("network: no model makes use of it; set model.restricted to true, or model.positional.")


def probe_settings(name: str, config: BenchConfig) -> ProbeConfig:
    """Return the settings of the linear probe of a model that is not trained any more.

    Raises:
        ConfigError: an unknown model or setting, or one out of range.
    """
    return _laid_over(name, config).probe


def with_parts(config: Settings, parts: Mapping[str, dict[str, Any]], *, source: str) -> Settings:
    """Return settings with those of `model`, `train` and `probe` laid over them, for one model alone.

    Raises:
        ConfigError: an unknown setting, or one out of range; names `source`.
    """
    checked = {
        part: parse_config(PARTS[part], merged(getattr(config, part).model_dump(), written), source=source).model_dump()
        for part, written in parts.items()
    }
    alone: dict[str, Any] = {table: {} for table in PER_MODEL.values() if table in type(config).model_fields}
    return parse_config(type(config), {**config.model_dump(), **checked, **alone}, source=source)


def _laid_over(name: str, config: Settings) -> Settings:
    """Return the settings as one model sees them."""
    named = model_name(name)
    parts = {}
    for part in PARTS:
        if part in type(config).model_fields:
            own = getattr(config, PER_MODEL[part])
            parts[part] = own.get(name, own.get(named.key, {}))
    parts["model"] = merged(dict(named.usual), parts["model"], named.settings)
    parts["train"] = merged(dict(named.usual_training), parts["train"])
    return with_parts(config, parts, source=f"model {name}")


def _reads_network(config: ModelConfig) -> bool:
    return config.restricted or config.positional != "none"
