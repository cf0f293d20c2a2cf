"""The asymmetric encoder-decoder: who sees what, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scgraph.config import ModelConfig
from scgraph.errors import ConfigError
from scgraph.models import build_model
from scgraph.nn import AsymmetricModel, CellGraph, GeneModel, counted_multiply_adds
from scgraph.nn.asymmetric import shown_genes

# Expressed genes first, then padding, then genes that are not expressed, then padding.
GENES = torch.tensor([[3, 1, 4, 2, 6, 7, 8, 0], [9, 2, 0, 0, 5, 1, 0, 0], [5, 0, 0, 0, 1, 2, 3, 4]])
VALUES = torch.tensor([[0.5, 1, 2, 0.1, 0, 0, 0, 0], [1, 2, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0]])
HIDDEN = torch.tensor([[1, 0, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 1, 1, 1, 1]]).bool()


def _model(**options: object) -> AsymmetricModel:
    torch.manual_seed(0)
    given: dict[str, object] = {"conv": "gnn", "channels": 8, "layers": 2, "rank": 3, "decoder_layers": 1}
    return AsymmetricModel(9, **given | options).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("decoder", ["performer", "gnn-linear", "tf"])
@pytest.mark.parametrize("conv", ["gnn", "tf", "gat"])
def test_a_batch_equals_each_cell_by_hand(conv: str, decoder: str) -> None:
    model = _model(conv=conv, decoder=decoder, value_encoding="discretised")
    values = VALUES.double()
    out = model(GENES, values, HIDDEN)
    for cell in range(3):
        keep = (VALUES[cell] > 0) & ~HIDDEN[cell]
        graph = CellGraph(GENES[cell][keep].unsqueeze(0), padded=False) if keep.any() else CellGraph(GENES[:1, -1:])
        given = values[cell][keep].unsqueeze(0) if keep.any() else values[:1, -1:]
        normed = model.norm(model.encode(graph, given).last)
        encoded = dict(zip(GENES[cell][keep].tolist(), normed[0], strict=False))
        panel = [(int(gene), at) for at, gene in enumerate(GENES[cell]) if gene]
        tokens = [
            model.encoder.mask_token if HIDDEN[cell, at] else encoded.get(gene, model.decoder.zero_token)
            for gene, at in panel
        ]
        own = CellGraph(torch.tensor([[gene for gene, _ in panel]]), padded=False)
        x = model.decoder.gene(own.genes) + model.decoder.project(torch.stack(tokens)).unsqueeze(0)
        found = model.value_head(model.decoder.norm(model.decoder.stack.run(x, own)))[0]
        torch.testing.assert_close(out.values[cell][[at for _, at in panel]], found, rtol=1e-9, atol=1e-9)
        assert not out.values[cell][GENES[cell] == 0].any()
        if keep.any():
            torch.testing.assert_close(out.cell[cell], normed[0].mean(0), rtol=1e-9, atol=1e-9)


def test_the_encoder_sees_no_hidden_and_no_zero_gene() -> None:
    values = VALUES.masked_fill(HIDDEN, torch.inf)
    graph, seen = shown_genes(GENES, values, (GENES > 0) & (VALUES > 0) & ~HIDDEN)
    assert graph.genes.tolist() == [[1, 4, 2], [9, 0, 0], [0, 0, 0]]
    assert seen.tolist() == [[1.0, 2.0, pytest.approx(0.1)], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    wider, _ = shown_genes(GENES, values, (GENES > 0) & (VALUES > 0) & ~HIDDEN, width=5)
    assert wider.genes.shape == (3, 5)
    model = _model(cell_head=True)
    one, other = (model(GENES, v.double(), HIDDEN, query=torch.arange(1, 10)) for v in (VALUES, values))
    assert torch.equal(one.values, other.values)
    assert torch.equal(one.cell_values, other.cell_values)


def test_the_order_of_the_panel_does_not_matter() -> None:
    model, values = _model(decoder="gnn"), VALUES.double()
    order = torch.tensor([7, 2, 5, 0, 4, 6, 1, 3])
    one, other = model(GENES, values, HIDDEN), model(GENES[:, order], values[:, order], HIDDEN[:, order])
    torch.testing.assert_close(one.values[:, order], other.values, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(one.cell, other.cell, rtol=1e-9, atol=1e-9)


def test_hidden_zeros_and_hidden_values_look_alike() -> None:
    model = _model()
    expressed, zero = VALUES[:1].clone().double(), VALUES[:1].clone().double()
    zero[0, 0] = 0.0
    assert torch.equal(model(GENES[:1], expressed, HIDDEN[:1]).values, model(GENES[:1], zero, HIDDEN[:1]).values)
    shown = model(GENES[:1], zero, HIDDEN[:1] & (torch.arange(8) > 0)).values
    assert not torch.allclose(model(GENES[:1], zero, HIDDEN[:1]).values, shown)


def test_embedding_never_runs_the_decoder() -> None:
    model = _model()
    for weight in model.decoder.parameters():
        torch.nn.init.constant_(weight, torch.nan)
    genes, values = GENES[:1, :4], VALUES[:1, :4].double()
    vectors = model.embed(genes, values)
    assert bool(vectors.isfinite().all())
    torch.manual_seed(0)
    alone = GeneModel(9, conv="gnn", channels=8, layers=2, rank=3).double()
    alone.load_state_dict({name: model.state_dict()[name] for name in alone.state_dict() if "value_head" not in name},
                          strict=False)  # fmt: skip
    assert torch.equal(alone.embed(genes, values), vectors)


@pytest.mark.parametrize("decoder", ["performer", "gcn"])
@pytest.mark.parametrize("recompute", [False, True])
def test_every_weight_learns(decoder: str, recompute: bool) -> None:
    model = _model(decoder=decoder, recompute=recompute, cell_head=True)
    out = model(GENES, VALUES.double(), HIDDEN)
    (out.values.square().sum() + out.cell_values.square().sum()).backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []


@pytest.mark.parametrize("zeros", [None, 0, 7])
@pytest.mark.parametrize(
    ("conv", "decoder"), [("tf", "performer"), ("gnn", "gnn-linear"), ("gnn-linear", "tf"), ("gat", "gnn")]
)
def test_stated_multiply_adds_are_what_a_run_counts(conv: str, decoder: str, zeros: int | None) -> None:
    torch.manual_seed(0)
    model = AsymmetricModel(20, conv=conv, decoder=decoder, channels=16, layers=2, rank=3, decoder_layers=2)
    genes = 6 + (6 if zeros is None else zeros)
    ids = torch.arange(1, genes + 1).unsqueeze(0)
    values = (ids <= 6).float()
    whole = counted_multiply_adds(lambda: model.features(CellGraph(ids, padded=False), values))
    encoder = counted_multiply_adds(lambda: model.encoder(CellGraph(ids[:, :6], padded=False), values[:, :6], None))
    cost = model.cost(6, zeros=zeros)
    assert whole - encoder == cost.multiply_adds
    alone = GeneModel(20, conv=conv, channels=16, layers=2, rank=3).cost(6)
    assert cost.encoder_multiply_adds == alone.multiply_adds
    assert cost.path.startswith(f"{alone.path}, ")
    assert cost.block_parameters > alone.block_parameters


def test_the_formula_of_the_docstring() -> None:
    with torch.device("meta"):
        model = build_model(9, **ModelConfig(conv="tf", asymmetric=True).model_kwargs())
    assert isinstance(model, AsymmetricModel)
    w, p, c, d, m, h = 2_000, 20_000, 256, 128, 32, 8
    encoder = 6 * (6 * w * c * c + 2 * w * w * c)
    decoder = (w + 2) * c * d + 2 * p * (6 * d * d + 4 * m * d + m * h)
    assert model.cost(w, zeros=p - w).multiply_adds == encoder + decoder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "performr"}, "model.decoder, of width 8: There is no model 'performr'. Did you mean 'performer'"),
        ({"decoder_channels": 12}, r"model.decoder, of width 12: heads \(8\) must divide channels \(12\)"),
        ({"decoder_layers": 0}, "decoder_layers must be at least 1"),
        ({"decoder_options": {"hats": 3}}, "unexpected keyword argument 'hats'"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _model(**options)


def test_edges_are_refused() -> None:
    edges: Tensor = torch.tensor([[0], [1]])
    with pytest.raises(ConfigError, match="complete graphs"):
        _model()(GENES, VALUES.double(), edge_index=edges)


def test_the_factory_builds_what_the_settings_say() -> None:
    assert type(build_model(9, **ModelConfig(channels=8, layers=1, decoder="mean").model_kwargs())) is GeneModel
    settings = ModelConfig(channels=24, layers=1, rank=2, asymmetric=True, decoder="mean", decoder_layers=3)
    model = build_model(9, **settings.model_kwargs())
    assert isinstance(model, AsymmetricModel)
    assert len(model.decoder.blocks) == 3
    assert model.decoder.project.out_features == 16
