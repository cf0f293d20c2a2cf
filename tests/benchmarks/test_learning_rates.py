"""Which learning rate is taken, and that the shipped settings are what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from scgraph.config import load_yaml
from tests.benchmarks.conftest import ROOT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

POINTS = ROOT / "benchmarks" / "results" / "2026-11-25-learning-rates" / "points.csv"


def points(*rows: tuple[str, float, int, float, float]) -> pd.DataFrame:
    """Model, rate, seed, and the score on each of two processors."""
    listed: list[dict[str, Any]] = [
        {"dataset": "set", "model": model, "learning_rate": rate, "seed": seed, "processor": processor,
         "validation_macro_f1": score, "validation_mvp_loss": 1.0, "steps": 10, "n_validation": 7, "seconds": 1.0}
        for model, rate, seed, *scores in rows for processor, score in zip(("native", "default"), scores, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(listed)


def chosen(frame: pd.DataFrame) -> dict[str, float]:
    from learning_rates_pages import chosen_rates

    found = chosen_rates(frame, margin=0.01)
    return dict(zip(found["model"], found["learning_rate"], strict=True))


def test_the_best_of_the_stable_rates_is_taken() -> None:
    frame = points(
        ("tf", 0.01, 0, 0.90, 0.86), ("tf", 0.01, 1, 0.91, 0.91), ("tf", 0.003, 0, 0.80, 0.80),
        ("tf", 0.003, 1, 0.82, 0.815), ("tf", 0.001, 0, 0.79, 0.79), ("tf", 0.001, 1, 0.70, 0.70),
        ("gnn", 0.01, 0, 0.80, 0.80), ("gnn", 0.003, 0, 0.80, 0.80),
    )  # fmt: skip
    assert chosen(frame) == {"tf": 0.003, "gnn": 0.01}


def test_where_none_is_stable_the_one_that_moves_least_is_taken() -> None:
    assert chosen(points(("tf", 0.01, 0, 0.9, 0.8), ("tf", 0.001, 0, 0.7, 0.65))) == {"tf": 0.001}


def test_shipped_rates_are_those_that_were_measured() -> None:
    shipped = {name: own["learning_rate"] for name, own in load_yaml("bench/default")["train_per_model"].items()}
    assert chosen(pd.read_csv(POINTS)) == shipped


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_points_are_measured_once(
    script: Callable[..., subprocess.CompletedProcess[str]], cells_file: Path, tmp_path: Path
) -> None:
    words = ["--data", str(cells_file), "--models", "none", "--seeds", "1", "--out", str(tmp_path / "out")]
    words += [f"--set={word}" for word in ("model.layers=1", "model.channels=8", "train.epochs=1", "probe.epochs=2")]
    first = script("learning_rates.py", *words, "--rates", "0.01")
    assert first.returncode == 0, first.stderr
    again = script("learning_rates.py", *words, "--rates", "0.01,0.003")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("seed 0: ") == 2  # the new rate on both processors
    frame = pd.read_csv(tmp_path / "out" / "points.csv")
    assert len(frame) == 4
    assert set(frame["processor"]) == {"native", "default"}
    same = frame[frame["learning_rate"] == 0.01]["validation_macro_f1"]
    assert same.max() - same.min() < 0.3
    assert "&&" in (tmp_path / "out" / "environment.json").read_text()
