"""What the backward pass computes again: the same numbers from less memory, and nothing left behind."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor, nn

from scgraph.config import ModelConfig
from scgraph.costs.machine import saved_bytes
from scgraph.costs.profiling import profile
from scgraph.errors import ContractError
from scgraph.nn import CellGraph, GeneConv, GeneModel
from scgraph.nn import block as block_module
from scgraph.nn import model as model_module
from scgraph.nn.block import Block
from scgraph.nn.conv.registry import conv_names
from scgraph.nn.kernels.recompute import recomputed

CPU = torch.device("cpu")
Cells = tuple[Tensor, Tensor, Tensor]


class Weighted(GeneConv):
    """Reads a property of the view without saying that layers share it."""

    uses_adjacency = True

    def complete(self, x: Tensor, graph: object, view: object) -> Tensor:
        return view.softmax @ (x * view.logits.mean())


def run(model: GeneModel, cells: Cells) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    torch.manual_seed(3)
    out = model(*cells)
    (out.values.square().sum() + out.cell.square().sum()).backward()
    return {"values": out.values, "cell": out.cell} | {
        name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None
    }


@pytest.mark.parametrize("conv", [*conv_names(), "torch_geometric.nn.GCNConv", "torch_geometric.nn.SAGEConv", Weighted])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recomputed_blocks_give_the_same_numbers(conv: str | type[GeneConv], dropout: float, cells: Cells) -> None:
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = GeneModel(30, conv=conv, channels=8, layers=3, rank=4, dropout=dropout, recompute=recompute)
        found.append(run(model, cells))
    assert found[0].keys() == found[1].keys()
    for name, plain in found[0].items():
        torch.testing.assert_close(found[1][name], plain, rtol=0, atol=1e-6, msg=name)


@pytest.mark.parametrize("conv", conv_names())
def test_recomputed_norms_change_no_number(conv: str, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = GeneModel(30, conv=conv, channels=8, layers=3, rank=4, feed_forward=8)
    again = run(model, cells)
    with monkeypatch.context() as patch:
        for module in (block_module, model_module):
            patch.setattr(module, "recomputed", lambda norm, x, **_: recomputed(norm, x, enabled=False))
        plain = run(model, cells)
    for name, tensor in plain.items():
        assert torch.equal(again[name], tensor), name


def test_recomputed_output_is_not_kept() -> None:
    norm, linear = nn.LayerNorm(64), nn.Linear(64, 64)
    x = torch.randn(10, 64, requires_grad=True)

    def forward(*, enabled: bool) -> Tensor:
        with recomputed(norm, x, enabled=enabled) as y:
            return linear(y).square().sum()

    kept, recomputes = (saved_bytes(lambda on=on: forward(enabled=on), CPU) for on in (False, True))
    assert kept - recomputes == 10 * 64 * 4


def test_an_output_changed_in_place_is_kept_as_the_body_reads_it() -> None:
    norm, linear = nn.LayerNorm(6), nn.Linear(6, 6)
    x = torch.randn(4, 6, requires_grad=True)
    gradients = []
    for enabled in (False, True):
        with recomputed(norm, x, enabled=enabled) as y:
            torch.relu_(y)
            z = linear(y)
        gradients.append(torch.autograd.grad(z.square().sum(), [x, *norm.parameters(), *linear.parameters()]))
    for plain, again in zip(*gradients, strict=True):
        assert torch.equal(plain, again)


@pytest.mark.parametrize("enabled", [False, True])
def test_what_is_changed_after_it_was_kept_is_refused(enabled: bool) -> None:
    norm, linear = nn.LayerNorm(6), nn.Linear(6, 6)
    x = torch.randn(4, 6)
    with recomputed(norm, x, enabled=enabled) as y:
        z = linear(y).exp()
        z.mul_(2.0)
    with pytest.raises((RuntimeError, ContractError), match=r"changed in place|inplace operation"):
        z.sum().backward()
    for parameter in norm.parameters():
        parameter.requires_grad_(False)  # then nothing else keeps x
    with recomputed(norm, x, enabled=enabled) as y:
        z = linear(y)
    x.add_(1.0)
    if enabled:  # else the output was kept, which x does not matter to
        with pytest.raises(ContractError, match=r"\[4, 6\] was changed in place"):
            z.sum().backward()


@pytest.mark.parametrize("recompute", [False, True])
def test_norms_behind_refuse_a_layer_that_works_in_place(recompute: bool) -> None:
    class InPlace(GeneConv):
        def complete(self, x: Tensor, graph: object, view: object) -> Tensor:
            return torch.relu_(x)

    block = Block(InPlace(4), activation="none", feed_forward=0, dropout=0.0, recompute=recompute, norm_first=False)
    graph = CellGraph(torch.tensor([[1, 2]]), padded=False)
    for x in (torch.randn(1, 2, 4), torch.randn(1, 2, 4, requires_grad=True) * 1.0):
        with pytest.raises(ContractError, match=r"InPlace works in place .* norms behind"):
            block(x, graph, None)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_forward_pass_without_backward_frees_its_memory(recompute: bool, cells: Cells) -> None:
    model = GeneModel(30, conv="gnn", channels=8, layers=2, rank=4, recompute=recompute)
    gc.disable()  # a cycle through the graph of autograd is none that the collector could see
    try:
        loss = model(*cells).values.sum()
        nodes, kept = [loss.grad_fn], []
        while nodes:
            node = nodes.pop()
            kept += [getattr(node, "_saved_result", None)]
            nodes += [above for above, _ in node.next_functions if above is not None]
        softmax = next(tensor for tensor in kept if tensor is not None)
        storage = torch.multiprocessing.reductions.StorageWeakRef(softmax.untyped_storage())
        del loss, node, nodes, kept, softmax
        assert storage.expired()
    finally:
        gc.enable()


def test_memory_of_the_paper_s_sizes() -> None:
    costs = [
        profile(ModelConfig(recompute=recompute), genes=512, vocabulary_size=600, batch_size=1, seconds=0.01)
        for recompute in (False, True)
    ]
    assert costs[0].saved_mb < 12
    assert costs[1].saved_mb < 5.2
