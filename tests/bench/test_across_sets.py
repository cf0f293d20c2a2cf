"""What all sets say together, against numbers of scipy worked out here."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from scgraph.bench.across_sets import across_sets, trained_models
from scgraph.bench.forest import difference_forest
from scgraph.bench.results import results_frame, summarise
from scgraph.bench.tables import overall_sentences, rich_tables, summary_markdown, verdicts

SETS = ("one", "two", "three")
# Differences gnn - tf in accuracy, seed x set; macro-F1 is twice that.
D = np.array([[0.004, -0.010, 0.021], [0.006, -0.004, 0.018], [0.001, -0.012, 0.030], [0.002, -0.007, 0.024]])


def bench_rows(differences: np.ndarray = D, sets: tuple[str, ...] = SETS, *, split: str = "random") -> pd.DataFrame:
    """Results whose difference to `tf` is given; the level differs by seed and set, so unpaired tests would fail."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for seed, of_seed in enumerate(differences):
        for dataset, difference in zip(sets, of_seed, strict=True):
            level = rng.uniform(0.4, 0.8)
            for model, shift in (("pca+logreg", 0.1), ("gnn untrained", -0.2), ("gnn", difference), ("tf", 0.0)):
                rows.append(
                    {"dataset": dataset, "split": split, "seed": seed, "model": model, "accuracy": level + shift,
                     "balanced_accuracy": level + 3 * shift, "macro_f1": level + 2 * shift}
                )  # fmt: skip
    return results_frame(rows)


def row_of(frame: pd.DataFrame, over: str, model: str = "gnn") -> pd.Series:
    return frame[(frame["model"] == model) & (frame["over"] == over)].iloc[0]


@pytest.mark.parametrize(("over", "axis"), [("seeds", 1), ("sets", 0)])
@pytest.mark.parametrize(("metric", "scale"), [("accuracy", 1), ("macro_f1", 2), ("balanced_accuracy", 3)])
def test_both_ways_are_scipys(over: str, axis: int, metric: str, scale: int) -> None:
    shuffled = bench_rows().sample(frac=1, random_state=3)
    row = row_of(across_sets(shuffled, margin=0.02), over)
    d = scale * D.mean(axis=axis)
    interval = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    lower = stats.ttest_1samp(d, -0.02, alternative="greater").pvalue
    upper = stats.ttest_1samp(d, 0.02, alternative="less").pvalue
    assert row[f"{metric}_difference"] == pytest.approx(scale * D.mean())
    assert (row[f"{metric}_low"], row[f"{metric}_high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert row[f"{metric}_p"] == pytest.approx(max(lower, upper))
    assert row[f"{metric}_equivalent"] == (max(lower, upper) < 0.05)
    assert (row["sets"], row["seeds"]) == (3, 4)


def test_every_model_but_the_reference_has_both_rows() -> None:
    frame = across_sets(bench_rows())
    assert list(zip(frame["model"], frame["over"], strict=True)) == [
        (model, over) for model in ("pca+logreg", "gnn untrained", "gnn") for over in ("seeds", "sets")
    ]
    assert trained_models(frame) == ["gnn"]


def test_one_set_or_no_reference_says_nothing() -> None:
    results = bench_rows()
    assert across_sets(results[results["dataset"] == "one"]).empty
    assert across_sets(results[results["model"] != "tf"]).empty
    assert "All sets together" not in summary_markdown(summarise(results), across_sets(results, "gat"))


def test_what_an_interrupted_bench_lacks_is_left_out() -> None:
    results = bench_rows()
    last = (results["dataset"] == "three") & (results["seed"] == 3) & (results["model"] == "gnn")
    row = row_of(across_sets(results[~last]), "sets")
    assert (row["sets"], row["seeds"]) == (3, 3)
    assert row["accuracy_difference"] == pytest.approx(D[:3].mean())
    third = (results["dataset"] == "three") & (results["model"] == "tf")
    row = row_of(across_sets(results[~third]), "seeds")
    assert (row["sets"], row["seeds"]) == (2, 4)
    assert row["accuracy_difference"] == pytest.approx(D[:, :2].mean())


def test_one_seed_has_an_interval_over_sets_only() -> None:
    frame = across_sets(bench_rows(D[:1]))
    assert math.isnan(row_of(frame, "seeds")["accuracy_low"])
    assert row_of(frame, "seeds")["accuracy_equivalent"] is None
    assert math.isfinite(row_of(frame, "sets")["accuracy_low"])


def test_splits_of_two_kinds_are_not_mixed() -> None:
    results = pd.concat([bench_rows(), bench_rows(-D, split="batch")], ignore_index=True)
    frame = across_sets(results)
    signs = frame[frame["model"] == "gnn"].set_index(["split", "over"])["accuracy_difference"]
    assert signs["random", "sets"] == pytest.approx(D.mean())
    assert signs["batch", "sets"] == pytest.approx(-D.mean())


def test_sentences_say_what_the_numbers_say() -> None:
    seeds, sets = overall_sentences(across_sets(bench_rows()))
    assert seeds.startswith("gnn minus tf, random splits, over 4 seeds (new seeds on these 3 sets): accuracy paired")
    # Means over sets 0.0050, 0.0067, 0.0063, 0.0063: mean 0.0061, sd 0.00074, half a width t(3) sd / 2 = 0.0012.
    assert "accuracy paired difference +0.006 [+0.005, +0.007], equivalent within ± 0.01; macro-F1" in seeds
    assert sets.startswith("gnn minus tf, random splits, over 3 sets (new sets): accuracy paired difference +0.006 [")
    assert sets.count("neither a difference nor equivalence within ± 0.01 is shown") == 2
    worse = overall_sentences(across_sets(bench_rows(D - 0.2)))[0]
    assert worse.count("whose interval leaves out 0") == 2


def test_summary_and_terminal_show_all_sets() -> None:
    results = bench_rows()
    summary, frame = summarise(results), across_sets(results)
    text = summary_markdown(summary, frame)
    section = text.split("## All sets together")[1].split("\n## ")[0]
    assert "| gnn | 4 seeds | +0.012 [+0.010, +0.015] | +0.006 [+0.005, +0.007] |" in section
    assert "| not shown / yes / not shown |" in section
    assert text.index("## All sets together") < text.index("## one, random split")
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(rich_tables(summary, frame))
    shown = console.export_text()
    assert "all 3 sets together, random splits" in shown
    assert "+0.006 [+0.005, +0.007]" in shown
    assert "…" not in shown


def test_a_set_says_accuracy_beside_macro_f1() -> None:
    summary = summarise(bench_rows())
    found = verdicts(summary[summary["dataset"] == "one"])
    assert len(found) == 1
    d = D[:, 0]
    half = stats.t.ppf(0.975, 3) * np.std(d, ddof=1) / 2
    ends = f"+0.003 [{d.mean() - half:+.3f}, {d.mean() + half:+.3f}], equivalent within ± 0.01"
    assert found[0].startswith(f"gnn minus tf: accuracy paired difference {ends}; macro-F1 paired difference +0.007 [")
    table = summary_markdown(summary).split("## one")[1].split("## two")[0]
    assert "| equivalent: macro-F1 / accuracy |" in table
    assert "| not shown / yes |" in table  # macro-F1 varies twice as much
    assert f"- {found[0]}" in table


def test_forest_draws_sets_then_all_together() -> None:
    results = bench_rows()
    figure = difference_forest(summarise(results), across_sets(results), margin=0.01)
    accuracy, macro_f1 = figure.axes
    labels = [label.get_text() for label in accuracy.get_yticklabels()]
    assert labels == [*SETS, "all sets, over 4 seeds", "all sets, over 3 sets"]
    points = {(line.get_marker(), line.get_xdata()[0]) for line in macro_f1.lines if line.get_marker() in "oD"}
    assert sorted(x for mark, x in points if mark == "o") == pytest.approx(sorted(2 * D.mean(axis=0)))
    assert all(x == pytest.approx(2 * D.mean()) for mark, x in points if mark == "D")
    band = accuracy.patches[0].get_extents().transformed(accuracy.transData.inverted())
    assert (band.x0, band.x1) == (pytest.approx(-0.01), pytest.approx(0.01))


def test_forest_marks_an_interval_that_goes_on() -> None:
    two = bench_rows(D[:, :2] * [[1.0, -1.0]], SETS[:2])
    axis = difference_forest(summarise(two), across_sets(two)).axes[0]
    row = row_of(across_sets(two), "sets")
    limit = axis.get_xlim()[1]
    assert row["accuracy_high"] > limit
    assert [line.get_xdata()[0] for line in axis.lines if line.get_marker() == ">"] == [limit]
