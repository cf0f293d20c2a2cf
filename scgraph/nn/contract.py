"""One check a sentence of the contract that `scgraph.nn.GeneConv` states."""

from __future__ import annotations

import inspect
import re
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from scgraph.errors import ContractError
from scgraph.nn.adjacency import FactorizedAdjacency
from scgraph.nn.block import Block
from scgraph.nn.conv.base import GeneConv
from scgraph.nn.counting import counted_multiply_adds
from scgraph.nn.graph import CellGraph
from scgraph.nn.pyg.conv import PyGConv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from scgraph.nn.adjacency import AdjacencyView

__all__ = ["SENTENCES", "ConvContract", "check_conv", "remarks", "try_out"]

CELLS, GENES, CHANNELS, RANK, VOCABULARY = 3, 11, 16, 5, 40


def _fail(conv: GeneConv, sentence: int, text: str) -> None:
    raise ContractError(f"{type(conv).__name__} breaks sentence {sentence} of the contract: {text}")


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-9, atol=1e-9)


@contextmanager
def _differentiable(conv: GeneConv) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        _fail(conv, 2, f"its gradients cannot be computed ({str(error).splitlines()[0]}).")


class _Case:
    """A layer in float64 with cells of different length and a learned adjacency."""

    def __init__(self, conv: GeneConv, *, padded: bool = True) -> None:
        generator = torch.Generator().manual_seed(1)
        self.conv = conv.double().train(mode=False)
        torch.manual_seed(2)
        self.adjacency = FactorizedAdjacency(VOCABULARY, RANK).double()
        genes = torch.stack([torch.randperm(VOCABULARY, generator=generator)[:GENES] + 1 for _ in range(CELLS)])
        if padded:
            genes[0, 7:] = 0
            genes[1, 1:] = 0  # a cell with a single gene
        self.graph = CellGraph(genes, padded=padded)
        x = torch.randn(CELLS, GENES, conv.channels, generator=generator, dtype=torch.float64)
        self.x = self.graph.zero_padding(x).requires_grad_()
        self.weight = torch.randn(CELLS, GENES, conv.channels, generator=generator, dtype=torch.float64)

    def run(self, graph: CellGraph | None = None, x: Tensor | None = None, view: AdjacencyView | None = None) -> Tensor:
        graph = self.graph if graph is None else graph
        # A copy, as a layer may work in place on its input, which is the output of a norm.
        x = (self.x if x is None else x).clone()
        with self.conv.explained(x=x):
            out: Tensor = self.conv(x, graph, self.view(graph) if view is None else view)
        return out

    def view(self, graph: CellGraph) -> AdjacencyView | None:
        return self.adjacency.view(graph) if self.conv.uses_adjacency else None

    def gradients(self, out: Tensor) -> dict[str, Tensor]:
        named = dict(self.conv.named_parameters(prefix="conv"))
        if self.conv.uses_adjacency:
            named |= dict(self.adjacency.named_parameters(prefix="adjacency"))
        named["x"] = self.x
        with _differentiable(self.conv):
            gradients = torch.autograd.grad(
                (out * self.weight).sum(), list(named.values()), allow_unused=True, materialize_grads=True
            )
        return dict(zip(named, gradients, strict=True))


def _ordinary(block: Block, case: _Case, view: AdjacencyView | None) -> Tensor:
    """What a block around the layer says with nothing computed again and all that is kept watched by autograd."""
    out: Tensor = case.x + block.activation(case.run(x=block.norm(case.x), view=view))
    return out


def shape_and_dtype(conv: GeneConv) -> None:
    """1: ``[B, G, C]`` goes in and ``[B, G, C]`` of the same dtype comes out."""
    for dtype in (torch.float32, torch.float64):
        case = _Case(conv)
        case.conv.to(dtype)
        case.adjacency.to(dtype)
        out = case.run(x=case.x.to(dtype))
        if out.shape != case.x.shape or out.dtype != dtype:
            _fail(conv, 1, f"{list(case.x.shape)} {dtype} went in, {list(out.shape)} {out.dtype} came out.")


def finite_gradients(conv: GeneConv) -> None:
    """2: every parameter gets a finite gradient, and not only zeros."""
    case = _Case(conv)
    for name, gradient in case.gradients(case.run()).items():
        if not bool(gradient.isfinite().all()):
            _fail(conv, 2, f"the gradient of {name} {list(gradient.shape)} is not finite.")
        if not bool(gradient.any()):
            _fail(conv, 2, f"{name} {list(gradient.shape)} gets no gradient.")


def complete_equals_message(conv: GeneConv) -> None:
    """3: `complete` equals `message` on the complete graph, outputs and gradients, also with padding."""
    for padded in (False, True):
        case = _Case(conv, padded=padded)
        # A layer without `complete` runs on edges anyway: then they must be the ones it says.
        stated = conv.with_edges(case.graph, case.view(case.graph))
        fast = case.run()
        reference = case.run(case.graph.with_complete_edges() if _has_complete(conv) else stated)
        if not _close(fast, reference):
            _fail(conv, 3, f"outputs differ by {(fast - reference).abs().max():.1e} (padding: {padded}).")
        _same_gradients(case, fast, reference, f"padding: {padded}")
    if conv.plan(GENES).pairs_from is not None:
        case = _Case(conv)
        some = torch.rand(CELLS, GENES, GENES, generator=torch.Generator().manual_seed(7)) < 0.3
        pairs = some & case.graph.mask.unsqueeze(1) | torch.eye(GENES, dtype=torch.bool)
        graph = replace(case.graph, pairs=pairs)
        fast, reference = case.run(graph), case.run(graph.with_complete_edges())
        if not _close(fast, reference):
            _fail(conv, 3, f"outputs on pairs and on the same edges differ by {(fast - reference).abs().max():.1e}.")
        _same_gradients(case, fast, reference, "on pairs")


def _same_gradients(case: _Case, fast: Tensor, reference: Tensor, where: str) -> None:
    expected = case.gradients(reference)
    for name, gradient in case.gradients(fast).items():
        if not _close(gradient, expected[name]):
            off = (gradient - expected[name]).abs().max()
            _fail(case.conv, 3, f"gradients of {name} differ by {off:.1e} ({where}).")


def permutation(conv: GeneConv) -> None:
    """4: permuting the genes of a cell permutes the output."""
    case = _Case(conv, padded=False)
    order = torch.randperm(GENES, generator=torch.Generator().manual_seed(3))
    permuted = case.run(CellGraph(case.graph.genes[:, order], padded=False), case.x[:, order])
    if not _close(permuted, case.run()[:, order]):
        _fail(conv, 4, f"permuting {GENES} genes changes what a gene gets; is the position used?")


def padding(conv: GeneConv) -> None:
    """5: padding changes nothing, and the output of padding is zero."""
    case = _Case(conv)
    wide_genes = torch.nn.functional.pad(case.graph.genes, (0, 4))
    noise = torch.randn(CELLS, GENES + 4, CHANNELS, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    noise[:, :GENES] = torch.where(case.graph.mask.unsqueeze(-1), case.x, noise[:, :GENES])
    narrow = {"complete": case.run(), "edges": case.run(case.graph.with_complete_edges())}
    for name, graph in {
        "complete": CellGraph(wide_genes),
        "edges": CellGraph(wide_genes).with_complete_edges(),
    }.items():
        wide = case.run(graph, noise)
        if bool(wide[~graph.mask].any()):
            _fail(conv, 5, f"the output of padding is not zero ({name}).")
        if not _close(wide[:, :GENES], narrow[name]):
            _fail(conv, 5, f"features at padding change the output of real genes ({name}).")
    empty = case.run(CellGraph(torch.zeros_like(case.graph.genes)))
    if not bool(empty.isfinite().all()):
        _fail(conv, 5, "a cell without genes gives values that are not finite.")


def reset_and_state(conv: GeneConv) -> None:
    """6: `reset_parameters` after the same seed gives the same parameters, and a state dict goes round."""
    states = []
    for seed in (5, 6, 5):
        torch.manual_seed(seed)
        conv.reset_parameters()
        states.append({name: tensor.clone() for name, tensor in conv.state_dict().items()})
    for name, tensor in states[0].items():
        if not torch.equal(tensor, states[2][name]):
            _fail(conv, 6, f"reset_parameters with the same seed draws another {name} {list(tensor.shape)}.")
    if states[0] and all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items()):
        _fail(conv, 6, "reset_parameters changes nothing.")
    case = _Case(conv)
    conv.load_state_dict(states[0])
    first = case.run().detach()
    conv.load_state_dict(states[1])
    conv.load_state_dict(states[0])
    if not torch.equal(first, case.run()):
        _fail(conv, 6, "a state dict that is saved and loaded again changes the output.")


def counted_cost(conv: GeneConv) -> None:
    """7: `multiply_adds` equals what a run counts."""
    case = _Case(conv, padded=False)
    case.conv.float()
    case.adjacency.float()
    x = case.x.detach().float()
    counted = counted_multiply_adds(lambda: case.run(x=x)) / CELLS
    stated = conv.multiply_adds(GENES, RANK) + conv.adjacency_multiply_adds(GENES, RANK)
    if counted != stated:
        _fail(conv, 7, f"it states {stated:,} multiply-adds for {GENES} genes, a run counts {counted:,.0f}.")


def documented(conv: GeneConv) -> None:
    """8: the docstring gives the equation, the shapes and the source."""
    text = inspect.cleandoc(type(conv).__doc__ or "")
    for what, pattern in {
        "an equation": r"``.*[=←].*``",
        "shapes": r"(?m)^Shapes?:",
        "the source": r"(?m)^Source:",
    }.items():
        if not re.search(pattern, text):
            _fail(conv, 8, f"its docstring lacks {what}.")


def same_in_a_block(conv: GeneConv) -> None:
    """9: it changes nothing that other layers read, and has the same outputs and gradients in a block."""
    case = _Case(conv)
    block = Block(conv, activation=type(conv).activation, feed_forward=0, dropout=0.0).double().train(mode=False)
    view = case.view(case.graph)
    reference = _ordinary(block, case, view)
    if not torch.equal(reference, _ordinary(block, case, view)):
        _fail(conv, 9, "run again on the same graph and adjacency it gives something else; does it change one of them?")
    expected = case.gradients(reference)
    for block.recompute in (False, True):
        out = block(case.x, case.graph, case.view(case.graph))
        where = "that runs again in the backward pass" if block.recompute else "that keeps what it computes"
        if not _close(out, reference):
            _fail(conv, 9, f"in a block {where} its output differs by {(out - reference).abs().max():.1e}.")
        for name, gradient in case.gradients(out).items():
            if not _close(gradient, expected[name]):
                off = (gradient - expected[name]).abs().max()
                _fail(conv, 9, f"in a block {where} the gradient of {name} differs by {off:.1e}.")


SENTENCES: dict[int, Callable[[GeneConv], None]] = {
    1: shape_and_dtype,
    2: finite_gradients,
    3: complete_equals_message,
    4: permutation,
    5: padding,
    6: reset_and_state,
    7: counted_cost,
    8: documented,
    9: same_in_a_block,
}
"""The contract of a layer: the number of each sentence and the check that holds a layer to it."""


def check_conv(cls: type[GeneConv], options: dict[str, Any] | None = None) -> list[str]:
    """Check a convolution against the whole contract.

    Returns:
        What the check could not mean for this layer, see `remarks`.

    Raises:
        ContractError: names the first sentence it breaks, with shapes.
    """
    for check in SENTENCES.values():
        torch.manual_seed(0)
        check(_built(cls, options))
    return remarks(_built(cls, options))


def try_out(conv: GeneConv) -> None:
    """Run a layer forward and backward once on cells of different length, as a training step would.

    Raises:
        ContractError: it fails, gives another shape back than it got, or has no gradients.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        case = _Case(conv)
        conv.float().train()
        case.adjacency.float()
        x = case.x.detach().float().requires_grad_()
        out = case.run(x=x)
        with _differentiable(conv):
            torch.autograd.backward((x + out).square().sum())


def remarks(conv: GeneConv) -> list[str]:
    """Return what must be said beside a kept contract: sentences that ask less of this layer than of others."""
    remarks = []
    name = type(conv).__name__
    if isinstance(conv, PyGConv):
        remarks.append(f"3: {name} has no complete path; it runs on the {conv.top_k} strongest senders of each gene.")
        if conv.is_unweighted:
            remarks.append(f"2: {name} takes no edge weights; the adjacency learns by a straight-through estimator.")
    elif not _has_complete(conv):
        remarks.append(
            f"3: {name} has no complete path; it runs on all edges of cells of up to {conv.complete_limit} genes, "
            f"beyond that on the {conv.top_k} strongest senders of each gene."
        )
    if type(conv).multiply_adds is GeneConv.multiply_adds:
        remarks.append(
            f"7: {name} states no multiply_adds, so a run counts them: products of matrices, not the weighing and "
            "adding of messages."
        )
    if isinstance(conv, PyGConv):
        layer = conv.layer_class
        remarks.append(f"8: equation and source are those of {layer.__module__}.{layer.__qualname__}.")
    return remarks


def _built(cls: type[GeneConv], options: dict[str, Any] | None) -> GeneConv:
    try:
        return cls(CHANNELS, **(options or {}))
    except TypeError as error:
        raise ContractError(
            f"{cls.__name__} breaks sentence 1 of the contract: it is built with the width C and conv_options "
            f"{options or {}} ({error})."
        ) from error


def _has_complete(conv: GeneConv) -> bool:
    return type(conv).complete is not GeneConv.complete


class ConvContract:
    """A pytest class that runs the contract; inherit from it and set `conv`, and `options` if needed."""

    conv: ClassVar[type[GeneConv]]
    options: ClassVar[dict[str, Any]] = {}

    def _check(self, sentence: int) -> None:
        torch.manual_seed(0)
        SENTENCES[sentence](self.conv(CHANNELS, **self.options))

    def test_shape_and_dtype(self) -> None:
        """Sentence 1."""
        self._check(1)

    def test_finite_gradients(self) -> None:
        """Sentence 2."""
        self._check(2)

    def test_complete_equals_message(self) -> None:
        """Sentence 3."""
        self._check(3)

    def test_permutation(self) -> None:
        """Sentence 4."""
        self._check(4)

    def test_padding(self) -> None:
        """Sentence 5."""
        self._check(5)

    def test_reset_and_state(self) -> None:
        """Sentence 6."""
        self._check(6)

    def test_counted_cost(self) -> None:
        """Sentence 7."""
        self._check(7)

    def test_documented(self) -> None:
        """Sentence 8."""
        self._check(8)

    def test_same_in_a_block(self) -> None:
        """Sentence 9."""
        self._check(9)
