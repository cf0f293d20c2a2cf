"""Models by name: a convolution, ``asym:`` and its convolution where there is a decoder, or a preset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scgraph.nn.conv.registry import ASYMMETRIC, conv_class, reserve

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "ModelName", "model_name"]


@dataclass(frozen=True)
class ModelName:
    """What the name of a model says.

    Attributes:
        conv: name of the convolution, of the encoder where there is a decoder.
        prefix: what stands in front of it: `ASYMMETRIC` where there is a decoder.
        usual: settings of `model` that the name brings, where nothing is said for this model alone.
        summary: what it is, in a few words, for the tables.
    """

    conv: str
    prefix: str = ""
    usual: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""

    @property
    def key(self) -> str:
        """The shortest name: that which the convolution is registered under, with its prefix."""
        key = conv_class(self.conv).key or self.conv
        return f"{self.prefix}{key}"

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of `model` that follow from the name and nothing else."""
        return {"conv": self.conv, "asymmetric": self.prefix == ASYMMETRIC}


PRESETS: Mapping[str, ModelName] = {
    "xtrimogene": ModelName(
        "tf",
        ASYMMETRIC,
        usual={"value_encoding": "discretised", "decoder": "performer"},
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
        conv = name.removeprefix(ASYMMETRIC)
        known = ModelName(conv, ASYMMETRIC if conv != name else "")
    conv_class(known.conv)
    return known


for _name in PRESETS:
    reserve(_name)
