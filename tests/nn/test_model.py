"""The model around the convolutions."""

from __future__ import annotations

import pytest
import torch

from scgraph.errors import ConfigError
from scgraph.nn import CellGraph, FactorizedAdjacency, GeneModel, counted_multiply_adds
from scgraph.nn.conv.registry import conv_names
from scgraph.nn.encoder import VALUE_ENCODINGS

GENES = torch.tensor([[3, 1, 4, 2, 6, 5], [9, 2, 6, 0, 0, 0]])
VALUES = torch.tensor([[0.5, 1.0, 2.0, 0.1, 3.0, 1.5], [1.0, 2.0, 0.5, 0.0, 0.0, 0.0]])
MASK = torch.tensor([[True, False, False, True, False, False], [False, True, False, False, False, False]])


def _model(conv: str, **options: object) -> GeneModel:
    torch.manual_seed(0)
    return GeneModel(9, conv=conv, channels=8, layers=2, rank=3, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("conv", "encoding"),
    [*((conv, encoding) for conv in conv_names() for encoding in VALUE_ENCODINGS[:2])]
    + [("gnn", encoding) for encoding in VALUE_ENCODINGS[2:]],
)
def test_padding_and_masked_values_change_nothing(conv: str, encoding: str) -> None:
    model = _model(conv, value_encoding=encoding, cell_head=True).double()
    values = VALUES.double()
    out = model(GENES, values, MASK)
    wide = model(
        torch.nn.functional.pad(GENES, (0, 5)),
        torch.nn.functional.pad(values, (0, 5), value=7.0),
        torch.nn.functional.pad(MASK, (0, 5)),
    )
    torch.testing.assert_close(out.cell, wide.cell, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(out.values, wide.values[:, :6], rtol=1e-9, atol=1e-9)
    assert not wide.values[:, 6:].any()
    hidden = model(GENES, values.masked_fill(MASK, torch.inf), MASK)
    assert torch.equal(out.values, hidden.values)
    assert torch.equal(out.cell, hidden.cell)


@pytest.mark.parametrize("conv", conv_names())
def test_edges_and_complete_agree_through_the_stack(conv: str) -> None:
    model = _model(conv).double()
    edges = CellGraph(GENES).with_complete_edges().edge_index
    fast, slow = model(GENES, VALUES.double()), model(GENES, VALUES.double(), edge_index=edges)
    torch.testing.assert_close(fast.cell, slow.cell, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fast.values, slow.values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("conv", conv_names())
def test_stated_multiply_adds_are_what_a_run_counts(conv: str, shared: bool) -> None:
    model = _model(conv, shared_adjacency=shared)
    graph = CellGraph(GENES[:1], padded=False)
    counted = counted_multiply_adds(lambda: model.encode(graph, VALUES[:1]))
    encoder = counted_multiply_adds(lambda: model.encoder(graph, VALUES[:1], None))
    assert counted - encoder == model.cost(6).multiply_adds


@pytest.mark.parametrize(
    ("channels", "genes", "tf", "gnn"),
    # Table II of the paper, in billions.
    [
        (256, 512, 2.01, 0.76),
        (128, 512, 0.70, 0.41),
        (512, 512, 6.44, 1.77),
        (256, 256, 0.81, 0.24),
        (256, 1024, 5.64, 2.63),
    ],
)
def test_multiply_adds_are_the_papers(channels: int, genes: int, tf: float, gnn: float) -> None:
    with torch.device("meta"):
        transformer = GeneModel(10, conv="tf", channels=channels, layers=6, rank=48)
        one_a_layer = GeneModel(10, conv="gnn", channels=channels, layers=6, rank=48, shared_adjacency=False)
        shared = GeneModel(10, conv="gnn", channels=channels, layers=6, rank=48)
    assert round(transformer.cost(genes).multiply_adds / 1e9, 2) == tf
    # The paper's column is met with 2·G²·R for each layer's adjacency, within 2 %.
    papers = one_a_layer.cost(genes).multiply_adds + 6 * genes**2 * 48
    assert papers / 1e9 == pytest.approx(gnn, rel=0.025)
    assert shared.cost(genes).multiply_adds < one_a_layer.cost(genes).multiply_adds < papers


def test_adjacency_is_factorised_and_directed() -> None:
    adjacency = FactorizedAdjacency(9, 3)
    dense = adjacency.target @ adjacency.source.T
    graph = CellGraph(GENES)
    torch.testing.assert_close(adjacency.view(graph).logits[0], dense[GENES[0]][:, GENES[0]])
    torch.testing.assert_close(adjacency.logits(torch.tensor(3), torch.tensor(1)), dense[3, 1])
    assert sum(p.numel() for p in adjacency.parameters()) == 2 * 10 * 3


def test_a_logit_starts_with_a_standard_deviation_of_one() -> None:
    torch.manual_seed(0)
    tables = FactorizedAdjacency(400, 16)
    assert float((tables.target @ tables.source.T).detach().std()) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("encoding", VALUE_ENCODINGS)
def test_genes_that_are_seen_are_encoded_as_if_nothing_were_hidden(encoding: str) -> None:
    encoder, graph = _model("none", value_encoding=encoding).encoder, CellGraph(GENES)
    assert torch.equal(encoder(graph, VALUES, MASK)[~MASK], encoder(graph, VALUES, None)[~MASK])


def test_layers_share_one_softmax() -> None:
    shared, own = _model("gnn"), _model("gnn", shared_adjacency=False)
    assert len(shared.adjacencies) == 1
    assert len(own.adjacencies) == 2
    assert len(_model("tf").adjacencies) == 0


def test_cell_head_answers_any_genes() -> None:
    model = _model("gnn", cell_head=True)
    everywhere = model(GENES, VALUES, query=torch.arange(1, 10)).cell_values
    own = model(GENES, VALUES).cell_values
    assert everywhere.shape == (2, 9)
    torch.testing.assert_close(own[0], everywhere[0][GENES[0] - 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conv": "gnm"}, "Did you mean 'gnn'"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"conv": "tf", "conv_options": {"heads": 3}}, r"heads \(3\) must divide channels \(8\)"),
        ({"conv": "gnn", "conv_options": {"head": 3}}, "unexpected keyword argument 'head'"),
        ({"value_encoding": "linar"}, "Did you mean 'linear'"),
        ({"activation": "gelo"}, "Did you mean 'gelu'"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GeneModel(9, **{"channels": 8, "layers": 1, "rank": 3} | options)  # type: ignore[arg-type]


def test_state_dict_round_trip() -> None:
    model = _model("gnn", cell_head=True)
    torch.manual_seed(1)
    other = GeneModel(9, conv="gnn", channels=8, layers=2, rank=3, cell_head=True)
    other.load_state_dict(model.state_dict())
    assert torch.equal(model.embed(GENES, VALUES), other.embed(GENES, VALUES))


def test_readout_without_the_norm_keeps_how_strongly_genes_are_expressed() -> None:
    model = _model("none", value_encoding="product", readout_norm=False)
    for block in model.blocks:
        torch.nn.init.zeros_(block.conv.linear.weight)
        torch.nn.init.zeros_(block.conv.linear.bias)
    zero = model.embed(GENES, torch.zeros_like(VALUES))
    once, twice = model.embed(GENES, VALUES) - zero, model.embed(GENES, 2 * VALUES) - zero
    torch.testing.assert_close(twice, 2 * once)
    torch.testing.assert_close(model(GENES, VALUES).cell, once + zero)
    normed = _model("none", value_encoding="product")
    assert not torch.allclose(normed.embed(GENES, 2 * VALUES), 2 * normed.embed(GENES, VALUES), atol=1e-2)
