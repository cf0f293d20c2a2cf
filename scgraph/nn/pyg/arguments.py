"""What a layer of PyTorch Geometric is built with and what it asks for, read off its signatures."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from scgraph.errors import ConfigError, ContractError, did_you_mean, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch_geometric.nn import MessagePassing

__all__ = ["asked_of_forward", "built", "constructor", "parameters"]

# How layers call the width of their edge attributes.
_EDGE_WIDTHS = ("edge_dim", "in_edge_channels", "dim")
# What MessagePassing itself takes, for layers that hand on **kwargs.
_COMMON = ("aggr", "aggr_kwargs", "decomposed_layers")
_OFFERED = ("x", "edge_index", "edge_weight", "edge_attr", "batch")
# Widths in channels of what goes into the `nn` of a layer whose `nn` gives back C.
_INNER = {"GINConv": 1, "GINEConv": 1, "EdgeConv": 2}


def asked_of_forward(layer: type[MessagePassing]) -> dict[str, inspect.Parameter]:
    """Return what the `forward` of a layer takes.

    Raises:
        ContractError: it takes no graph, or needs what there is not.
    """
    accepted = parameters(layer.forward)
    needed = [name for name, parameter in accepted.items() if parameter.default is parameter.empty]
    unknown = [name for name in needed if name not in _OFFERED]
    if unknown or "x" not in accepted or "edge_index" not in accepted:
        raise ContractError(
            f"{layer.__qualname__} breaks sentence 1 of the contract: its forward({', '.join(accepted)}) must take x "
            f"and edge_index and need nothing beyond {', '.join(_OFFERED[2:])}"
            + (f"; it needs {', '.join(unknown)}." if unknown else ".")
        )
    return accepted


def built(
    layer: type[MessagePassing], channels: int, options: Mapping[str, Any], top_k: int, *, takes_attr: bool
) -> tuple[MessagePassing, int | None]:
    """Build a layer of width C from `conv_options` and from what follows from the model.

    Args:
        layer: the class.
        channels: width C.
        options: keyword arguments of the layer.
        top_k: edges into a gene.
        takes_attr: whether its `forward` takes edge attributes.

    Returns:
        The layer, and the width of its edge attributes; None where it gets none.

    Raises:
        ConfigError: an argument is missing, unknown or impossible.
    """
    arguments = _arguments(layer, channels, options, top_k, takes_attr=takes_attr)
    try:
        made = layer(**arguments)
    except (TypeError, ValueError, AssertionError, RuntimeError, ImportError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{layer.__qualname__} cannot be built with {_shown(arguments)}: {str(error) or type(error).__name__}. "
            "conv_options sets its arguments."
        ) from error
    width = next((arguments[name] for name in _EDGE_WIDTHS if name in arguments), 1)
    return made, width if takes_attr else None


def _arguments(
    layer: type[MessagePassing], channels: int, options: Mapping[str, Any], top_k: int, *, takes_attr: bool
) -> dict[str, Any]:
    known = parameters(constructor(layer))
    _refuse_options(layer, known, options)
    arguments: dict[str, Any] = {}
    heads = options.get("heads", 1)
    concatenates = "concat" in known and options.get("concat", known["concat"].default)
    if concatenates and (not isinstance(heads, int) or heads < 1 or channels % heads):
        raise ConfigError(f"{layer.__qualname__}: heads ({heads}) must divide channels ({channels}).")
    for name, value in {
        "channels": channels,
        "in_channels": channels,
        "out_channels": channels // heads if concatenates else channels,
        "add_self_loops": False,
        **(dict.fromkeys(_EDGE_WIDTHS, 1) if takes_attr else {}),
        **_defaults(layer, channels, top_k),
    }.items():
        if name in known:
            arguments[name] = value
    arguments |= options
    missing = [
        name for name, parameter in known.items() if parameter.default is parameter.empty and name not in arguments
    ]
    if missing:
        raise ConfigError(
            f"{layer.__qualname__} needs {', '.join(missing)}, which a model cannot know: give it in conv_options "
            f"({setting(f'model.conv_options.{missing[0]}', '...')}, for one model of several under per_model); "
            "where it is no number, text or list, name a subclass of your own that sets it."
        )
    return arguments


def _defaults(layer: type[MessagePassing], channels: int, top_k: int) -> dict[str, Any]:
    """Return arguments that some layers need: an `nn`, or what `PNAConv` wants to know of the degrees."""
    inner = next((_INNER[base.__name__] for base in layer.__mro__ if base.__name__ in _INNER), None)
    arguments: dict[str, Any] = {}
    if inner is not None:
        arguments["nn"] = nn.Sequential(nn.Linear(inner * channels, channels), nn.ReLU(), nn.Linear(channels, channels))
    # All genes hear k senders, so scaling by the degree changes nothing. The histogram is read while the layer
    # is built, also where tensors are made without storage.
    degrees = torch.zeros(top_k + 1, dtype=torch.long, device="cpu")
    degrees[top_k] = 1
    return arguments | {"aggregators": ["mean", "min", "max", "std"], "scalers": ["identity"], "deg": degrees}


def _refuse_options(
    layer: type[MessagePassing], known: Mapping[str, inspect.Parameter], options: Mapping[str, Any]
) -> None:
    fixed = [name for name in ("channels", "in_channels", "out_channels") if name in options]
    if fixed:
        raise ConfigError(
            f"{layer.__qualname__}: {fixed[0]} follows from model.channels; leave it out of conv_options."
        )
    if options.get("cached"):
        raise ConfigError(f"{layer.__qualname__}: cached keeps the graph of the first cells for good; leave it out.")
    takes = [*known, *(_COMMON if _takes_more(constructor(layer)) else ())]
    unknown = [name for name in options if name not in takes]
    if unknown:
        near = did_you_mean(unknown[0], {*takes, "top_k"} - {"channels", "in_channels", "out_channels"})
        raise ConfigError(f"{layer.__qualname__}: takes no {unknown[0]!r} in conv_options.{near}")


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Return the named parameters of a method besides self."""
    own = list(inspect.signature(function).parameters.values())[1:]
    return {p.name: p for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def constructor(layer: type[MessagePassing]) -> Any:
    """Return the `__init__` that says what a layer takes: that of a base where its own hands everything on."""
    own = (vars(base)["__init__"] for base in layer.__mro__ if "__init__" in vars(base))
    return next(made for made in own if parameters(made) or not _takes_more(made))


def _takes_more(function: Any) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def _shown(arguments: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in arguments.items() if not isinstance(value, Tensor | nn.Module)}
    return ", ".join(f"{name}={value!r}" for name, value in plain.items()) or "no arguments"
