"""Models by name: a convolution, ``asym:`` and its convolution where there is a decoder, or a preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scgraph.catalogue import ARRANGEMENTS, PRESETS, Preset
from scgraph.nn.conv.registry import conv_class, reserve

__all__ = ["ModelName", "model_name", "without_prefix"]


@dataclass(frozen=True)
class ModelName(Preset):
    """What the name of a model says."""

    @property
    def key(self) -> str:
        """The shortest name: that which the convolution is registered under, with its prefix."""
        key = conv_class(self.conv).key or self.conv
        return f"{self.prefix}{key}"

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of `model` that follow from the name and nothing else."""
        return {"conv": self.conv, **ARRANGEMENTS[self.prefix].settings}


def model_name(name: str) -> ModelName:
    """Return what the name of a model says: a convolution, ``asym:`` and a convolution, or a preset.

    Raises:
        ConfigError: there is no such convolution.
    """
    preset = PRESETS.get(name)
    conv = without_prefix(name)
    known = ModelName(conv, name.removesuffix(conv)) if preset is None else ModelName(**vars(preset))
    conv_class(known.conv)
    return known


def without_prefix(name: str) -> str:
    """Return the name of the convolution alone, without what says how it is arranged."""
    return next((name.removeprefix(one) for one in ARRANGEMENTS if one and name.startswith(one)), name)


for _name in (*PRESETS, *filter(None, ARRANGEMENTS)):
    reserve(_name)
