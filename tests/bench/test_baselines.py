"""The baselines reach what they are known to reach, and see nothing of the test part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scgraph.bench.baselines import majority
from scgraph.bench.measure import measure
from scgraph.bench.plan import plan_bench
from scgraph.config_files import as_bench_config
from scgraph.data.sets.corpus import NO_CORPUS
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def test_majority() -> None:
    assert majority([2, 1, 1, 2, 2], 3).tolist() == [2, 2, 2]
    assert majority([2, 1, 1, 2], 1).tolist() == [1]
    with pytest.raises(DataError, match="empty"):
        majority([], 3)


def test_known_level_on_the_cells_that_scanpy_carries() -> None:
    reached = level("pbmc68k_reduced")
    # .788/.635 on average over ten random splits, with a standard deviation of .017/.027
    assert reached["accuracy"] > 0.72
    assert reached["macro_f1"] > 0.52


def test_known_level_on_real_cells(shared_data: Path) -> None:
    reached = level(str(shared_data / "pbmc3k.h5ad"))
    # .910/.912 on average over random splits; the sd of one split is about .010/.018
    assert reached["accuracy"] > 0.88
    assert reached["macro_f1"] > 0.86


def level(source: str) -> dict[str, float]:
    """Scores of components of log values on the first random split."""
    config = as_bench_config({"seeds": 1})
    measured = measure(plan_bench({}, read_probe_sets([source]), NO_CORPUS, config))
    return next(row for row in measured.rows if row["model"] == "pca+logreg")
