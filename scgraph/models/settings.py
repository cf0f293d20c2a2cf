"""The settings of each model: those of all, and what differs for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph.config import BenchConfig, ModelConfig, ProbeConfig, TrainConfig, merged, parse_config
from scgraph.errors import ConfigError
from scgraph.memory import memory_of_model
from scgraph.models.build import build_model
from scgraph.models.names import model_name
from scgraph.models.network import with_network
from scgraph.models.per_model import check_per_model
from scgraph.nn.conv.registry import conv_class
from scgraph.testing import try_out

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BUILT_IN",
    "settings_by_model",
    "settings_of",
]


BUILT_IN = "scgraph.nn.conv."


def settings_by_model(models: Sequence[str], config: BenchConfig) -> dict[str, BenchConfig]:
    """Return the settings of each model, see `settings_of`, checked before an hour of training does it.

    Raises:
        ConfigError: an unknown model, a setting out of range or one its convolution does not take.
        ContractError: a layer that is not of the zoo fails on a small batch, or gives another shape back.
        TrainingError: memory does not suffice for that small batch.
    """
    import torch

    by_model = {name: settings_of(name, config) for name in models}
    for name, settings in by_model.items():
        own = settings.model
        with torch.device("meta"):
            model = build_model(2, **own.model_kwargs())
        if config.network is None:
            with_network(own, None)  # refuses settings that need a network
        elif not model.takes_network and _reads_graph(own):
            raise ConfigError(f"network: {name} takes no gene network, as its decoder sees all genes of a panel.")
        for (conv, _, options), stack in zip(own.stacks(), model.stacks, strict=True):
            cls = conv_class(conv)
            if not cls.__module__.startswith(BUILT_IN):
                with memory_of_model(name), torch.random.fork_rng(devices=[]):
                    try_out(cls(stack.channels, **options))
    if by_model and config.network is not None and not any(_reads_graph(own.model) for own in by_model.values()):
        raise ConfigError("network: no model makes use of it; set model.restricted to true, or model.positional.")
    check_per_model(models, config)
    return by_model


def _reads_graph(config: ModelConfig) -> bool:
    return config.restricted or config.positional != "none"


def settings_of(name: str, config: BenchConfig) -> BenchConfig:
    """Return the configuration as one model sees it: what differs for that model laid over what holds for all.

    Between the two lies what a preset brings; the convolution, and whether there is a decoder, follow from the name.

    Raises:
        ConfigError: an unknown model or setting, or one out of range.
    """
    named = model_name(name)
    source, parts = f"model {name}", {}
    for part, cls, own in (
        ("model", ModelConfig, config.per_model),
        ("train", TrainConfig, config.train_per_model),
        ("probe", ProbeConfig, config.probe_per_model),
    ):
        general = getattr(config, part).model_dump()
        special = own.get(name, own.get(named.key, {}))
        usual, fix = (named.usual, named.settings) if part == "model" else ({}, {})
        laid_over = merged(general, dict(usual), special, fix)
        parts[part] = parse_config(cls, laid_over, source=source).model_dump()
    alone: dict[str, Any] = {"per_model": {}, "train_per_model": {}, "probe_per_model": {}}
    return parse_config(BenchConfig, {**config.model_dump(), **parts, **alone}, source=source)
