"""What rows of uses say together: draws within seeds, seeds within sets, sets."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from scgraph.bench.uses.page import UsesPage
from scgraph.bench.uses.summary import USES_COLUMNS, summarise_uses, uses_across_sets, uses_csv, uses_frame
from scgraph.bench.uses.tables import across_tables, rich_uses, set_tables


def make_uses(values: dict[str, list[list[float]]], *, dataset: str = "one", use: str = "few", level: str = "5") -> Any:
    """Rows of models: for each a list of seeds, each a list of draws."""
    where = {"dataset": dataset, "split": "random", "use": use, "level": level, "metric": "macro_f1"}
    return [
        where | {"seed": seed, "model": model, "draw": str(draw), "value": value}
        for model, seeds in values.items()
        for seed, draws in enumerate(seeds)
        for draw, value in enumerate(draws)
    ]


def test_draws_are_averaged_within_a_seed_before_anything_is_compared() -> None:
    rows = make_uses(
        {
            "gnn": [[0.8, 0.6], [0.9, 0.7]],
            "gnn untrained": [[0.5, 0.7], [0.6, 0.6]],
            "pca+logreg": [[0.7, 0.7], [0.6, 0.8]],
        }
    )
    summary = summarise_uses(uses_frame(rows)).set_index("model")
    assert list(summary.index) == ["pca+logreg", "gnn untrained", "gnn"]
    gnn = summary.loc["gnn"]
    assert (gnn["n"], gnn["value_mean"]) == (2, pytest.approx(0.75))
    assert gnn["value_sd"] == pytest.approx(np.std([0.7, 0.8], ddof=1))
    assert gnn["over_regression_difference"] == pytest.approx(0.05)
    assert gnn["over_untrained_difference"] == pytest.approx(0.15)
    assert gnn["over_regression_low"] < 0.05 < gnn["over_regression_high"]
    assert np.isnan(summary.loc["pca+logreg", "over_regression_difference"])
    assert np.isnan(summary.loc["gnn untrained", "over_untrained_difference"])


def test_over_sets_each_set_counts_once_and_those_ahead_are_counted() -> None:
    rows = []
    for name, ahead in {"a": 0.1, "b": 0.02, "c": -0.03}.items():
        rows += make_uses({"pca+logreg": [[0.5], [0.6]], "gnn": [[0.5 + ahead], [0.6 + ahead]]}, dataset=name)
    overall = uses_across_sets(uses_frame(rows)).set_index("model")
    assert overall.loc["gnn", "over_regression_difference"] == pytest.approx(0.03)
    assert (overall.loc["gnn", "over_regression_won"], overall.loc["gnn", "over_regression_sets"]) == (2, 3)
    assert overall.loc["gnn", "over_regression_low"] < 0 < overall.loc["gnn", "over_regression_high"]
    (table,) = across_tables(uses_across_sets(uses_frame(rows)))
    assert [row[0] for row in table.rows] == ["gnn"]  # nothing to say of logistic regression minus itself
    assert table.rows[0][1].endswith("2 of 3")
    one = uses_frame(make_uses({"pca+logreg": [[0.5]], "gnn": [[0.6]]}))
    assert uses_across_sets(one).empty


def test_a_use_that_one_set_lacks_is_said_of_the_others() -> None:
    rows = [row for name in "abc" for row in make_uses({"pca+logreg": [[0.5]], "gnn": [[0.6]]}, dataset=name)]
    for name in "ab":
        rows += make_uses({"pca+logreg": [[0.5]], "gnn": [[0.4]]}, dataset=name, use="batches", level="")
    overall = uses_across_sets(uses_frame(rows)).set_index(["use", "model"])
    assert overall.loc[("few", "gnn"), "over_regression_sets"] == 3
    assert overall.loc[("batches", "gnn"), "over_regression_sets"] == 2


def test_tables_and_the_page_show_every_use_and_trust_no_name() -> None:
    rows = make_uses({"pca+logreg": [[0.5], [0.6]], "gnn untrained": [[0.4], [0.5]], "gnn": [[0.7], [0.75]]})
    rows += make_uses({"pca+logreg": [[0.5], [0.6]], "gnn": [[0.6], [0.7]]}, use="shallow", level="0.2")
    rows = [row | {"dataset": "a|b"} for row in rows]
    page = UsesPage(uses_frame(rows))
    means, regression, untrained = set_tables(page.summary)
    assert means.header == ["model", "5 labels a class", "20 % of the counts"]
    assert means.rows[1] == ["gnn untrained", "0.450 ± 0.071", "-"]
    assert [row[0] for row in regression.rows] == ["gnn untrained", "gnn"]
    assert [row[0] for row in untrained.rows] == ["gnn"]
    text = "\n".join(page.markdown())
    assert r"### a\|b, random split" in text
    assert "| gnn | 0.725 ± 0.035 | 0.650 ± 0.071 |" in text
    section = page.section()
    assert section is not None
    assert [part["name"] for part in section["parts"]] == ["a|b, random split"]
    assert [name for name, _ in page.pictures()] == ["uses-a|b.png"]
    (short,) = rich_uses(page.summary)
    assert [column.header for column in short.columns] == ["model", "5 labels", "20 % depth"]


def test_nothing_asked_is_nothing_shown() -> None:
    page = UsesPage(uses_frame([]))
    assert page.section() is None
    assert page.markdown() == []
    assert list(page.pictures()) == []
    assert rich_uses(page.summary) == []


def test_the_file_has_one_row_a_draw() -> None:
    rows = make_uses({"gnn": [[0.8, 0.6], [0.9, 0.7]]})
    read = pd.read_csv(io.StringIO(uses_csv(uses_frame(rows))))
    assert tuple(read.columns) == USES_COLUMNS
    assert read["value"].tolist() == [0.8, 0.6, 0.9, 0.7]


def test_the_terminal_table_fits_80_columns() -> None:
    names = ["pca+logreg", "gnn-linear untrained", "gnn-linear", "asym:gnn untrained", "asym:gnn"]
    rows = []
    for use, level in (("few", "5"), ("shallow", "0.2"), ("batches", ""), ("neighbors", "")):
        rows += make_uses({name: [[0.5], [0.6]] for name in names}, use=use, level=level)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(*rich_uses(summarise_uses(uses_frame(rows))))
    text = console.export_text()
    assert "…" not in text
    assert "5 labels   20 % depth   batches   neighbours" in text
    assert text.count("0.550") == 4 * len(names)
