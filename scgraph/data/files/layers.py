"""What the name of a layer says: which matrix is meant, and what values it should hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scgraph.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scgraph.data.cells import Kind

__all__ = ["RAW", "declared_kind", "layer_choices", "which_layer"]

RAW = "raw"
"""Stands for `.raw`, unless a layer has this name too."""

_RAW_PATH = "raw/X"
_LAYERS = "layers/"

_LOGGED = re.compile(
    r"log(1p|2|10|n|e)?(norm\w*|counts?|transform\w*|cpm|tpm|expr\w*|data|values?)?|ln|logged"
    r"|norm(ed|counts?|data|expr\w*|ali[sz](e|ed|es|ation))?|scaled?(data)?"
)
_COUNTS = re.compile(r"(raw)?counts?|umis?(counts?)?")
_NOT = {"un", "non", "not", "no", "pre", "before", "without"}


def which_layer(layer: str, layers: Iterable[str], *, raw: bool, where: str) -> str | None:
    """Return the name of the layer that is meant, None for `.raw`.

    `raw` stands for `.raw`; where a layer is called so too, `raw/X` and `layers/raw` tell them apart.

    Args:
        layer: What was asked for.
        layers: Names of the layers that are there.
        raw: Whether there is a `.raw`.
        where: Source, for messages.

    Raises:
        DataError: There is no such layer, or two could be meant.
    """
    there = list(layers)
    if layer == RAW and raw and RAW in there:
        raise DataError(
            f"{where}: there are both layers['raw'] and .raw, and they need not hold the same. Name the one you mean: "
            f"{_LAYERS}{RAW} or {_RAW_PATH}."
        )
    if layer in there:
        return layer
    if raw and layer in (RAW, _RAW_PATH):
        return None
    if layer.startswith(_LAYERS) and layer.removeprefix(_LAYERS) in there:
        return layer.removeprefix(_LAYERS)
    choices = layer_choices(there, raw=raw)
    known = did_you_mean(layer, choices) if choices else " It has none."
    raise DataError(f"{where}: it has no layer {layer!r}.{known}")


def layer_choices(layers: Iterable[str], *, raw: bool) -> list[str]:
    """Return the names to choose from, each of which means one matrix."""
    there = list(layers)
    if not raw:
        return there
    if RAW not in there:
        return [*there, RAW]
    return [*(f"{_LAYERS}{RAW}" if name == RAW else name for name in there), _RAW_PATH]


def declared_kind(layer: str | None) -> Kind | None:
    """Tell which values a layer should hold by the words of its name, None where they say nothing.

    >>> declared_kind("raw_counts"), declared_kind("logcounts"), declared_kind("catalog"), declared_kind("unscaled")
    ('counts', 'log1p', None, None)
    """
    words = re.findall("[a-z0-9]+", re.sub("(?<=[a-z0-9])(?=[A-Z])", " ", layer or "").lower())
    if any(map(_LOGGED.fullmatch, words)) and _NOT.isdisjoint(words):
        return "log1p"
    return "counts" if any(map(_COUNTS.fullmatch, words)) else None
