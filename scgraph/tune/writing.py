"""The results folder of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgraph.files import json_text, write_atomic
from scgraph.reporting.environment import environment
from scgraph.reporting.escape import csv_text
from scgraph.tune.report import StudyReport, render
from scgraph.tune.results import StudyResults, best_files, best_trials, trials_table
from scgraph.tune.study import load_study

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.tune.plan import SearchPlan
    from scgraph.tune.slots import Board

__all__ = [
    "write_study",
]


def write_study(folder: Path, job: SearchPlan, boards: dict[str, Board], *, report: bool = True) -> StudyResults:
    """Write `trials.csv`, the best settings, `environment.json` and, where asked for, `study.html` into a folder.

    Raises:
        OutputError: a file cannot be written.
    """
    trials = trials_table(job, boards)
    best = {model: best_trials(model, board.finished(), job.tune.objective) for model, board in boards.items()}
    write_atomic(folder / "trials.csv", csv_text(trials, float_format="%.10g"))
    for old in folder.glob("best*.yaml"):
        old.unlink()
    for name, text in best_files(job, best).items():
        write_atomic(folder / name, text)
    where = environment()
    write_atomic(folder / "environment.json", json_text(where))
    if report:
        page = StudyReport(
            job=job,
            trials=trials,
            best=best,
            studies={model: load_study(job, model, board.storage) for model, board in boards.items()},
            environment=where,
        )
        write_atomic(folder / "study.html", render(page))
    return StudyResults(trials, best)
