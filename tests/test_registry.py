"""Convolutions by name, by import path, and what is said of wrong ones."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from scgraph.errors import ConfigError
from scgraph.nn.conv import GNNConv
from scgraph.registry import conv_class, conv_names, register_conv

if TYPE_CHECKING:
    from pathlib import Path


def test_names_of_the_zoo() -> None:
    assert set(conv_names()) >= {"gnn", "gnn-linear", "gcn", "gat", "tf", "hybrid", "mean", "none"}
    assert conv_class("gnn") is GNNConv
    assert GNNConv.key == "gnn"


def test_a_taken_name_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"'gnn' is taken by scgraph\.nn\.conv\.gnn\.GNNConv"):
        register_conv("gnn")(type("Other", (GNNConv,), {"__module__": "my_lab"}))
    assert conv_class("gnn") is GNNConv


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'mean'"):
        conv_class("meen")


def test_class_of_ones_own_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_lab.py").write_text(
        "from scgraph.nn.conv import NoneConv\nclass MyConv(NoneConv):\n    pass\nnumber = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert conv_class("my_lab:MyConv").__name__ == "MyConv"
    with pytest.raises(ConfigError, match="Did you mean 'MyConv'"):
        conv_class("my_lab:MyKonv")
    with pytest.raises(ConfigError, match="not a subclass"):
        conv_class("my_lab:number")
    with pytest.raises(ConfigError, match="no module 'unknown_lab'"):
        conv_class("unknown_lab:MyConv")
    sys.modules.pop("my_lab")
