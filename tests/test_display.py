"""What functions return is short at a prompt, and harmless in a notebook."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import scgraph
from scgraph.data import CellStore, Vocabulary, read_cells
from scgraph.display import LINES, WIDTH, brief, short_repr
from scgraph.models import SavedModel
from tests.helpers import QUICK, make_cells

PACKAGES = re.findall(r"<!-- api:(\S+) -->", (Path(__file__).parents[1] / "docs" / "api.md").read_text())


def public_results() -> list[type]:
    """All dataclasses and named tuples of the public packages."""
    named = (getattr(module, name) for module in map(importlib.import_module, PACKAGES) for name in module.__all__)
    found = {one for one in named if isinstance(one, type)}
    return sorted((one for one in found if dataclasses.is_dataclass(one) or hasattr(one, "_fields")), key=str)


@pytest.mark.parametrize("cls", public_results(), ids=lambda cls: cls.__name__)
def test_every_public_result_has_both_forms(cls: type) -> None:
    def filled(name: str) -> Any:
        return {"model": "<b>x</b>"}.get(name, ("<script>",) * 5000)

    if issubclass(cls, tuple):
        result: Any = cls._make(map(filled, cls._fields))  # type: ignore[attr-defined]
    else:
        result = object.__new__(cls)
        for field in dataclasses.fields(cls):
            object.__setattr__(result, field.name, filled(field.name))
    if hasattr(cls, "__len__") and not issubclass(cls, tuple):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cls, "__len__", lambda _: 7)
            text, table = repr(result), result._repr_html_()
    else:
        text, table = repr(result), result._repr_html_()
    assert text.startswith(cls.__name__)
    assert len(text.splitlines()) <= LINES
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "<script>" not in table
    assert "<b>" not in table
    assert table.startswith("<table>")


def test_a_trained_model_and_its_parts_say_their_sizes() -> None:
    adata = make_cells()
    trained = scgraph.pretrain([adata], config=QUICK)
    weights = sum(part.numel() for part in trained.model.parameters())
    assert f"model: GeneModel, {weights:,} weights" in repr(trained)
    assert "vocabulary: Vocabulary, 40 entries" in repr(trained)
    assert f"DataFrame [{len(trained.history)}, {trained.history.shape[1]}]</td>" in trained._repr_html_()
    cells = read_cells(adata)
    assert repr(cells).splitlines()[:2] == ["Cells, 90 entries:", "    name: adata"]
    assert "matrix: float32 [90, 40]" in repr(cells)
    store = repr(CellStore.from_cells(cells, trained.vocabulary))
    assert store.startswith("CellStore, 90 entries:")
    assert "    genes: ArrayColumn\n" in store
    saved = SavedModel(trained.model, trained.vocabulary, trained.model_config, {}, {}, {})
    assert len(repr(saved)) < 400


def test_what_has_no_line_is_named_and_what_is_empty_is_not() -> None:
    @short_repr
    @dataclasses.dataclass
    class Many:
        a: int = 12345
        b: float = 1 / 3
        c: str = ""
        d: tuple[str, ...] = ("x", "y", "z", "w")
        e: dict[str, int] = dataclasses.field(default_factory=lambda: {"k": 1})
        f: Any = None
        g: int = 1
        h: int = 2

    assert repr(Many()) == (
        "Many:\n    a: 12,345\n    b: 0.3333\n    d: 4 entries: x, y, z, ...\n    e: k\n    and g, h"
    )
    assert Many()._repr_html_().count("<tr>") == 6  # type: ignore[attr-defined]


def test_a_named_tuple_shows_its_fields() -> None:
    @short_repr
    class Pair(NamedTuple):
        table: pd.DataFrame
        size: int

    assert repr(Pair(pd.DataFrame({"a": [1]}), 2)) == "Pair:\n    table: DataFrame [1, 1]\n    size: 2"


def test_names_of_genes_give_no_commands_to_a_terminal() -> None:
    text = repr(Vocabulary(("\x1b[2J", "B" * 300), ("", "")))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert brief(np.zeros((2, 3), dtype=np.float32)) == "float32 [2, 3]"
