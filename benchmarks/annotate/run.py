"""How good the labels of `scgraph annotate` are where the truth is known, beside components and logistic regression.

Usage: python -m benchmarks.annotate.run --data FOLDER --out FOLDER
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.annotate.cases import CASES, Pair, cases_named, read_pairs_of
from benchmarks.annotate.page import annotate_markdown
from benchmarks.harness.folder import read_rows, resumable_folder
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point
from scgraph.annotate import run_annotate
from scgraph.annotate.calibration import expected_calibration_error
from scgraph.annotate.results import Limits
from scgraph.cli.options import Overwrite
from scgraph.cli.terminal import say, show
from scgraph.reporting.rows import REGRESSION
from scgraph.reporting.statistics import score

OWNED = ("results.csv", "summary.md", "config.yaml", "environment.json")
AS_IT_COMES, WITH_MODEL = "annotate", "annotate --pretrain"

app = command_line()


@app.command()
def annotate(
    data: Annotated[Path, typer.Option(help="Folder with the .h5ad files that cases.py names.")],
    out: Out,
    cases: Annotated[str, typer.Option(help="Of cases.py, with commas.  [default: all]")] = ",".join(CASES),
    pretrain: Annotated[
        str | None, typer.Option(help="Settings to pretrain a gnn with and to try it too, such as bench/default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of folds, components and training.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Label the query of every pair; the same command goes on, one with other cases or a model adds to it."""
    results = resumable_folder("annotate", out, {"seed": seed}, overwrite=overwrite, owned=OWNED)
    rows = read_rows(results.folder / "results.csv")
    methods: dict[str, dict[str, Any]] = {REGRESSION: {"candidates": (REGRESSION,)}, AS_IT_COMES: {}}
    if pretrain is not None:
        methods[WITH_MODEL] = {"pretrain": pretrain}
    for name, case in cases_named([one.strip() for one in cases.split(",")]).items():
        for pair in read_pairs_of(name, case, data):
            for method, options in methods.items():
                if any((row["pair"], row["method"]) == (pair.name, method) for row in rows):
                    continue
                rows.append(measured(pair, method, options, seed=seed))
                results.write_rows(results=rows)
                say(f"{pair.name}, {method}: macro-F1 {rows[-1]['macro_f1']:.3f} after {rows[-1]['seconds']:.0f} s")
    show(results.finish(annotate_markdown(read_rows(results.folder / "results.csv")), "summary"))


def measured(pair: Pair, method: str, options: dict[str, Any], *, seed: int) -> dict[str, Any]:
    """Label the query of a pair and compare with its labels.

    Classes that mean the same count as one, with the sum of their probabilities. Scores are of the best label of every
    cell of a shared class, whatever its probability.
    """
    label, query = pair.case.label, pair.query.copy()
    query.obs = query.obs[[]]
    start = time.perf_counter()
    record = run_annotate(
        query,
        pair.reference,
        label=label,
        batch_key=pair.case.batch_key,
        threshold=0.0,
        max_novelty=1.0,
        top=len(pair.reference.obs[label].unique()),
        seed=seed,
        min_matched=0.0,
        **options,
    )
    seconds = time.perf_counter() - start
    shared, classes = pair.shared(), record["classes"]
    place = {name: int(number) for name, number in zip(classes, shared.ours, strict=True)}
    theirs = np.unique(pair.query.obs[label].astype(str)).tolist()
    truth = shared.theirs[[theirs.index(name) for name in pair.query.obs[label].astype(str)]]
    best = query.obs["scgraph_label"].astype(str).to_numpy()
    predicted = np.asarray([place.get(name, -1) for name in best])
    together = np.zeros(len(query))
    for rank in range(1, len(classes) + 1):
        ending = "" if rank == 1 else f"_{rank}"
        names = query.obs[f"scgraph_label{ending}"].astype(str)
        same = np.asarray([place.get(name, -1) for name in names]) == predicted
        same &= (predicted >= 0) | (names.to_numpy() == best)
        together += np.where(same, query.obs[f"scgraph_probability{ending}"], 0)
    known = truth >= 0
    limits = Limits(record["chosen_threshold"], record["chosen_max_novelty"])
    unknown = limits.unknown(*(query.obs[f"scgraph_{name}"].to_numpy() for name in ("probability", "novelty")))
    right = predicted == truth
    said = known & ~unknown
    tried = next(row for row in record["candidates"] if row["candidate"] == record["classifier"])
    return {
        "pair": pair.name,
        "method": method,
        "chosen": record["classifier"],
        "accuracy": score(truth[known], predicted[known])["accuracy"],
        "macro_f1": score(truth[known], predicted[known])["macro_f1"],
        "calibration_error": expected_calibration_error(np.minimum(together[known], 1), right[known]),
        "unknown": float(unknown[known].mean()),
        "accuracy_known": float(right[said].mean()) if said.any() else float("nan"),
        "unknown_foreign": float(unknown[~known].mean()) if (~known).any() else float("nan"),
        "reference_macro_f1": tried["macro_f1"],
        "reference_calibration_error": tried["calibration_error"],
        "unknown_left_out": float(np.mean([row["unknown"] for row in record["left_out"]] or [np.nan])),
        "classes": len(shared.names),
        "cells": int(known.sum()),
        "cells_foreign": int((~known).sum()),
        "seconds": seconds,
    }


main = entry_point(app, "annotate")

if __name__ == "__main__":
    main()
