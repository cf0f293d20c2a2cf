"""Convolutions by name.

The command line, the bench, the contract tests and the tables of the docs all find a convolution
here, so adding one touches no other file. Names come from three places: the classes of
`scgraph.nn.conv`, the entry points ``scgraph.convs`` of installed packages, and
``package.module:Class`` given by a user on the command line or in Python. A saved model never
causes an import: see `scgraph.train.load_model`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, TypeVar

from scgraph.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from scgraph.nn.conv.base import GeneConv

__all__ = ["conv_class", "conv_names", "is_import_path", "register_conv"]

_ENTRY_POINTS = "scgraph.convs"
_convs: dict[str, type[GeneConv]] = {}
Conv = TypeVar("Conv", bound="type[GeneConv]")


def register_conv(name: str) -> Callable[[Conv], Conv]:
    """Register a subclass of `scgraph.nn.GeneConv` under a name; used as a class decorator.

    Raises:
        ConfigError: another class has this name already.
    """

    def add(cls: Conv) -> Conv:
        known = _convs.get(name)
        # A module that is run twice (a notebook cell, importlib.reload) defines the same class again.
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ConfigError(
                f"The name {name!r} is taken by {known.__module__}.{known.__qualname__}; "
                f"register {cls.__module__}.{cls.__qualname__} under another name."
            )
        _convs[name] = cls
        cls.key = name
        return cls

    return add


def conv_names() -> list[str]:
    """Return the names of all registered convolutions, built-in ones first, in the order of their files."""
    _load_builtin()
    points = importlib.metadata.entry_points(group=_ENTRY_POINTS)
    return [*_convs, *sorted(point.name for point in points if point.name not in _convs)]


def is_import_path(name: str) -> bool:
    """Say whether a conv is given as ``package.module:Class`` rather than by a registered name."""
    return ":" in name


def conv_class(name: str) -> type[GeneConv]:
    """Return the class behind a registered name or behind ``package.module:Class``.

    Raises:
        ConfigError: no such name, module or class, or the class is no `GeneConv`.
    """
    _load_builtin()
    if name in _convs:
        return _convs[name]
    if is_import_path(name):
        return _import_conv(name)
    for point in importlib.metadata.entry_points(group=_ENTRY_POINTS, name=name):
        return _checked(name, point.load())
    raise ConfigError(f"There is no model {name!r}.{did_you_mean(name, conv_names())}")


def _load_builtin() -> None:
    importlib.import_module("scgraph.nn.conv")


def _import_conv(path: str) -> type[GeneConv]:
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Model {path!r}: there is no module {error.name!r}; give package.module:Class of a package "
            "that is installed or stands in the current folder."
        ) from error
    if not hasattr(module, class_name):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise ConfigError(f"Model {path!r}: {module_name} has no {class_name!r}.{did_you_mean(class_name, public)}")
    return _checked(path, getattr(module, class_name))


def _checked(name: str, candidate: object) -> type[GeneConv]:
    from scgraph.nn.conv.base import GeneConv

    if not (isinstance(candidate, type) and issubclass(candidate, GeneConv)):
        raise ConfigError(f"Model {name!r}: {candidate!r} is not a subclass of scgraph.nn.GeneConv.")
    return candidate
