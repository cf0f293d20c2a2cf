"""`torch.compile` of the whole model: one graph for every convolution of the zoo, the same numbers."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from torch import Tensor

from scgraph import pretrain
from scgraph.config import ModelConfig, TrainConfig
from scgraph.nn import AsymmetricModel, GeneModel
from scgraph.nn.conv.registry import conv_names
from scgraph.train.module import PretrainingModule

if TYPE_CHECKING:
    from pathlib import Path

Cells = tuple[Tensor, Tensor, Tensor]
# Options under which a layer runs other code.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in conv_names()),
    ("gnn", {"stream_from": 4}),
    ("gat", {"use_adjacency": True}),
]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()


# The tracer of torch 2.13 makes an instance of each autograd.Function and is warned of it by torch itself.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(("conv", "options"), VARIANTS, ids=str)
def test_a_model_is_one_graph(conv: str, options: dict[str, Any], cells: Cells) -> None:
    # Tracing alone: what a compiler makes of the graph takes minutes a model and is not ours.
    torch.manual_seed(0)
    model = GeneModel(30, conv=conv, channels=8, layers=1, rank=4, cell_head=True, conv_options=options)
    traced = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")(*cells)
    plain = model(*cells)
    for name in ("values", "cell", "cell_values"):
        torch.testing.assert_close(getattr(traced, name), getattr(plain, name), msg=name)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_an_asymmetric_model_is_one_graph_where_the_width_is_known(cells: Cells) -> None:
    torch.manual_seed(0)
    model = AsymmetricModel(30, conv="none", channels=8, layers=1, rank=4, decoder="mean", decoder_layers=1)
    genes, values, mask = cells
    values = values.masked_fill(values < 0.3, 0.0)
    width = int(((genes > 0) & (values > 0) & ~mask).sum(1).max())
    traced = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")(genes, values, mask, width=width)
    plain = model(genes, values, mask)
    for name in ("values", "cell"):
        torch.testing.assert_close(getattr(traced, name), getattr(plain, name), msg=name)


def test_gradients_of_the_traced_graph(cells: Cells) -> None:
    torch.manual_seed(0)
    model = GeneModel(30, conv="gnn", channels=8, layers=1, rank=4, recompute=True)
    gradients = []
    for run in (torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager"), model):
        model.zero_grad(set_to_none=True)
        run(*cells).values.square().sum().backward()
        gradients.append([weight.grad for weight in model.parameters()])
    for traced, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(traced, plain)


def test_training_compiles_where_asked(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    compiler = torch.compile

    def traced(function: Any, **options: Any) -> Any:
        asked.append(options)
        return compiler(function, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", traced)
    model = GeneModel(30, channels=8, layers=1, rank=4)
    plain, compiled = (PretrainingModule(model, TrainConfig(compile=on), total_steps=1) for on in (False, True))
    assert asked == [{"dynamic": True}]
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(compiled.predict(*cells).values, plain.predict(*cells).values)


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler of torch.compile on a CPU calls g++")
def test_a_run_with_compiled_code_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.5, 2.0, size=40) * rng.lognormal(0, 0.5, size=(160, 40))).astype(np.float32)
    counts[:, 0] += 1
    adata = AnnData(counts, var=pd.DataFrame(index=[f"gene{number}" for number in range(40)]))
    train = {"epochs": 2, "batch_size": 32, "mvp_loss": 1.0}
    plain, compiled = (
        pretrain([adata], config={"model": {"channels": 16}, "train": {**train, "compile": on}}) for on in (False, True)
    )
    assert list((tmp_path / "compiled").rglob("*.so"))
    for name, weight in compiled.model.state_dict().items():
        torch.testing.assert_close(weight, plain.model.state_dict()[name], rtol=1e-3, atol=1e-4, msg=name)


def test_recompute_is_a_setting() -> None:
    assert all(
        block.recompute for block in GeneModel(9, **ModelConfig(channels=4, recompute=True).model_kwargs()).blocks
    )
