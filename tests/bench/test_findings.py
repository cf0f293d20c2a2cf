"""Sentences of a bench that compare: each has its interval, and the last names whichever row is ahead."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from scgraph.bench.findings import findings
from scgraph.bench.results import results_frame, summarise
from scgraph.bench.tables import headlines, rich_tables, summary_markdown

if TYPE_CHECKING:
    import pandas as pd

SCORES = {
    "majority": [0.10, 0.11, 0.10],
    "pca+logreg": [0.70, 0.78, 0.71],
    "gnn untrained": [0.50, 0.52, 0.47],
    "gnn": [0.56, 0.59, 0.55],
    "tf": [0.57, 0.60, 0.55],
    "mean": [0.64, 0.66, 0.65],
}


def summary(scores: dict[str, list[float]]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {"dataset": "set", "split": "random", "seed": seed, "model": model, "accuracy": value,
         "balanced_accuracy": value, "macro_f1": value}
        for model, values in scores.items() for seed, value in enumerate(values)
    ]  # fmt: skip
    return summarise(results_frame(rows))


def text_of(difference: np.ndarray) -> str:
    interval = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
    return f"{difference.mean():+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def paired(one: str, other: str) -> str:
    return text_of(np.asarray(SCORES[one]) - np.asarray(SCORES[other]))


def test_every_difference_is_paired_and_has_scipys_interval() -> None:
    gain, against, control, closing = findings(summary(SCORES))
    assert gain.endswith(f"over the untrained backbone by gnn {paired('gnn', 'gnn untrained')}.")
    listed = ", ".join(f"{name} {paired(name, 'pca+logreg')}" for name in ("gnn", "tf", "mean"))
    assert against.endswith(f"logistic regression on principal components (0.730 ± 0.044): {listed}.")
    assert control.endswith(
        f"no gene-gene weights (mean) does better than gnn: mean minus gnn {paired('mean', 'gnn')}."
    )
    assert f"the next, mean, minus it: {paired('mean', 'pca+logreg')}" in closing


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.66, 0.68, 0.66], "({}) does better than gnn: {} minus gnn "),
        ([0.57, 0.60, 0.55], "({}) does as well as gnn: {} minus gnn "),
        ([0.56, 0.58, 0.55], "gnn is not shown to be ahead of no "),
        ([0.40, 0.43, 0.41], None),
    ],
)
def test_a_control_that_the_graph_model_is_not_ahead_of_is_named(scores: list[float], said: str | None) -> None:
    for control in ("mean", "none"):
        kept = {name: values for name, values in SCORES.items() if name != "mean"}
        found = [text for text in findings(summary({**kept, control: scores})) if f"({control})" in text]
        assert len(found) == (said is not None)
        assert all(said is not None and said.format(control, control) in text for text in found)


def test_models_are_held_against_the_best_baseline_whichever_it_is() -> None:
    found = findings(summary({**SCORES, "pca-pearson": [0.80, 0.83, 0.82], "pca-sqrt": [0.79, 0.80, 0.81]}))
    (text,) = (text for text in found if "the best baseline" in text)
    difference = text_of(np.asarray(SCORES["gnn"]) - np.asarray([0.80, 0.83, 0.82]))
    assert "the best baseline, pca-pearson (0.817 ± 0.015, picked by these test scores): gnn " + difference in text
    assert not any("best baseline" in text for text in findings(summary(SCORES)))  # the regression, said already


def test_what_a_model_adds_to_components_is_said() -> None:
    scores = {**SCORES, "pca-sqrt+pearson": [0.70, 0.71, 0.69]}
    for beside, shown in (([0.75, 0.76, 0.75], True), ([0.70, 0.72, 0.69], False)):
        frame = summary({**scores, "pca+gnn": beside})
        (text,) = (text for text in findings(frame) if "(pca+gnn)" in text)
        difference = text_of(np.asarray(beside) - np.asarray(scores["pca-sqrt+pearson"]))
        assert f"minus these components alone (pca-sqrt+pearson): {difference}" in text
        assert text.endswith(", so gnn is not shown to add to them.") is not shown
        assert not any("pca+gnn " in text for text in findings(frame) if "over the untrained" in text)


@pytest.mark.parametrize("ahead", list(SCORES))
def test_the_closing_sentence_names_whichever_row_is_ahead(ahead: str) -> None:
    found = findings(summary({**SCORES, ahead: [0.90, 0.91, 0.93]}))
    assert f"of all rows {ahead} has the largest mean macro-F1, 0.913 ± 0.015" in found[-1]
    assert "not shown to be ahead" not in found[-1]


def test_a_lead_whose_interval_holds_0_is_none() -> None:
    closing = findings(summary({"tf": [0.80, 0.70, 0.90], "gnn": [0.81, 0.69, 0.93]}))[-1]
    assert "of all rows gnn has the largest" in closing
    assert "so it is not shown to be ahead" in closing


def test_a_tie_names_the_row_that_stands_first() -> None:
    closing = findings(summary({"tf": [0.8, 0.7], "pca+logreg": [0.8, 0.7]}))[-1]
    assert "of all rows pca+logreg" in closing
    assert "the next, tf, minus it: +0.000 [+0.000, +0.000], so it is not shown to be ahead" in closing


def test_one_seed_compares_nothing() -> None:
    short = summary({name: values[:1] for name, values in SCORES.items()})
    said = [*headlines(short), *findings(short)]
    assert not re.search(r"[+-]0\.\d", " ".join(said))
    assert said[-1].endswith("pca+logreg has the largest mean macro-F1, 0.700; with one seed that is no comparison.")
    assert "one pair, so no interval" in said[0]


def test_no_sentence_has_a_difference_without_an_interval() -> None:
    text = " ".join([*headlines(summary(SCORES)), *findings(summary(SCORES))])
    differences = re.findall(r"[+-]0\.\d{3}(?: \[[^\]]+\])?", re.sub(r"\[[^\]]+\]", "[interval]", text))
    assert len(differences) >= 6
    assert all(found.endswith("[interval]") for found in differences)


def test_seeds_that_one_row_lacks_are_left_out_of_its_difference() -> None:
    frame = summary({**SCORES, "gnn": SCORES["gnn"][:2]}).set_index("model")
    assert frame.loc["gnn", "over_regression_difference"] == pytest.approx(np.mean([0.56 - 0.70, 0.59 - 0.78]))
    assert math.isnan(frame.loc["pca+logreg", "over_regression_difference"])
    assert math.isnan(frame.loc["tf", "over_untrained_difference"])


def test_terminal_and_markdown_close_with_it() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(rich_tables(summary(SCORES)))
    shown = " ".join(console.export_text().split())
    assert shown.endswith("(both picked by these test scores).")
    assert "of all rows pca+logreg has the largest mean macro-F1" in shown
    assert "of all rows pca+logreg has the largest mean macro-F1" in summary_markdown(summary(SCORES))
