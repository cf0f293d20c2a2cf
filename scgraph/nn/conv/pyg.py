"""Layers of PyTorch Geometric, and other message passing that knows nothing of cells, as convolutions."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch_geometric.utils import softmax

from scgraph.errors import ConfigError, ContractError, did_you_mean
from scgraph.nn.conv.base import GeneConv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch_geometric.nn import MessagePassing

    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import GeneGraph

__all__ = ["PyGConv", "wrapped"]

# How layers call the width of their edge attributes.
_EDGE_WIDTHS = ("edge_dim", "in_edge_channels", "dim")
# What MessagePassing itself takes, for layers that hand on **kwargs.
_COMMON = ("aggr", "aggr_kwargs", "decomposed_layers")
_OFFERED = ("x", "edge_index", "edge_weight", "edge_attr", "batch")
# Widths in channels of what goes into the `nn` of a layer whose `nn` gives back C.
_INNER = {"GINConv": 1, "GINEConv": 1, "EdgeConv": 2}


class PyGConv(GeneConv):
    """``y = layer(x, edge_index, ...)`` of a `torch_geometric.nn.MessagePassing` on the k strongest senders of a gene.

    The edges come from the adjacency: `top_k_edges`, a gene itself always among them. The layer gets what its
    `forward` asks for by name:

    - ``edge_weight`` ``[E]``: the softmax of the static logits over the edges of a receiving gene. It is positive
      and sums to 1, so `GCNConv` with it is `gnn` on k senders.
    - ``edge_attr`` ``[E, edge_dim]``: the static logit in every column; `edge_dim` is 1 unless set, and with
      `edge_dim` None there are no attributes.
    - neither: messages are not weighted. Each is multiplied by ``1 + l - stop_gradient(l)``, which is 1 and lets
      the logit l learn whether the edge helps (a straight-through estimator; Bengio et al. 2013).

    Self loops that a layer would add are switched off, since each gene sends to itself already. The layer sees
    real genes only, so that a batch norm inside it is not moved by padding. `wrapped` makes the subclass of a layer.

    Args:
        channels: width C, given to the layer as its in and out channels; with concatenated heads, C / heads each.
        top_k: senders a gene listens to, itself among them.
        options: keyword arguments of the layer.

    Raises:
        ConfigError: the layer needs an argument that is not given, or cannot be built.

    Shapes:
        x ``[B, G, C]``, view of rank R, output ``[B, G, C]``.
    """

    layer_class: ClassVar[type[MessagePassing]]
    uses_adjacency: bool = True

    def __init__(self, channels: int, *, top_k: int = 16, **options: Any) -> None:
        super().__init__(channels)
        if type(top_k) is not int or top_k < 1:
            raise ConfigError(f"{self._named()}: top_k must be a whole number of at least 1, not {top_k!r}.")
        self.top_k = top_k
        asked = _parameters(self.layer_class.forward)
        self._refuse_forward(asked)
        arguments = self._arguments(channels, dict(options), top_k, takes_attr="edge_attr" in asked)
        try:
            self.layer = self.layer_class(**arguments)
        except (TypeError, ValueError, AssertionError, RuntimeError, ImportError, KeyError, AttributeError) as error:
            raise ConfigError(
                f"{self._named()} cannot be built with {_shown(arguments)}: {str(error) or type(error).__name__}. "
                "conv_options sets its arguments."
            ) from error
        width = next((arguments[name] for name in _EDGE_WIDTHS if name in arguments), 1)
        self.edge_width = width if "edge_attr" in asked else None
        self.wants_weight = "edge_weight" in asked
        self.wants_batch = "batch" in asked
        self._straight: tuple[Tensor, Tensor] | None = None
        self._follows = False
        self.is_unweighted = self.edge_width is None and not self.wants_weight
        if self.is_unweighted:
            self.layer.register_propagate_forward_pre_hook(self._follow)
            self.layer.register_message_forward_hook(self._let_learn)

    def reset_parameters(self) -> None:
        """Draw the parameters of the layer anew."""
        super().reset_parameters()
        self.layer.reset_parameters()

    def with_edges(self, graph: GeneGraph, view: AdjacencyView | None) -> GeneGraph:
        """Return the graph with the `top_k` strongest senders of each gene, also for small cells."""
        assert view is not None
        return graph.with_top_k_edges(view, self.top_k) if graph.is_complete else graph

    def edge_inputs(self, edge_index: Tensor, graph: GeneGraph, view: AdjacencyView | None) -> dict[str, Tensor]:
        """Return ``edge_weight`` ``[E]``, ``edge_attr`` ``[E, edge_dim]``, or ``straight`` ``[E]`` of the logits."""
        assert view is not None
        logits = view.edge_logits(edge_index)
        inputs: dict[str, Tensor] = {}
        if self.wants_weight:
            inputs["edge_weight"] = softmax(logits, edge_index[1], num_nodes=graph.genes.numel())
        if self.edge_width is not None:
            inputs["edge_attr"] = logits.unsqueeze(-1).expand(-1, self.edge_width)
        return inputs or {"straight": logits}

    def edges(self, x: Tensor, edge_index: Tensor, **edge_inputs: Tensor) -> Tensor:
        """Run the layer. ``[N, C]`` to ``[N, C]``.

        Raises:
            ContractError: it returns something else.
        """
        straight = edge_inputs.pop("straight", None)
        self._straight = None if straight is None else (edge_index, straight)
        try:
            out = self.layer(x=x, edge_index=edge_index, **edge_inputs)
        finally:
            self._straight, self._follows = None, False
        y = out[0] if isinstance(out, tuple) and out else out
        if not isinstance(y, Tensor) or y.shape != x.shape:
            got = list(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise ContractError(
                f"{self._named()} breaks sentence 1 of the contract: {list(x.shape)} went in, {got} came out. "
                "Its in and out channels must both be the width C of the model."
            )
        return y

    def _on_edges(self, x: Tensor, graph: GeneGraph, view: AdjacencyView | None) -> Tensor:
        cells, genes, channels = x.shape
        graph = self.with_edges(graph, view)
        edge_index = graph.edge_index
        if edge_index is None:
            raise AssertionError("a graph with edges has an edge_index")
        inputs = self.edge_inputs(edge_index, graph, view)
        flat = x.reshape(cells * genes, channels)
        place = None
        if graph.padded:
            real = graph.mask.flatten()
            place, number = real.nonzero().squeeze(1), real.cumsum(0) - 1
            if not len(place):
                return torch.zeros_like(x)
            nodes, edge_index = flat[place], number[edge_index]
        else:
            nodes = flat
        if self.wants_batch:
            cell = torch.arange(cells, device=x.device).repeat_interleave(genes)
            inputs["batch"] = cell if place is None else cell[place]
        offered = {name: tensor for name, tensor in inputs.items() if name != "straight"}
        hint = f" forward({', '.join(_parameters(self.layer_class.forward))}) is offered these and nothing else."
        with self.explained(hint, x=nodes, edge_index=edge_index, **offered):
            y = self.edges(nodes, edge_index, **inputs)
        if place is not None:
            y = y.new_zeros(cells * genes, channels).index_copy(0, place, y)
        return y.reshape(x.shape)

    def _follow(self, _layer: MessagePassing, given: tuple[Any, ...]) -> None:
        # A layer that changes the edges before it passes messages no longer has one logit a message.
        self._follows = self._straight is not None and given[0] is self._straight[0]

    def _let_learn(self, layer: MessagePassing, _given: tuple[Any, ...], message: Tensor) -> Tensor:
        if self._straight is None or not self._follows:
            return message
        logits = self._straight[1]
        along = layer.node_dim if layer.node_dim >= 0 else message.dim() + layer.node_dim
        if message.shape[along] != len(logits):
            return message
        one = logits - logits.detach() + 1.0
        return message * one.to(message.dtype).view([-1 if axis == along else 1 for axis in range(message.dim())])

    @classmethod
    def _named(cls) -> str:
        return cls.layer_class.__qualname__

    @classmethod
    def _refuse_forward(cls, asked: Mapping[str, inspect.Parameter]) -> None:
        needed = [name for name, parameter in asked.items() if parameter.default is parameter.empty]
        unknown = [name for name in needed if name not in _OFFERED]
        if unknown or "x" not in asked or "edge_index" not in asked:
            raise ContractError(
                f"{cls._named()} breaks sentence 1 of the contract: its forward({', '.join(asked)}) must take x and "
                f"edge_index and need nothing beyond {', '.join(_OFFERED[2:])}"
                + (f"; it needs {', '.join(unknown)}." if unknown else ".")
            )

    @classmethod
    def _arguments(cls, channels: int, options: dict[str, Any], top_k: int, *, takes_attr: bool) -> dict[str, Any]:
        """Return the keyword arguments the layer is built with: the options, and what follows from the model."""
        known = _parameters(cls.layer_class.__init__)
        cls._refuse_options(known, options)
        arguments: dict[str, Any] = {}
        heads = options.get("heads", 1)
        concatenates = "concat" in known and options.get("concat", known["concat"].default)
        if concatenates and (not isinstance(heads, int) or heads < 1 or channels % heads):
            raise ConfigError(f"{cls._named()}: heads ({heads}) must divide channels ({channels}).")
        for name, value in {
            "channels": channels,
            "in_channels": channels,
            "out_channels": channels // heads if concatenates else channels,
            "add_self_loops": False,
            **(dict.fromkeys(_EDGE_WIDTHS, 1) if takes_attr else {}),
            **cls._defaults(channels, top_k),
        }.items():
            if name in known:
                arguments[name] = value
        arguments |= options
        missing = [
            name for name, parameter in known.items() if parameter.default is parameter.empty and name not in arguments
        ]
        if missing:
            raise ConfigError(
                f"{cls._named()} needs {', '.join(missing)}, which a model cannot know: give it in conv_options "
                f"(--set model.conv_options.{missing[0]}=..., for one model of several under per_model); where it is "
                "no number, text or list, name a subclass of your own that sets it."
            )
        return arguments

    @classmethod
    def _defaults(cls, channels: int, top_k: int) -> dict[str, Any]:
        """Return arguments that some layers need: an `nn`, or what `PNAConv` wants to know of the degrees."""
        inner = next((_INNER[base.__name__] for base in cls.layer_class.__mro__ if base.__name__ in _INNER), None)
        found: dict[str, Any] = {}
        if inner is not None:
            found["nn"] = nn.Sequential(nn.Linear(inner * channels, channels), nn.ReLU(), nn.Linear(channels, channels))
        # All genes hear k senders, so scaling by the degree changes nothing. The histogram is read while the layer
        # is built, also where tensors are made without storage.
        degrees = torch.zeros(top_k + 1, dtype=torch.long, device="cpu")
        degrees[top_k] = 1
        return found | {"aggregators": ["mean", "min", "max", "std"], "scalers": ["identity"], "deg": degrees}

    @classmethod
    def _refuse_options(cls, known: Mapping[str, inspect.Parameter], options: dict[str, Any]) -> None:
        fixed = [name for name in ("channels", "in_channels", "out_channels") if name in options]
        if fixed:
            raise ConfigError(f"{cls._named()}: {fixed[0]} follows from model.channels; leave it out of conv_options.")
        if options.get("cached"):
            raise ConfigError(f"{cls._named()}: cached keeps the graph of the first cells for good; leave it out.")
        takes = [*known, *(_COMMON if _takes_more(cls.layer_class.__init__) else ())]
        unknown = [name for name in options if name not in takes]
        if unknown:
            near = did_you_mean(unknown[0], {*takes, "top_k"} - {"channels", "in_channels", "out_channels"})
            raise ConfigError(f"{cls._named()}: takes no {unknown[0]!r} in conv_options.{near}")


_wrapped: dict[type, type[PyGConv]] = {}


def wrapped(layer: type[MessagePassing]) -> type[PyGConv]:
    """Return the convolution around a message-passing layer, the same class every time."""
    if layer in _wrapped:
        return _wrapped[layer]
    name = f"{layer.__module__}.{layer.__qualname__}"
    attributes: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": f"``y = {layer.__name__}(x, edge_index)`` on the strongest senders of each gene; see `PyGConv`.\n\n"
        f"Source: `{name}`, whose docstring gives equation and paper.\n\nShapes:\n    ``[B, G, C]`` to ``[B, G, C]``.",
        "layer_class": layer,
        "summary": f"{name} on the k strongest senders of each gene",
        "cost": "counted in a run, and G² R once a cell",
        "search_space": {"top_k": [8, 16, 32], "rank": [16, 32, 48]}
        | ({"heads": [1, 2, 4, 8]} if "concat" in _parameters(layer.__init__) else {}),
    }
    _wrapped[layer] = type(layer.__name__, (PyGConv,), attributes)
    return _wrapped[layer]


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Return the named parameters of a method besides self."""
    own = list(inspect.signature(function).parameters.values())[1:]
    return {p.name: p for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def _takes_more(function: Any) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def _shown(arguments: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in arguments.items() if not isinstance(value, Tensor | nn.Module)}
    return ", ".join(f"{name}={value!r}" for name, value in plain.items()) or "no arguments"
