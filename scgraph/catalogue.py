"""What models there are, read from the text of their files: no layer and no torch is imported for a name."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from scgraph.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ARRANGEMENTS",
    "ENTRY_POINTS",
    "PRESETS",
    "Arrangement",
    "Listed",
    "Preset",
    "check_name",
    "listed_convs",
    "unknown_model",
]

ENTRY_POINTS = "scgraph.convs"
"""Group of the entry points that convolutions of installed packages have."""


@dataclass(frozen=True)
class Arrangement:
    """How convolutions are put together to a model.

    Attributes:
        settings: settings of `model` that build it.
        summary: what it is, in a few words, for the tables.
    """

    settings: Mapping[str, Any]
    summary: str = ""


@dataclass(frozen=True)
class Preset:
    """A model by name.

    Attributes:
        conv: name of the convolution, of the encoder where there is a decoder.
        prefix: what stands in front of it, a key of `ARRANGEMENTS`.
        usual: settings of `model` that the name brings, where nothing is said for this model alone.
        usual_training: the same of `train`.
        summary: what it is, in a few words, for the tables.
    """

    conv: str
    prefix: str = ""
    usual: Mapping[str, Any] = field(default_factory=dict)
    usual_training: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class Listed:
    """A convolution of the zoo as its file tells it: registered name, file, class, and two lines of the tables."""

    name: str
    file: str
    class_name: str
    summary: str
    cost: str


ARRANGEMENTS: Mapping[str, Arrangement] = {
    "": Arrangement({"asymmetric": False}),
    "asym:": Arrangement(
        {"asymmetric": True}, "an encoder of any of these on expressed genes, and a light decoder of all genes"
    ),
}
"""Arrangements by what stands in front of the name of a convolution."""

PRESETS: Mapping[str, Preset] = {
    "xtrimogene": Preset(
        "tf",
        "asym:",
        usual={
            **{"value_encoding": "discretised", "decoder": "performer"},
            **{"values": "log1p", "readout": "mean", "cell_layers": 0},
        },
        # Learned bins of logarithms have no components to start at: masked values teach it.
        usual_training={
            **{"mvp_loss": 1.0, "count_loss": 0.0, "neighbor_loss": 0.0},
            **{"thinning": None, "start": "random", "component_weights": "equal", "freeze_values": False},
        },
        summary="asym:tf with a performer decoder and discretised values, after xTrimoGene",
    )
}
"""Models that are more than the name of a convolution."""


@cache
def listed_convs() -> tuple[Listed, ...]:
    """Return the convolutions that the files of `scgraph.nn.conv` register, in the order of their files."""
    folder = resources.files("scgraph").joinpath("nn/conv")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".py")), key=lambda file: file.name)
    return tuple(
        one
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
        for one in _registered(node, file.name.removesuffix(".py"))
    )


def check_name(name: str) -> None:
    """Refuse a word that can be no model, before anything is imported for it.

    What is given as ``package.module:Class`` is left to the registry, which imports it.

    Raises:
        ConfigError: there is no such model; names the nearest one, also where a file or class is named instead.
    """
    if "scgraph.nn" in sys.modules:
        return  # nothing is left to spare: the registry answers, which knows what was registered in Python too
    conv = next((name.removeprefix(one) for one in ARRANGEMENTS if one and name.startswith(one)), name)
    installed = importlib.metadata.entry_points(group=ENTRY_POINTS).names
    models = {*(one.name for one in listed_convs()), *installed, *PRESETS}
    if conv not in models and ":" not in conv and "." not in conv:
        raise unknown_model(conv, models)


def unknown_model(name: str, models: Iterable[str]) -> ConfigError:
    """Return the refusal of a name, with the model that is meant."""
    meant = {word: one.name for one in listed_convs() for word in (one.file, one.class_name)}
    return ConfigError(f"There is no model {name!r}.{did_you_mean(name, models, meant)}")


def _registered(node: ast.ClassDef, file: str) -> list[Listed]:
    texts = {
        one.target.id: ast.literal_eval(one.value)
        for one in node.body
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and one.target.id in ("summary", "cost")
        and isinstance(one.value, ast.Constant)
    }
    return [
        Listed(str(call.args[0].value), file, node.name, texts.get("summary", ""), texts.get("cost", ""))
        for call in node.decorator_list
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "register_conv"
        and isinstance(call.args[0], ast.Constant)
    ]
