"""Cells and settings that tests of several rooms share."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from filelock import FileLock

from scgraph.config_files import as_bench_config
from scgraph.data.sets.stores import make_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.data.sets.splits import Split
    from scgraph.data.sets.stores import SetStores

__all__ = [
    "ASKED",
    "QUICK",
    "Bars",
    "leaks_are_found_and_dropped",
    "made_once",
    "make_cells",
    "strangers_run",
    "write_strangers",
]


QUICK: dict[str, Any] = {
    "model": {"channels": 8, "layers": 1, "rank": 4},
    "per_model": {"tf": {"conv_options": {"heads": 2}}},
    "train": {"genes": 16, "epochs": 2, "batch_size": 32},
    "seeds": 1,
    "n_top_genes": None,
    "components": 5,
    "baselines": ["majority", "pca+logreg"],
    "uses": [],  # a third of the time of a bench
}
ASKED = QUICK | {"uses": None}
"""The same for tests that read what the uses of a bench leave: those that are asked by default."""


def make_cells(n: int = 90, genes: int = 40, *, seed: int = 0) -> ad.AnnData:
    """Counts of three classes that differ in a third of the genes each, from four donors."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    rate = np.full((n, genes), 0.6)
    for k in range(3):
        rate[np.ix_(kind == k, np.arange(genes) % 3 == k)] = 4.0
    counts = rng.poisson(rate).astype(np.float32)
    counts[:, 0] += 1
    obs = pd.DataFrame(
        {"cell_type": [f"type {k}" for k in kind], "donor": [f"d{i // 3 % 4}" for i in range(n)]},
        index=[f"cell{seed}-{i}" for i in range(n)],
    )
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"GENE{g}" for g in range(genes)]))


def leaks_are_found_and_dropped(probe: ProbeSet, corpus: Any, split: Split) -> SetStores:
    """Check what a corpus that holds the test cells is divided into; return the parts with the leaks kept."""
    config = as_bench_config(QUICK)
    kept = make_stores(probe, split, corpus, config, seed=0, drop_leaks=False)
    dropped = make_stores(probe, split, corpus, config, seed=0, drop_leaks=True)
    assert kept.leaks == dropped.leaks == len(split.test)
    assert len(kept.train) + len(kept.validation) == 150
    assert len(dropped.train) + len(dropped.validation) == 150 - len(split.test)
    test_keys = set(dropped.probe.subset(split.test).keys.tolist())
    assert not test_keys & {*dropped.train.keys.tolist(), *dropped.validation.keys.tolist()}
    return kept


STRANGERS = ("colorlog", "sitecustomize", "usercustomize", "typing_extensions", "yaml", "scgraph")


def write_strangers(folder: Path) -> None:
    """Put files with the names of modules into a folder, each of which writes down that it was imported."""
    for name in STRANGERS:
        (folder / f"{name}.py").write_text(f"open('{folder / 'run'}', 'a').write({name!r})\n")


def strangers_run(folder: Path) -> str:
    """Return the names of those that were imported."""
    return (folder / "run").read_text() if (folder / "run").exists() else ""


class Bars:
    """Stands for `scgraph.reporting.bars.progress_bars` and keeps what would be drawn: name to (done, of)."""

    def __init__(self) -> None:
        self.shown: dict[str, list[tuple[int, int]]] = {}

    @contextlib.contextmanager
    def __call__(self, show: bool) -> Iterator[Callable[[str], Callable[[int, int], None]]]:
        def begin(text: str) -> Callable[[int, int], None]:
            steps = self.shown.setdefault(text, [])
            return lambda done, of: steps.append((done, of))

        yield begin if show else lambda _: lambda done, of: None


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that is filled once for all test processes, each of which would else set a module up anew."""
    root = factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name
    with FileLock(f"{folder}.lock"):
        if not (folder / ".made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / ".made").touch()
    return folder
