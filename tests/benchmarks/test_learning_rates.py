"""Which learning rate is taken, and that the shipped settings are what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from benchmarks.harness.folder import read_rows
from benchmarks.learning_rates.page import chosen_rates, moved_apart, rates_markdown
from scgraph.config_files import load_yaml
from tests.benchmarks.conftest import ROOT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

POINTS = ROOT / "benchmarks" / "results" / "learning_rates" / "2026-11-25-own-totals" / "points.csv"
SHARED = 0.01


def points(*rows: tuple[str, float, int, float, float]) -> pd.DataFrame:
    """Model, rate, seed, and the score on each of two processors."""
    listed: list[dict[str, Any]] = [
        {"dataset": "set", "model": model, "learning_rate": rate, "seed": seed, "processor": processor,
         "validation_macro_f1": score, "validation_mvp_loss": 1.0, "steps": 10, "n_validation": 7, "seconds": 1.0}
        for model, rate, seed, *scores in rows for processor, score in zip(("native", "default"), scores, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(listed)


def taken(frame: pd.DataFrame) -> dict[str, float]:
    chosen = chosen_rates(frame, shared=SHARED, margin=0.01)
    chosen = chosen[chosen["taken"]]
    assert chosen["model"].is_unique
    return dict(zip(chosen["model"], chosen["learning_rate"], strict=True))


def test_where_the_rate_of_all_is_unstable_the_best_of_the_stable_ones_is_taken() -> None:
    frame = points(
        ("tf", 0.01, 0, 0.90, 0.86), ("tf", 0.01, 1, 0.91, 0.91), ("tf", 0.003, 0, 0.80, 0.80),
        ("tf", 0.003, 1, 0.82, 0.815), ("tf", 0.001, 0, 0.79, 0.79), ("tf", 0.001, 1, 0.70, 0.70),
    )  # fmt: skip
    assert taken(frame) == {"tf": 0.003}


@pytest.mark.parametrize(("gains", "rate"), [((0.03, -0.01, 0.04), 0.01), ((0.03, 0.031, 0.032), 0.005)])
def test_a_stable_rate_of_all_is_left_for_a_gain_whose_interval_lies_above_0(
    gains: tuple[float, ...], rate: float
) -> None:
    rows = [("gnn", 0.01, seed, 0.6, 0.6) for seed in range(3)]
    rows += [("gnn", 0.005, seed, 0.6 + gain, 0.6 + gain) for seed, gain in enumerate(gains)]
    assert taken(points(*rows)) == {"gnn": rate}


def test_one_seed_has_no_interval_and_changes_no_stable_rate() -> None:
    assert taken(points(("gnn", 0.01, 0, 0.6, 0.6), ("gnn", 0.005, 0, 0.9, 0.9))) == {"gnn": 0.01}


def test_where_none_is_stable_the_one_that_moves_least_is_taken() -> None:
    assert taken(points(("tf", 0.01, 0, 0.9, 0.8), ("tf", 0.001, 0, 0.7, 0.65))) == {"tf": 0.001}


def test_movement_is_of_one_seed_and_gains_are_paired_by_it() -> None:
    frame = points(
        ("tf", 0.01, 0, 0.50, 0.50), ("tf", 0.01, 1, 0.70, 0.74), ("tf", 0.003, 0, 0.52, 0.52),
        ("tf", 0.003, 1, 0.74, 0.74),
    )  # fmt: skip
    assert moved_apart(frame)["moved"].tolist() == pytest.approx([0.0, 0.04, 0.0, 0.0])
    row = chosen_rates(frame, shared=SHARED, margin=0.01).set_index("learning_rate").loc[0.003]
    assert row["gain"] == pytest.approx(0.02)
    assert row["low"] == pytest.approx(0.02)  # both seeds gain .02, over their means of the processors
    assert "+2.00 [+2.00, +2.00]" in rates_markdown(frame, shared=SHARED, margin=0.01)


def test_shipped_rates_are_those_that_were_measured() -> None:
    shipped = load_yaml("bench/mvp")
    own = {name: settings["learning_rate"] for name, settings in shipped["train_per_model"].items()}
    assert shipped["train"]["learning_rate"] == SHARED
    measured = taken(pd.DataFrame(read_rows(POINTS)))
    assert set(own) <= set(measured)
    assert measured == {name: own.get(name, SHARED) for name in measured}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rates", "0.01,fast"], "'fast' is no learning rate"),
        (["--rates", "0"], "'0' is no learning rate"),
        (["--processors", "avx22"], "Did you mean 'avx2'?"),
    ],
)
def test_bad_input_is_refused(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.learning_rates import run as learning_rates

    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        learning_rates.main(["--data", "pbmc68k_reduced", "--out", str(out), *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_points_are_measured_once(
    script: Callable[..., subprocess.CompletedProcess[str]], cells_file: Path, tmp_path: Path
) -> None:
    words = ["learning_rates", "--data", str(cells_file), "--models", "none", "--seeds", "1"]
    words += ["--out", str(tmp_path / "out")]
    words += [f"--set={word}" for word in ("model.layers=1", "model.channels=8", "train.epochs=1")]
    first = script(*words, "--rates", "0.01")
    assert first.returncode == 0, first.stderr
    again = script(*words, "--rates", "0.01,0.003")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("seed 0: ") == 2  # the new rate on both processors
    frame = pd.read_csv(tmp_path / "out" / "points.csv")
    assert len(frame) == 4
    assert set(frame["processor"]) == {"native", "default"}
    assert "&&" in (tmp_path / "out" / "environment.json").read_text()
    lost = script(*words, "--data", "gone.h5ad")
    assert lost.returncode == 2
    assert "gone.h5ad" in lost.stderr
