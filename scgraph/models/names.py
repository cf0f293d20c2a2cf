"""Models by name: a convolution, ``asym:`` and its convolution where there is a decoder, or a preset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scgraph.nn.conv.registry import conv_class, reserve

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ARRANGEMENTS", "PRESETS", "Arrangement", "ModelName", "model_name", "without_prefix"]


@dataclass(frozen=True)
class Arrangement:
    """How convolutions are put together to a model.

    Attributes:
        settings: settings of `model` that build it.
        usual_training: the same of `train`.
        summary: what it is, in a few words, for the tables.
    """

    settings: Mapping[str, Any]
    summary: str = ""


ARRANGEMENTS: Mapping[str, Arrangement] = {
    "": Arrangement({"asymmetric": False}),
    "asym:": Arrangement(
        {"asymmetric": True}, "an encoder of any of these on expressed genes, and a light decoder of all genes"
    ),
}
"""Arrangements by what stands in front of the name of a convolution."""


@dataclass(frozen=True)
class ModelName:
    """What the name of a model says.

    Attributes:
        conv: name of the convolution, of the encoder where there is a decoder.
        prefix: what stands in front of it, a key of `ARRANGEMENTS`.
        usual: settings of `model` that the name brings, where nothing is said for this model alone.
        summary: what it is, in a few words, for the tables.
    """

    conv: str
    prefix: str = ""
    usual: Mapping[str, Any] = field(default_factory=dict)
    usual_training: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""

    @property
    def key(self) -> str:
        """The shortest name: that which the convolution is registered under, with its prefix."""
        key = conv_class(self.conv).key or self.conv
        return f"{self.prefix}{key}"

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of `model` that follow from the name and nothing else."""
        return {"conv": self.conv, **ARRANGEMENTS[self.prefix].settings}


PRESETS: Mapping[str, ModelName] = {
    "xtrimogene": ModelName(
        "tf",
        "asym:",
        usual={
            **{"value_encoding": "discretised", "decoder": "performer"},
            **{"values": "log1p", "readout": "mean", "cell_layers": 0},
        },
        # Learned bins of logarithms have no components to start at: masked values teach it.
        usual_training={
            **{"mvp_loss": 1.0, "count_loss": 0.0, "neighbor_loss": 0.0},
            **{"thinning": None, "start": "random", "freeze_values": False},
        },
        summary="asym:tf with a performer decoder and discretised values, after xTrimoGene",
    )
}
"""Models that are more than the name of a convolution."""


def model_name(name: str) -> ModelName:
    """Return what the name of a model says: a convolution, ``asym:`` and a convolution, or a preset.

    Raises:
        ConfigError: there is no such convolution.
    """
    known = PRESETS.get(name)
    if known is None:
        conv = without_prefix(name)
        known = ModelName(conv, name.removesuffix(conv))
    conv_class(known.conv)
    return known


def without_prefix(name: str) -> str:
    """Return the name of the convolution alone, without what says how it is arranged."""
    return next((name.removeprefix(one) for one in ARRANGEMENTS if one and name.startswith(one)), name)


for _name in (*PRESETS, *filter(None, ARRANGEMENTS)):
    reserve(_name)
