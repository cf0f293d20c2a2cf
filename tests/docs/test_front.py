"""The front page: its length, its one table, whose verdicts follow from the intervals, and its one picture."""

from __future__ import annotations

import math
import re
import shutil
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from docs.make import front_block, front_sources, pages, shallow_picture, sources
from scgraph.reporting.statistics import PairedDifference

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not sources.RESULTS.is_dir(), reason="results are in the repository, not in the package"
)
README = sources.ROOT / "README.md"


def over(low: float, high: float, *, equivalent: bool | None = None) -> PairedDifference:
    """A difference over sets with this interval."""
    return PairedDifference((low + high) / 2, low, high, 5, 1.0, math.nan, equivalent)


def test_the_readme_is_short_and_has_its_two_blocks() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert pages.blocks(text) == [("front", "picture"), ("front", "table")]
    assert len(re.findall(r"^\| ", text, re.M)) == 7, "one table: a header and six claims"


def test_the_picture_is_small_and_shows_the_numbers_of_the_newest_results() -> None:
    assert shallow_picture.is_current(), "run python -m docs.make"
    assert shallow_picture.PICTURE.stat().st_size < 60_000
    (axis,) = shallow_picture.draw().axes
    numbers = shallow_picture.curves()
    for line in axis.lines:
        assert list(line.get_ydata()) == numbers[str(line.get_label()).partition(":")[0]]
    assert len(axis.lines) == 2
    for at in range(4):
        assert numbers["weakest components"][at] <= numbers["strongest components"][at]


def test_another_number_makes_the_picture_and_the_table_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "benchmarks" / "results"
    for question in ("embeddings", "table2", "bench"):
        shutil.copytree(sources.RESULTS / question, results / question, ignore=shutil.ignore_patterns("*.png"))
    for module in (front_block, front_sources, shallow_picture, sources):
        monkeypatch.setattr(module, "RESULTS", results)
    before = front_block.front_rows()
    assert shallow_picture.is_current()
    front_sources.read_benches.cache_clear()
    for table in results.glob("embeddings/*/uses.csv"):
        frame = pd.read_csv(table, keep_default_na=False)
        shallow = (frame["model"] == "gnn") & (frame["use"] == "shallow")
        frame.loc[shallow, "value"] = 0.01
        frame.to_csv(table, index=False)
    after = front_block.front_rows()
    front_sources.read_benches.cache_clear()
    assert not shallow_picture.is_current()
    front_sources.read_benches.cache_clear()
    assert before[:2] == after[:2]
    assert "not at 20 % of the counts" in after[2][2]
    assert "behind at 20 % of the counts" in after[3][2]
    assert "yes" not in after[3][2]


def test_costs_hold_only_where_every_size_does() -> None:
    assert front_block.compute_verdict(pd.Series([2.0, 3.9])) == "holds"
    assert front_block.compute_verdict(pd.Series([1.9, 3.9])) == "in 1 of 2 sizes"
    large, small = pd.Series([8.5, 9.0]), pd.Series([2.0, 2.5])
    assert front_block.memory_verdict(large, large) == "holds"
    assert front_block.memory_verdict(large, small) == "against unfused attention only"
    assert front_block.memory_verdict(pd.Series([4.0, 9.0]), small).startswith("in 1 of 2 sizes")
    assert front_block.memory_verdict(small, small) == "does not hold"


def test_equal_accuracy_needs_the_test_of_equivalence() -> None:
    assert front_block.accuracy_verdict(-0.002, 0.008, equivalent=True) == "holds within ± 1 point"
    assert front_block.accuracy_verdict(-0.02, 0.03, equivalent=False) == "no difference shown, nor equality"
    assert front_block.accuracy_verdict(-0.05, -0.02, equivalent=False) == "the GNN is behind"
    assert front_block.accuracy_verdict(0.02, 0.05, equivalent=False) == "the GNN is ahead"


def test_vectors_are_equal_only_where_the_test_of_equivalence_says_so() -> None:
    found = {"a": over(-0.4, 0.2, equivalent=True), "b": over(-3, 2), "c": over(1, 3)}
    assert front_block.vectors_verdict(found) == "of vectors too a; not c; no difference shown else"
    assert front_block.vectors_verdict({"b": over(-3, 2)}) == "no difference shown in any use"


def test_a_use_is_named_only_where_its_interval_leaves_out_0() -> None:
    found = {"a": over(1, 3), "b": over(-1, 3), "c": over(-4, -2)}
    assert front_block.use_verdict(found) == "yes a; behind c; no difference shown else"
    assert front_block.use_verdict({"b": over(-1, 3)}) == "no difference shown in any use"
    assert front_block.use_verdict({"a": over(1, 3)}) == "yes a"
    assert front_block.graph_verdict(found) == "shown c", "none is behind the graph there"
    assert front_block.graph_verdict({"a": over(1, 3), "b": over(-1, 3)}) == "not shown"
