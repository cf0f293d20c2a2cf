"""Rows of a bench and what several seeds say together."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from scgraph.bench.across_sets import across_sets
from scgraph.bench.results import BenchResult, results_frame, summarise
from scgraph.bench.tables import headlines, rich_tables, summary_markdown
from scgraph.bench.uses.summary import uses_frame
from scgraph.bench.writing import write_tables
from scgraph.reporting.environment import environment
from scgraph.reporting.rows import model_order, row_kind
from scgraph.reporting.tables import quantity

if TYPE_CHECKING:
    from pathlib import Path


def rows(models: dict[str, list[float]], dataset: str = "set") -> list[dict[str, Any]]:
    return [
        {"dataset": dataset, "split": "random", "seed": seed, "model": model, "accuracy": value,
         "balanced_accuracy": value, "macro_f1": value}
        for model, values in models.items() for seed, value in enumerate(values)
    ]  # fmt: skip


def test_summary_pairs_seeds_with_the_reference() -> None:
    frame = results_frame(rows({"tf": [0.80, 0.90, 0.85], "gnn": [0.81, 0.92, 0.86]}))
    summary = summarise(frame.sample(frac=1, random_state=0)).set_index("model")
    assert summary.loc["gnn", "macro_f1_mean"] == pytest.approx(np.mean([0.81, 0.92, 0.86]))
    assert summary.loc["gnn", "macro_f1_sd"] == pytest.approx(np.std([0.81, 0.92, 0.86], ddof=1))
    # Differences 0.01, 0.02, 0.01: unpaired they would drown in the spread between seeds.
    assert summary.loc["gnn", "macro_f1_difference"] == pytest.approx(0.04 / 3)
    half = 4.302652729911275 * np.std([0.01, 0.02, 0.01], ddof=1) / math.sqrt(3)
    assert summary.loc["gnn", "macro_f1_high"] - summary.loc["gnn", "macro_f1_low"] == pytest.approx(2 * half)
    assert math.isnan(summary.loc["tf", "macro_f1_difference"])


def test_one_seed_has_no_interval() -> None:
    summary = summarise(results_frame(rows({"tf": [0.8], "gnn": [0.9]}))).set_index("model")
    assert summary.loc["gnn", "macro_f1_difference"] == pytest.approx(0.1)
    assert math.isnan(summary.loc["gnn", "macro_f1_low"])
    assert summary.loc["gnn", "macro_f1_equivalent"] is None


def test_rows_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        results_frame(rows({"tf": [0.8]}) * 2)
    with pytest.raises(ValueError, match="lacks macro_f1"):
        results_frame([{key: value for key, value in rows({"tf": [0.8]})[0].items() if key != "macro_f1"}])


def test_order_of_models() -> None:
    names = ["tf untrained", "tf", "pca+logreg", "gnn untrained", "gnn", "majority"]
    assert model_order(names) == ["majority", "pca+logreg", "tf untrained", "tf", "gnn untrained", "gnn"]
    names = ["pca+gnn", "gnn", "gnn untrained", "tf", "logreg", "pca-sqrt+pearson", "pca-sqrt"]
    assert model_order(names) == ["pca-sqrt", "pca-sqrt+pearson", "logreg", "gnn untrained", "gnn", "pca+gnn", "tf"]
    kinds = ["combined", "trained", "untrained", "trained", "baseline", "baseline", "baseline"]
    assert [row_kind(name) for name in names] == kinds


def test_tables_hold_what_was_measured(tmp_path: Path) -> None:
    frame = results_frame(rows({"majority": [0.1, 0.1], "tf": [0.80, 0.90], "gnn": [0.81, 0.92]}))
    summary = summarise(frame)
    result = BenchResult(frame, summary, across_sets(frame), (), ("a | b",), tmp_path, uses_frame([]))
    write_tables(tmp_path, result, config_yaml="seeds: 2\n", environment={"cores": 2})
    text = (tmp_path / "summary.md").read_text()
    assert "| gnn | 0.865 ± 0.078 |" in text
    assert "a \\| b" in text
    again = pd.read_csv(tmp_path / "results.csv")
    pd.testing.assert_frame_equal(again.dropna(axis=1), frame.dropna(axis=1), check_dtype=False)
    assert json.loads((tmp_path / "environment.json").read_text()) == {"cores": 2}
    assert text == summary_markdown(summary, notes=["a | b"], environment={"cores": 2})


def test_terminal_table_fits_80_columns() -> None:
    models = {
        "majority": [0.1, 0.2],
        "pca-sqrt+pearson": [0.8, 0.85],
        "gnn-linear untrained": [0.5, 0.4],
        "gnn-linear": [0.81, 0.92],
        "tf": [0.80, 0.90],
    }
    console = Console(width=80, record=True, file=__import__("io").StringIO())
    console.print(rich_tables(summarise(results_frame(rows(models)))))
    text = console.export_text()
    assert "…" not in text
    assert "0.8650 ±.0778" in text
    minus_tf, minus_untrained = [0.01, 0.02], [0.31, 0.52]
    for difference in (minus_tf, minus_untrained):
        half = 12.706204736432095 * np.std(difference, ddof=1) / math.sqrt(2)
        assert (f"{np.mean(difference):+.4f} ±" + f"{half:.4f}".removeprefix("0")) in text


def test_headline_says_what_the_numbers_say() -> None:
    close = summarise(results_frame(rows({"tf": [0.80, 0.90, 0.85], "gnn": [0.801, 0.901, 0.852]})))
    assert "equivalent within ± 0.01" in headlines(close)[0]
    better = summarise(results_frame(rows({"tf": [0.80, 0.90, 0.85], "gnn": [0.70, 0.81, 0.75]})))
    assert headlines(better)[0].endswith("whose interval leaves out 0.")


@pytest.mark.parametrize(
    ("value", "text"), [(2_013_265_920, "2.01 G"), (999_600, "1.00 M"), (12, "12"), (math.nan, "-")]
)
def test_quantities(value: float, text: str) -> None:
    assert quantity(value) == text


def test_environment_says_where() -> None:
    found = environment(["scgraph", "bench", "--data", "my file.h5ad"])
    assert found["command"] == "scgraph bench --data 'my file.h5ad'"
    assert isinstance(found["versions"], dict)
    assert found["versions"]["torch"]
    json.dumps(found)
