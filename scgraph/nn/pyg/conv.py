"""Layers of PyTorch Geometric, and other message passing that knows nothing of cells, as convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch_geometric.utils import softmax

from scgraph.errors import ConfigError, ContractError
from scgraph.nn.conv.base import GeneConv
from scgraph.nn.conv.plan import Plan
from scgraph.nn.pyg.arguments import asked_of_forward, built, constructor, parameters

if TYPE_CHECKING:
    from torch_geometric.nn import MessagePassing

    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.graph import CellGraph

__all__ = ["PyGConv", "wrapped"]


class PyGConv(GeneConv):
    """``y = layer(x, edge_index, ...)`` of a `torch_geometric.nn.MessagePassing` on the k strongest senders of a gene.

    The edges come from the adjacency: `top_k_edges`, a gene itself always among them. The layer gets what its
    `forward` asks for by name:

    - ``edge_weight`` ``[E]``: the softmax of the static logits over the edges of a receiving gene. It is positive
      and sums to 1, so `GCNConv` with it is `gnn` on k senders.
    - ``edge_attr`` ``[E, edge_dim]``: the static logit in every column; `edge_dim` is 1 unless set, and with
      `edge_dim` None there are no attributes.
    - neither: messages are not weighted. Each is multiplied by ``1 + l - stop_gradient(l)``, which is 1 and lets
      the logit l learn whether the edge helps (a straight-through estimator; Bengio et al. 2013,
      https://arxiv.org/abs/1308.3432).

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
            raise ConfigError(f"{type(self).__name__}: top_k must be a whole number of at least 1, not {top_k!r}.")
        self.top_k = top_k
        asked = asked_of_forward(self.layer_class)
        self.layer, self.edge_width = built(self.layer_class, channels, options, top_k, takes_attr="edge_attr" in asked)
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

    def plan(self, genes: int) -> Plan:
        """The `top_k` strongest senders of each gene, also in small cells."""
        return Plan(f"top-{self.top_k} edges", top_k=self.top_k)

    def edge_inputs(self, edge_index: Tensor, graph: CellGraph, view: AdjacencyView | None) -> dict[str, Tensor]:
        """Return ``edge_weight`` ``[E]``, ``edge_attr`` ``[E, edge_dim]``, or ``straight`` ``[E]`` of the logits."""
        assert view is not None
        logits = view.edge_logits(edge_index)
        inputs: dict[str, Tensor] = {}
        if self.wants_weight:
            inputs["edge_weight"] = softmax(logits, edge_index[1], num_nodes=graph.genes.numel())
        if self.edge_width is not None:
            inputs["edge_attr"] = logits.unsqueeze(-1).expand(-1, self.edge_width)
        return inputs or {"straight": logits}

    def on_edges(self, x: Tensor, edge_index: Tensor, **edge_inputs: Tensor) -> Tensor:
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
                f"{type(self).__name__} breaks sentence 1 of the contract: {list(x.shape)} went in, {got} came out. "
                "Its in and out channels must both be the width C of the model."
            )
        return y

    def _run_on_edges(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
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
        hint = f" forward({', '.join(parameters(self.layer_class.forward))}) is offered these and nothing else."
        with self.explained(hint, x=nodes, edge_index=edge_index, **offered):
            y = self.on_edges(nodes, edge_index, **inputs)
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
        | ({"heads": [1, 2, 4, 8]} if "concat" in parameters(constructor(layer)) else {}),
    }
    _wrapped[layer] = type(layer.__name__, (PyGConv,), attributes)
    return _wrapped[layer]
