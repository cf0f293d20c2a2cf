"""Convolutions by name.

The command line, the bench, the contract tests and the tables of the docs all find a convolution here, so adding one
touches no other file. Names come from three places: the files of `scgraph.nn.conv`, the entry points
``scgraph.convs`` of installed packages, and ``package.module:Class`` or ``package.module.Class`` given by a user on the
command line or in Python. A `torch_geometric.nn.MessagePassing` that is no `GeneConv` is wrapped in one. A saved model
never causes an import: see `scgraph.models.load_model`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sysconfig
import traceback
from typing import TYPE_CHECKING, TypeVar

from torch_geometric.nn import MessagePassing

from scgraph.catalogue import ENTRY_POINTS, unknown_model
from scgraph.errors import ConfigError, ScgraphError, did_you_mean
from scgraph.nn.conv.base import GeneConv
from scgraph.nn.pyg.conv import wrapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

__all__ = ["conv_class", "conv_names", "is_import_path", "register_conv", "reserve"]

_convs: dict[str, type[GeneConv]] = {}
_reserved: list[str] = []
Conv = TypeVar("Conv", bound="type[MessagePassing]")


def register_conv(name: str) -> Callable[[Conv], Conv]:
    """Register a class under a name; used as a class decorator.

    The class is a subclass of `scgraph.nn.GeneConv`, or any `torch_geometric.nn.MessagePassing`, which is then
    wrapped: ``register_conv("pyg-sage")(torch_geometric.nn.SAGEConv)``.

    Raises:
        ConfigError: another class or a preset has this name already, or it is no such class.
    """
    if any(_means(model, name) for model in _reserved):
        raise _taken(name)

    def add(cls: Conv) -> Conv:
        conv = _checked(name, cls)
        known = _convs.get(name)
        # A module that is run twice (a notebook cell, importlib.reload) defines the same class again.
        if known is not None and _home(known) != _home(conv):
            raise ConfigError(
                f"The name {name!r} is taken by {_home(known)}; register {_home(conv)} under another name."
            )
        _convs[name] = conv
        conv.key = name
        return cls

    return add


def reserve(name: str) -> None:
    """Keep a name for a model that is more than its convolution; with a colon at its end, all that begin with it.

    Raises:
        ConfigError: a convolution has it.
    """
    for conv in _convs:
        if _means(name, conv):
            raise _taken(conv)
    if name not in _reserved:
        _reserved.append(name)


def conv_names() -> list[str]:
    """Return the names of all registered convolutions, built-in ones first, in the order of their files.

    Nothing is imported for the names of installed packages.
    """
    points = {point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    return [*_convs, *sorted(points.difference(_convs))]


def is_import_path(name: str) -> bool:
    """Say whether a conv is given as ``package.module:Class`` or with a dot, rather than by a registered name."""
    return ":" in name or "." in name


def conv_class(name: str) -> type[GeneConv]:
    """Return the class behind a registered name, or behind ``package.module:Class`` or ``package.module.Class``.

    Raises:
        ConfigError: no such name, module or class, two packages register the name, or the class is neither a
            `GeneConv` nor a `torch_geometric.nn.MessagePassing`.
    """
    if name in _convs:
        return _convs[name]
    points = {point.value: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS, name=name)}
    if points:
        return _from_entry_point(name, list(points.values()))
    if is_import_path(name):
        return _import_conv(name)
    models = [*conv_names(), *(model for model in _reserved if not model.endswith(":"))]
    raise unknown_model(name, models)


def _means(reserved: str, name: str) -> bool:
    return name == reserved or (reserved.endswith(":") and name.startswith(reserved))


def _taken(name: str) -> ConfigError:
    return ConfigError(f"The name {name!r} stands for an asymmetric model; register the class under another name.")


def _from_entry_point(name: str, points: list[EntryPoint]) -> type[GeneConv]:
    owners = [f"{point.dist.name if point.dist else 'a package'} ({point.value})" for point in points]
    if len(points) > 1:
        raise ConfigError(
            f"Model {name!r} is registered by {' and '.join(owners)}. Name the one you mean, as {points[0].value}."
        )
    try:
        loaded = points[0].load()
    except ScgraphError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"Model {name!r} of the installed package {owners[0]} cannot be loaded: {_fault(error)}."
        ) from error
    # A module that registers its class itself has done so by now.
    return _convs[name] if name in _convs else _registered(name, _checked(name, loaded))


def _registered(name: str, conv: type[GeneConv]) -> type[GeneConv]:
    _convs[name] = conv
    conv.key = conv.key or name
    return conv


def _import_conv(path: str) -> type[GeneConv]:
    module_name, _, class_name = path.partition(":") if ":" in path else path.rpartition(".")
    if not module_name or not class_name:
        raise ConfigError(f"Model {path!r}: write it as package.module:Class.{did_you_mean(path, conv_names())}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Model {path!r}: there is no module {error.name!r}; give package.module:Class of a package "
            "that is installed or stands in the current folder."
        ) from error
    except ScgraphError:
        raise
    except (Exception, SystemExit) as error:  # whatever code of somebody else may raise
        raise ConfigError(f"Model {path!r}: {module_name} cannot be imported: {_fault(error)}.") from error
    if not hasattr(module, class_name):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise ConfigError(f"Model {path!r}: {module_name} has no {class_name!r}.{_nearest(class_name, public)}")
    return _checked(path, getattr(module, class_name))


def _fault(error: BaseException) -> str:
    """Return what code of somebody else raised, with the file and line of its own that did."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    installed = tuple({path for name, path in sysconfig.get_paths().items() if name.endswith("lib")})
    # `load` and `import_module` are the first frames; what the module calls in installed packages is not its author's.
    own = [frame for frame in frames if frame.filename != __file__ and not frame.filename.startswith(installed)]
    frame = (own or frames)[-1]
    return f"{frame.filename}, line {frame.lineno}: {' '.join(text.split())}"


def _nearest(name: str, public: list[str]) -> str:
    hint = did_you_mean(name, public)
    return hint if hint.startswith(" Did") or len(public) <= 20 else ""


def _checked(name: str, candidate: object) -> type[GeneConv]:
    if isinstance(candidate, type) and issubclass(candidate, MessagePassing):
        if issubclass(candidate, GeneConv) and candidate is not GeneConv:
            return candidate
        if not issubclass(candidate, GeneConv) and candidate is not MessagePassing:
            return wrapped(candidate)
    raise ConfigError(
        f"Model {name!r}: {candidate!r} is not a subclass of scgraph.nn.GeneConv, nor a layer of torch_geometric "
        "(MessagePassing)."
    )


def _home(conv: type[GeneConv]) -> str:
    layer: type = getattr(conv, "layer_class", conv)
    return f"{layer.__module__}.{layer.__qualname__}"
