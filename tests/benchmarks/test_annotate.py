"""Labels where the truth is known: what counts as right, and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.annotate.cases import Case, Pair, read_pairs_of
from benchmarks.annotate.page import annotate_markdown
from benchmarks.annotate.run import measured
from scgraph.reporting.rows import REGRESSION
from tests.helpers import make_cells

if TYPE_CHECKING:
    from pathlib import Path


def test_classes_that_mean_the_same_count_as_one_and_foreign_ones_are_not_scored(tmp_path: Path) -> None:
    table = tmp_path / "classes.tsv"
    table.write_text("type 0\tfirst\ntype 1\tfirst\ntype 2\tsecond\n")
    reference, query = make_cells(150, seed=1), make_cells(90, seed=2)
    names = {"type 0": "first", "type 1": "first", "type 2": "second"}
    query.obs["cell_type"] = query.obs["cell_type"].map(names)
    query.obs.loc[query.obs_names[:10], "cell_type"] = "foreign"
    case = Case("pbmc3k", "other", classes=table)
    row = measured(Pair("a pair", case, reference, query), REGRESSION, {"candidates": (REGRESSION,)}, seed=0)
    assert (row["classes"], row["cells"], row["cells_foreign"]) == (2, 80, 10)
    assert row["accuracy"] > 0.95
    assert row["calibration_error"] < 0.1
    page = annotate_markdown([row])
    assert "| a pair | `pca+logreg` | `pca+logreg` |" in page


def test_every_group_is_asked_about_once_and_stands_in_no_reference(tmp_path: Path) -> None:
    make_cells(90).write_h5ad(tmp_path / "cells.h5ad")
    pairs = read_pairs_of("cells", Case("cells", part="donor"), tmp_path)
    assert [pair.name for pair in pairs] == ["cells: d0", "cells: d1", "cells: d2", "cells: d3"]
    assert sum(pair.query.n_obs for pair in pairs) == 90
    assert all(not set(pair.query.obs_names) & set(pair.reference.obs_names) for pair in pairs)


def test_the_table_of_classes_names_classes_of_both_studies(shared_data: Path) -> None:
    from benchmarks.annotate.cases import CASES

    for name in ("pbmc3k to zheng", "zheng to pbmc3k"):
        pair = read_pairs_of(name, CASES[name], shared_data)[0]
        assert len(pair.shared().names) == 5
