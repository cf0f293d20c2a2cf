"""Labels of any kind are drawn as they are, and a figure is the same bytes each time."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from scgraph.bench.figures import confusion_matrices, feature_maps
from scgraph.reporting.drawing import data_uri, model_colors, model_label, plain


def test_equal_figures_give_equal_bytes() -> None:
    uris = [data_uri(confusion_matrices({"gnn": [[1, 0], [0, 1]]}, ["a", "b"])) for _ in range(2)]
    assert uris[0] == uris[1]
    assert uris[0].startswith("data:image/svg+xml;base64,")


def test_strange_labels_are_drawn() -> None:
    classes = ["<b>x</b>/é", "_hidden", "$x_1$ and $", "T細胞", "", "two\nlines", "n" * 80]
    features = {"m": np.random.default_rng(0).normal(size=(21, 4))}
    codes = np.arange(21) % 7
    for figure in (feature_maps(features, codes, classes), confusion_matrices({"m": np.eye(7)}, classes)):
        assert b"</svg>" in base64.b64decode(data_uri(figure).partition(",")[2])
        assert base64.b64decode(data_uri(figure, form="png").partition(",")[2]).startswith(b"\x89PNG")
    legend = feature_maps(features, codes, classes).legends[0]
    assert len(legend.get_texts()) == 7


@pytest.mark.parametrize(("label", "drawn"), [("a\n b", "a b"), ("$x$", r"\$x\$"), ("n" * 50, "n" * 33 + "…")])
def test_plain(label: str, drawn: str) -> None:
    assert plain(label) == drawn


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("torch_geometric.nn.SAGEConv untrained", "nn.SAGEConv untrained"),
        ("torch_geometric.nn:TransformerConv untrained", "nn:TransformerConv untrained"),
        ("my_lab.layers:MyConv", "layers:MyConv"),
        ("my_lab:MyConv", "my_lab:MyConv"),
        ("gnn-linear untrained", "gnn-linear untrained"),
        ("pca+logreg", "pca+logreg"),
    ],
)
def test_figures_show_the_end_of_an_import_path(name: str, drawn: str) -> None:
    assert model_label(name) == drawn


def test_a_model_keeps_its_colour() -> None:
    alone, among = model_colors(["gnn untrained", "gnn"]), model_colors(["majority", "gnn", "tf"])
    assert alone["gnn"] == alone["gnn untrained"] == among["gnn"]
    assert len({among["gnn"], among["tf"], among["majority"]}) == 3
