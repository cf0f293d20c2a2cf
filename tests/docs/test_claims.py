"""Verdicts of docs/reproduction.md follow from intervals, never from two means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from docs.make.reproduction_claims import _length, claims
from docs.make.sources import RESULTS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ([0.30, 0.42], "no gain or loss is shown; memory suffices"),  # two seeds, both up: the interval holds 0
        ([0.30, 0.31, 0.32], "a gain in accuracy is shown; memory suffices"),
        ([-0.30, -0.31, -0.32], "a loss of accuracy is shown; memory suffices"),
    ],
)
def test_figure_4_needs_an_interval_that_leaves_out_0(tmp_path: Path, gains: list[float], said: str) -> None:
    rows = [
        {"model": "gnn", "genes": genes, "seed": seed, "accuracy": 0.5 + (gain if genes == 2048 else 0.0)}
        for seed, gain in enumerate(gains) for genes in (64, 512, 2048)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "seeds.csv", index=False)
    points = [{"model": "gnn", "genes": genes, "status": "ok"} for genes in (64, 512, 2048)]
    pd.DataFrame(points).to_csv(tmp_path / "genes.csv", index=False)
    _, measured, verdict = _length(tmp_path)
    assert verdict == said
    assert f"over {len(gains)} seeds" in measured
    assert re.search(r"[+-]\d+\.\d\d \[[+-]\d+\.\d\d, [+-]\d+\.\d\d\] points from 64 to 2,048 genes", measured)


def test_a_transformer_that_lost_its_memory_is_named(tmp_path: Path) -> None:
    seeds = [{"model": "gnn", "genes": genes, "seed": 0, "accuracy": 0.5} for genes in (64, 512)]
    pd.DataFrame(seeds).to_csv(tmp_path / "seeds.csv", index=False)
    points = [{"model": "gnn", "genes": 512, "status": "ok"}, {"model": "tf", "genes": 512, "status": "out of memory"}]
    pd.DataFrame(points).to_csv(tmp_path / "genes.csv", index=False)
    _, measured, verdict = _length(tmp_path)
    assert verdict == "no gain or loss is shown; the Transformer runs out of memory"
    assert "(one pair, no interval)" in measured
    assert "out of memory: tf at 512" in measured


def test_every_difference_between_gnn_and_tf_has_its_interval() -> None:
    texts = [measured for _, measured, _ in claims(RESULTS, "2026-11-21")]
    compared = [text for text in texts if "gnn minus tf" in text or text.startswith("gnn +")]
    assert len(compared) >= 4
    for text in compared:
        found = re.findall(r"[+-]\d+\.\d\d( \[\])?", re.sub(r"\[[^\]]*\]", "[]", text))
        assert found, text
        assert all(found), text


def test_table_iis_accuracy_row_says_how_little_was_trained() -> None:
    (row,) = [measured for _, measured, _ in claims(RESULTS, "2026-11-21") if "channels divided by" in measured]
    assert "2 layers, about 58 steps of pretraining" in row
