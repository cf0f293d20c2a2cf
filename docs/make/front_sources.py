"""What the front page rests on: which results folders are the newest, and the numbers that its table and picture share.

A newer run is shown by its name here and `python -m docs.make`; nothing else of the front page names a folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from docs.make.sources import RESULTS, environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["COMPONENTS", "NEWEST", "Benches", "Newest", "read_benches"]


@dataclass(frozen=True)
class Newest:
    """Folders of benchmarks/results.

    Attributes:
        costs: of `benchmarks.table2`, with costs.csv.
        accuracy: of `scgraph bench` with gnn and tf, the same settings on other sets.
        features: of `benchmarks.embeddings`: what each bench of it names is read beside it.
        graph: the same of benches with the control `none` and with `tf`.
        batches: the same of benches whose models bring batches together.
    """

    costs: str
    accuracy: tuple[str, ...]
    features: str
    graph: str
    batches: str


NEWEST = Newest(
    costs="table2/2026-11-21-costs",
    accuracy=("bench/2026-11-21-claim-random", "bench/2026-11-25-claim-random-tonsil"),
    features="embeddings/2026-11-27-five-seeds-all-sets",
    graph="embeddings/2026-11-27-reliability-controls-tf-seven-sets",
    batches="embeddings/2026-11-27-with-batches-five-sets",
)
COMPONENTS = ("pca+logreg", "pca-sqrt", "pca-scaled", "pca-pearson", "pca-pearson-hvg", "pca-sqrt+pearson")
"""Rows of principal components that a model is compared with."""


@dataclass(frozen=True, eq=False)
class Benches:
    """What several benches say together.

    Attributes:
        values: one row a dataset, seed, model and question, in points of 100.
        chosen: sets that settings were chosen on.
    """

    values: pd.DataFrame
    chosen: tuple[str, ...]

    @property
    def kept(self) -> tuple[str, ...]:
        """Sets that nothing was chosen on, in their order."""
        return tuple(name for name in dict.fromkeys(self.values["dataset"]) if name not in self.chosen)

    @property
    def sets(self) -> tuple[str, ...]:
        """All sets, in their order."""
        return tuple(dict.fromkeys(self.values["dataset"]))

    def of(self, sets: Sequence[str]) -> Benches:
        """Keep some sets."""
        return Benches(self.values[self.values["dataset"].isin(sets)], self.chosen)


@cache
def read_benches(name: str, results: Path = RESULTS) -> Benches:
    """Read the benches that a folder of `benchmarks.embeddings` was made of.

    Raises:
        OSError: a table of one of them is not there.
        ValueError: the command of the folder names no bench.
    """
    # The source archive has the documents but not the benchmarks.
    from benchmarks.embeddings.page import one_value_a_seed, read_table

    command = str(environment(name)["command"])
    folders = [results.parents[1] / path for path in re.findall(r"--benches (\S+)", command)]
    if not folders:
        raise ValueError(f"{name}: its command names no --benches")
    read = {
        table: pd.concat([read_table(folder / table) for folder in folders]) for table in ("results.csv", "uses.csv")
    }
    config = yaml.safe_load((results / name / "config.yaml").read_text(encoding="utf-8"))
    return Benches(one_value_a_seed(read["results.csv"], read["uses.csv"]), tuple(config["chosen"]))
