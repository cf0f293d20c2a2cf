"""Which score finds cells of a class that the reference lacks: every class is left out once, and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.novelty.page import novelty_markdown
from benchmarks.novelty.run import left_out
from benchmarks.novelty.scores import RULES
from tests.helpers import make_cells

if TYPE_CHECKING:
    from pathlib import Path


def test_every_class_is_left_out_once_and_simulated_ones_are_found(tmp_path: Path) -> None:
    make_cells(240, seed=1).write_h5ad(tmp_path / "cells.h5ad")
    found = list(left_out(tmp_path / "cells.h5ad", "cell_type", most_cells=240, seed=0, skip={"type 1"}))
    assert [rows[0]["class"] for rows in found] == ["type 0", "type 2"]
    rows = [row for rows in found for row in rows]
    assert [row["rule"] for row in rows] == [*RULES] * 2
    for row in rows:
        assert row["cells"] == 80
        if row["rule"] == "likelihood ratio":
            assert row["auroc"] > 0.95
            assert row["unknown_left_out"] > 0.8
            assert row["unknown_known"] < 0.3
    page = novelty_markdown(rows, ["cells"])
    assert "| likelihood ratio | 1.000 |" in page or "| likelihood ratio | 0.9" in page
    assert "sets that it was chosen on: cells." in page
    assert "other sets" not in page
