"""What every convolution of the zoo has in common."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch_geometric.nn import MessagePassing

from scgraph.errors import ContractError, ScgraphError
from scgraph.nn.adjacency import AdjacencyView
from scgraph.nn.conv.plan import Plan
from scgraph.nn.counting import counted_multiply_adds
from scgraph.nn.graph import CellGraph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["GeneConv"]


class GeneConv(MessagePassing):  # type: ignore[misc]  # PyG is untyped to mypy
    """A layer in which the genes of a cell exchange features: ``y_i = Σ_j α_ij Θ x_j``.

    It is a `torch_geometric.nn.MessagePassing`. A subclass states `message`, the reference that works
    on the edges of any graph, and, where the complete graph can be computed without edges, `complete`.
    Both must give the same outputs and gradients; `scgraph.testing` checks that and the rest of the
    contract. Without `complete` the layer runs on edges: of the complete graph for cells of at most
    `complete_limit` genes, else of the top-k graph of the adjacency.

    The contract, numbered as `scgraph models --check` and the errors quote it:

    1. ``[B, G, C]`` goes in and ``[B, G, C]`` of the same dtype comes out.
    2. Every parameter gets a finite gradient.
    3. `complete` equals `message` on the complete graph, outputs and gradients, also with padding.
    4. Permuting the genes of a cell permutes the output.
    5. Padding changes nothing, and the output of padding is zero.
    6. `reset_parameters` after the same seed gives the same parameters, and a state dict goes round.
    7. `multiply_adds` equals what a run counts; a layer that states none has it counted.
    8. The docstring gives the equation, the shapes and the source.
    9. It changes nothing that other layers read, and has the same outputs and gradients in a block. Its input x is its
       own: a layer may work in place on it.

    Class attributes a subclass may set:
        key: the registered name (set by `register_conv`).
        uses_adjacency: whether the layer reads the static adjacency.
        feed_forward: whether a block of this layer is followed by a feed-forward of width C.
        activation: activation after the layer inside a block, "gelu", "relu" or "none".
        cost: multiply-adds of a layer in words, for the tables.
        summary: what the layer is, in a few words, for the tables.
        search_space: what a hyperparameter search may vary, plain data.
        complete_limit: largest cell whose complete graph is written down as edges.
        top_k: senders of a gene that are kept beyond that.
        cell_mixing: for a `MappedConv`, which weights between genes the compiled loop over whole cells computes for it:
            "rows", "symmetric" or "softmax", see `scgraph.nn.kernels.cells`; None for none. A subclass does not
            inherit it.

    Args:
        channels: width C of the features.
        aggr: aggregation of the messages, as in `MessagePassing`.
    """

    key: ClassVar[str] = ""
    uses_adjacency: bool = False
    feed_forward: ClassVar[bool] = False
    activation: ClassVar[str] = "gelu"
    cost: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    search_space: ClassVar[dict[str, Any]] = {}
    complete_limit: int = 512
    top_k: int = 16
    cell_mixing: ClassVar[str | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a `forward` or a `complete` that a block could not call."""
        super().__init_subclass__(**options)
        if "key" not in vars(cls):
            cls.key = ""  # a name belongs to one class, not to what is derived from it
        for name, method in (("forward", cls.forward), ("complete", cls.complete)):
            signature = inspect.signature(method)
            try:
                signature.bind("self", "x", "graph", "view")
            except TypeError as error:
                raise ContractError(
                    f"{cls.__name__} breaks sentence 1 of the contract: {name} takes (self, x, graph, "
                    f"view), not {signature}."
                ) from error

    def __init__(self, channels: int, *, aggr: str = "add") -> None:
        super().__init__(aggr=aggr, node_dim=0)
        self.channels = channels
        self._counts: dict[tuple[int, int, int | None], tuple[int, int]] = {}

    def _set_jittable_templates(self, *arguments: Any) -> None:
        # PyG tries to compile `propagate` for every layer anew. Where it cannot, as with the ** of `on_edges`, it
        # parses the source of the class each time: 10 to 25 ms a layer, for what the first of the class has found.
        if "_jinja_propagate" not in type(self).__dict__:
            super()._set_jittable_templates(*arguments)

    def forward(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None = None) -> Tensor:
        """Run the layer. ``[B, G, C]`` to ``[B, G, C]``, zero for padding.

        Args:
            x: features of the genes.
            graph: the genes; complete unless it has edges.
            view: the static adjacency between the genes; needed where `uses_adjacency`.

        Raises:
            ContractError: the layer needs the adjacency and got none, or returned another shape.
        """
        if self.uses_adjacency and view is None:
            raise ContractError(f"{type(self).__name__} reads the adjacency; call it with view=adjacency.view(graph).")
        dense = graph.edge_index is None and (graph.pairs is None or self.plan(x.shape[1]).pairs_from is not None)
        if dense and type(self).complete is not GeneConv.complete:
            y = self.complete(x, graph, view)
        else:
            y = self._run_on_edges(x, graph, view)
        if y.shape != x.shape:
            raise ContractError(
                f"{type(self).__name__} breaks sentence 1 of the contract: "
                f"{list(x.shape)} went in, {list(y.shape)} came out."
            )
        return graph.zero_padding(y)

    def complete(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        """Run the layer on the complete graph without edges; optional. ``[B, G, C]`` to ``[B, G, C]``."""
        raise NotImplementedError

    def edge_inputs(self, edge_index: Tensor, graph: CellGraph, view: AdjacencyView | None) -> dict[str, Tensor]:
        """Return what `message` is given for each edge besides the features, ``{name: [E, ...]}``.

        By default ``edge_logit``, the static logits, where the layer uses the adjacency.
        """
        if self.uses_adjacency and view is not None:
            return {"edge_logit": view.edge_logits(edge_index)}
        return {}

    def with_edges(self, graph: CellGraph, view: AdjacencyView | None) -> CellGraph:
        """Return the graph with the edges that this layer runs on where it has no `complete`."""
        if graph.edge_index is not None:
            return graph
        top_k = self.plan(graph.genes.shape[1]).top_k
        if graph.pairs is not None or top_k is None or view is None:
            return graph.with_complete_edges()
        return view.top_k_graph(top_k)

    def on_edges(self, x: Tensor, edge_index: Tensor, **edge_inputs: Tensor) -> Tensor:
        """Run the layer on edges of flattened nodes. ``[N, C]`` to ``[N, C]``."""
        out: Tensor = self.propagate(edge_index, x=x, **edge_inputs)
        return out

    def plan(self, genes: int) -> Plan:
        """Say how `forward` runs the complete graph of G genes; what a subclass may say stands at `Plan`."""
        if type(self).complete is not GeneConv.complete:
            return Plan("complete")
        if genes <= self.complete_limit or not self.uses_adjacency:
            return Plan("edges")
        return Plan(f"top-{self.top_k} edges", top_k=self.top_k)

    def multiply_adds(self, genes: int, rank: int) -> int:
        """Return the multiply-adds of the matrix products of this layer for one cell, without the static logits.

        A layer that does not state its cost has it counted in a run.

        Args:
            genes: genes of the cell, G.
            rank: rank of the adjacency, R.
        """
        return self._counted(genes, rank)[0]

    def adjacency_multiply_adds(self, genes: int, rank: int) -> int:
        """Return what the static logits cost a cell: once where layers share an adjacency, else a layer."""
        if type(self).multiply_adds is GeneConv.multiply_adds:
            return self._counted(genes, rank)[1]
        return genes**2 * rank if self.uses_adjacency else 0

    def restricted_multiply_adds(self, genes: int, rank: int, edges: int | None) -> tuple[int, int]:
        """Count what a layer that keeps to a network costs a cell, and what a first layer costs more.

        Args:
            genes: genes of the cell, G.
            rank: rank of the adjacency, R.
            edges: edges between them, at least the self loops; None where the layer runs on pairs.
        """
        return self._counted(genes, rank, 0 if edges is None else max(genes, edges))

    def _counted(self, genes: int, rank: int, edges: int | None = None) -> tuple[int, int]:
        """Count a run of this layer, and what a first layer costs more than one that shares its adjacency.

        That is on the complete graph, on so many edges, or, where they are 0, on pairs.
        """
        if (genes, rank, edges) not in self._counts:
            like = next(self.parameters(), torch.empty(0))
            graph = CellGraph(torch.arange(1, genes + 1, device=like.device).unsqueeze(0), padded=False)
            if edges:
                number = torch.arange(edges, device=like.device)
                graph = replace(graph, edge_index=torch.stack((number + number // genes, number)) % genes)
            elif edges == 0:
                graph = replace(graph, pairs=torch.eye(genes, dtype=torch.bool, device=like.device).unsqueeze(0))
            x = like.new_ones(1, genes, self.channels)
            table = like.new_ones(1, genes, rank)
            view = AdjacencyView(graph, table, table) if self.uses_adjacency else None
            trained, _ = self.training, self.eval()  # a count leaves no trace in running statistics
            try:
                first, later = (counted_multiply_adds(lambda: self(x, graph, view)) for _ in range(2))
            finally:
                self.train(trained)
            self._counts[genes, rank, edges] = later, first - later
        return self._counts[genes, rank, edges]

    @contextmanager
    def explained(self, hint: str = "", /, **offered: Tensor) -> Iterator[None]:
        """Turn what a layer raises into a `ContractError` that shows what it was offered.

        Args:
            hint: what else to say.
            offered: the tensors the layer was given, by name.

        Raises:
            ContractError: the layer failed on its input; running out of memory stays what it is.
        """
        try:
            yield
        except ScgraphError:
            raise
        except (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, RuntimeError, TypeError,
                ValueError) as error:  # fmt: skip
            if isinstance(error, torch.OutOfMemoryError) or "memory" in str(error):
                raise
            shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in offered.items())
            reason = str(error).splitlines()[0] if str(error) else "no reason given"
            raise ContractError(
                f"{type(self).__name__} breaks sentence 1 of the contract: it fails on {shapes} "
                f"({type(error).__name__}: {reason}).{hint}"
            ) from error

    def _run_on_edges(self, x: Tensor, graph: CellGraph, view: AdjacencyView | None) -> Tensor:
        cells, genes, channels = x.shape
        graph = self.with_edges(graph, view)
        edge_index = graph.edge_index
        if edge_index is None:
            raise AssertionError("a graph with edges has an edge_index")
        flat = x.reshape(cells * genes, channels)
        inputs = self.edge_inputs(edge_index, graph, view)
        parameters = ", ".join(inspect.signature(self.message).parameters)
        hint = f" message({parameters}) is offered the features (x_i, x_j) and {', '.join(inputs) or 'nothing else'}."
        with self.explained(hint, x=flat, edge_index=edge_index, **inputs):
            y = self.on_edges(flat, edge_index, **inputs)
        if y.shape[0] != cells * genes:
            raise ContractError(
                f"{type(self).__name__} breaks sentence 1 of the contract: "
                f"{list(flat.shape)} went in, {list(y.shape)} came out."
            )
        return y.reshape(cells, genes, -1)
