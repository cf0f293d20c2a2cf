"""The table of one layer as edge list, dense and fused: the forms are one layer, and the table says what was found."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What a child would answer, measured in this process."""
    from benchmarks.hardware_lottery.cases import forms
    from benchmarks.hardware_lottery.point import measure_times
    from benchmarks.layers.cases import Sizes

    sizes = asdict(Sizes(10, channels=16, rank=3, cells=2))
    request = {"forms": [form.name for form in forms()], "sizes": sizes, "rounds": 2, "seconds": 9, "peak_size": 32}
    return measure_times(request)


def test_all_forms_of_a_layer_give_the_same_numbers(found: dict[str, Any]) -> None:
    from benchmarks.hardware_lottery.cases import EDGES, REFERENCES, forms

    assert found["failures"] == {}
    assert set(found["times"]) == {form.name for form in forms()}
    assert all(len(own) == 2 for own in found["times"].values())
    assert max(found["differences"].values()) < 1e-5
    assert [found["differences"][name] for name in REFERENCES.values()] == [0, 0]
    assert sum(form.kind == EDGES for form in forms()) == 3


def test_a_form_that_computes_something_else_is_seen() -> None:
    from benchmarks.hardware_lottery.cases import named_form
    from benchmarks.hardware_lottery.point import differences
    from benchmarks.layers.cases import LayerStep, Sizes

    sizes = Sizes(10, channels=16, rank=3)
    steps = {name: LayerStep(named_form(name), sizes) for name in ("tf, dense", "tf, fused")}
    assert differences(steps)["tf, dense"] < 1e-5
    with torch.no_grad():
        next(steps["tf, dense"].module.parameters()).mul_(1.1)
    assert differences(steps)["tf, dense"] > 1e-3


def test_multiply_adds_are_those_of_the_dense_forms() -> None:
    from benchmarks.hardware_lottery.cases import multiply_adds, named_form
    from benchmarks.layers.cases import LayerStep, Sizes
    from scgraph.nn import counted_multiply_adds

    sizes = Sizes(10, channels=16, rank=3, cells=2)
    for name in ("tf, dense", "gnn, dense"):
        step = LayerStep(named_form(name), sizes)
        assert multiply_adds(named_form(name), sizes) == counted_multiply_adds(step.forward)


def test_the_table_says_what_was_found_and_what_did_not_fit(found: dict[str, Any]) -> None:
    from benchmarks.hardware_lottery.cases import forms
    from benchmarks.hardware_lottery.page import draw_lottery, lottery_markdown, lottery_row, with_times
    from benchmarks.layers.cases import Sizes

    sizes = Sizes(10, channels=16, rank=3, cells=2)
    memory = {"saved_mb": 2.0, "peak_mb": 8.0}
    rows = [lottery_row(form, sizes, "ok", memory) for form in forms()]
    times = {name: [0.004, 0.004] for name in found["times"]} | {"tf, fused": [0.001, 0.001]}
    del times["gnn, streamed"]
    answer = found | {"times": times, "failures": {"gnn, streamed": "out of memory"}}
    rows = with_times(rows, answer, peak=1e9)
    by_form = {row["form"]: row for row in rows}
    assert by_form["tf, dense"]["times"] == 4
    assert by_form["gnn, edge list"]["times"] == 1
    adds = 2 * (4 * 10 * 16**2 + 2 * 10**2 * 16)
    assert by_form["tf, fused"]["matmul_share"] == pytest.approx(6 * adds / 0.001 / 1e9)
    described = {"channels": 16, "rank": 3, "batch_size": 2}
    page = lottery_markdown(rows, described, 1e9, 1)
    assert "| `gnn, streamed` | 10 | out of memory | - | - | - | - | - |" in page
    assert "the quickest edge list of `tf` takes 4 times as long as `tf, fused` and 1 times its memory" in page
    assert len(draw_lottery(rows).axes) == 3
    nothing = with_times([lottery_row(form, sizes, "over time", {}) for form in forms()], {}, peak=float("nan"))
    assert lottery_markdown(nothing, described, float("nan"), 1).count("| over time | - |") == len(nothing)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and sets RLIMIT_DATA")
def test_a_whole_run_leaves_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.hardware_lottery import run as hardware_lottery

    out = tmp_path / "out"
    words = ["--out", str(out), "--genes", "16,3000", "--channels", "16", "--rank", "2", "--rounds", "6"]
    with pytest.raises(SystemExit) as stopped:
        hardware_lottery.main([*words, "--peak-size", "64", "--memory-gb", "1.5", "--seconds", "1"])
    assert not stopped.value.code, capsys.readouterr().err
    files = {"results.csv", "rounds.csv", "table.md", "figure.png", "figure.svg", "config.yaml", "environment.json"}
    assert {path.name for path in out.iterdir()} == files
    rows = pd.read_csv(out / "results.csv").set_index(["form", "genes"])
    assert rows.loc[("tf, edge list", 3000), "status"] == "out of memory"
    assert rows.loc[("tf, fused", 3000), "status"] == "ok"
    assert rows.loc[("gnn, streamed", 3000), "saved_mb"] < 0.1 * rows.loc[("gnn, dense", 3000), "saved_mb"]
    rounds = pd.read_csv(out / "rounds.csv")
    own = rounds[(rounds["form"] == "gnn, dense") & (rounds["genes"] == 16)]["seconds"]
    assert 1e3 * own.median() == pytest.approx(rows.loc[("gnn, dense", 16), "milliseconds"])
    origin = json.loads((out / "environment.json").read_text())
    assert len(origin["matmul_peaks"]) == 4
    assert "What did not fit" in (out / "table.md").read_text()
