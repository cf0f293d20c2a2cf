"""Which score tells cells of a class that the reference lacks from cells of the classes that it has.

Every class of a set is left out in turn. Of the other classes a fifth of the cells is a query beside it; the rest is
the reference, on which components and scores are fitted and thresholds are chosen as `scgraph annotate` does it.

Usage: python -m benchmarks.novelty.run --data A.h5ad --data B.h5ad --chosen A --out FOLDER
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.harness.folder import read_rows, resumable_folder
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point
from benchmarks.novelty.page import novelty_markdown
from benchmarks.novelty.scores import RULES, novelty_scores
from scgraph.annotate.folds import make_folds
from scgraph.annotate.measure import hold_out
from scgraph.cli.options import Overwrite
from scgraph.cli.terminal import say, show
from scgraph.data import CellStore, Vocabulary, read_cells
from scgraph.errors import DataError
from scgraph.reporting.rows import PAIR
from scgraph.representations.components import ComponentBaselines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

OWNED = ("results.csv", "novelty.md", "config.yaml", "environment.json")
LEAST_CELLS = 20
"""Cells of a class that is asked about; smaller ones are left out of the set."""
KNOWN_SHARE = 5
"""One in so many cells of the other classes is a query."""

app = command_line()


@app.command()
def novelty(
    data: Annotated[list[Path], typer.Option(help="Labelled .h5ad file; several times.")],
    out: Out,
    chosen: Annotated[str, typer.Option(help="Sets that a score is chosen on, with commas.")] = "",
    label: Annotated[str, typer.Option(help="Column of obs with the classes.")] = "cell_type",
    most_cells: Annotated[int, typer.Option(min=100, help="Cells of a set, drawn where there are more.")] = 1500,
    seed: Annotated[int, typer.Option(help="Of draws, folds and components.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Leave every class of every set out; the same command goes on, one with other sets adds to it."""
    chosen_sets = [name.strip() for name in chosen.split(",") if name.strip()]
    request = {"label": label, "most_cells": most_cells, "seed": seed, "chosen": chosen_sets}
    results = resumable_folder("novelty", out, request, overwrite=overwrite, owned=OWNED)
    rows = read_rows(results.folder / "results.csv")
    for path in data:
        done = {row["class"] for row in rows if row["dataset"] == path.stem}
        start = time.perf_counter()
        for found in left_out(path, label, most_cells=most_cells, seed=seed, skip=done):
            rows += found
            results.write_rows(results=rows)
        say(f"{path.stem}: {time.perf_counter() - start:.0f} s")
    show(results.finish(novelty_markdown(rows, chosen_sets), "novelty"))


def left_out(path: Path, label: str, *, most_cells: int, seed: int, skip: set[str]) -> Iterator[list[dict[str, Any]]]:
    """Give the rows of every class of a file but some."""
    import anndata

    adata = anndata.read_h5ad(path)
    rng = np.random.default_rng(seed)
    adata = adata[np.sort(rng.permutation(adata.n_obs)[:most_cells])].copy()
    sizes = adata.obs[label].astype(str).value_counts()
    adata = adata[adata.obs[label].astype(str).map(sizes).to_numpy() >= LEAST_CELLS].copy()
    cells = read_cells(adata, label=label)
    assert cells.labels is not None
    codes = np.asarray(cells.labels.codes, dtype=np.int64)
    names = [str(name) for name in cells.labels.categories]
    if len(names) < 3:
        raise DataError(f"{path}: fewer than three classes have {LEAST_CELLS} cells.")
    store = CellStore.from_cells(cells, Vocabulary.from_cells([cells]))
    for code, name in enumerate(names):
        if name not in skip:
            yield [
                {"dataset": path.stem, "class": name, **row} for row in measured(store, codes, code, names, seed=seed)
            ]


def measured(
    store: CellStore, codes: NDArray[np.int64], left: int, names: list[str], *, seed: int
) -> list[dict[str, Any]]:
    """Return one row a rule: share of cells that end as unknown, of the class that was left out and of the others."""
    from sklearn.metrics import roc_auc_score

    own, others = np.flatnonzero(codes == left), np.flatnonzero(codes != left)
    order = np.random.default_rng(seed).permutation(others)
    asked, known = np.split(order, [len(others) // KNOWN_SHARE])
    # A class of which the draw left fewer than two cells is not learned, nor asked about.
    counts = np.bincount(codes[known], minlength=len(names))
    known, asked = (np.sort(rows[counts[codes[rows]] > 1]) for rows in (known, asked))
    features = ComponentBaselines(store.subset(known), 50, seed).fit(PAIR)
    x, query = features(store.subset(known)), features(store.subset(np.concatenate([asked, own])))
    present, place = np.unique(codes[known], return_inverse=True)
    folds = make_folds([names[code] for code in present], place, None, seed=seed)
    tried = hold_out(PAIR, lambda _: x, place, folds, classes=len(present))
    held_out: dict[str, NDArray[np.float64]] = {}
    for train, rows in folds:
        fitted = tried.fit(x[train], place[train])
        for name, scores in novelty_scores(x[train], place[train], x[rows], fitted, tried.temperature).items():
            held_out.setdefault(name, np.zeros(len(known)))[rows] = scores
    found = novelty_scores(x, place, query, tried.fit(x, place), tried.temperature)
    is_new = np.arange(len(query)) >= len(asked)
    rows_of_rules = []
    for rule, budget in RULES.items():
        limits = {name: np.quantile(held_out[name], 1 - share) for name, share in budget.items()}
        unknown = np.any([found[name] > limit for name, limit in limits.items()], axis=0)
        alone = next(iter(budget)) if len(budget) == 1 else None
        rows_of_rules.append(
            {
                "cells": len(own),
                "rule": rule,
                "auroc": float("nan") if alone is None else float(roc_auc_score(is_new, found[alone])),
                "unknown_left_out": float(unknown[is_new].mean()),
                "unknown_known": float(unknown[~is_new].mean()),
            }
        )
    return rows_of_rules


main = entry_point(app, "novelty")

if __name__ == "__main__":
    main()
