"""The folder of a bench: tables, settings, report and pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scgraph.bench.report import BenchReport, pictures, render
from scgraph.bench.results import results_csv
from scgraph.bench.tables import summary_markdown
from scgraph.bench.uses.page import UsesPage
from scgraph.bench.uses.summary import uses_csv
from scgraph.config_files import yaml_text
from scgraph.files import write_atomic
from scgraph.reporting.environment import environment
from scgraph.reporting.fonts import undrawable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from scgraph.bench.measure import Measured
    from scgraph.bench.plan import BenchPlan
    from scgraph.bench.results import BenchResult

__all__ = ["OWNED", "notes_on_letters", "write_bench", "write_origin", "write_tables"]

OWNED = (
    "results.csv",
    "uses.csv",
    "summary.md",
    "report.html",
    "config.yaml",
    "environment.json",
    "scores-*.png",
    "features-*.png",
    "difference.png",
    "uses-*.png",
    "models",
)
"""What a bench writes into its folder, and what `overwrite` may remove."""


def write_tables(
    folder: Path, result: BenchResult, *, config_yaml: str, environment: Mapping[str, object], margin: float = 0.01
) -> None:
    """Write the tables, `config.yaml` and `environment.json` into an existing folder; `uses.csv` where there are uses.

    Every file is written beside its place and renamed, so a reader never sees half of one.

    Raises:
        OutputError: a file cannot be written.
    """
    markdown = summary_markdown(
        result.summary,
        result.overall,
        uses=UsesPage(result.uses).markdown(),
        notes=result.notes,
        environment=environment,
        margin=margin,
    )
    write_atomic(folder / "results.csv", results_csv(result.results))
    if len(result.uses):
        write_atomic(folder / "uses.csv", uses_csv(result.uses))
    write_origin(folder, config_yaml=config_yaml, environment=environment)
    write_atomic(folder / "summary.md", markdown)


def write_origin(folder: Path, *, config_yaml: str, environment: Mapping[str, object]) -> None:
    """Write what rows come from, `config.yaml` and `environment.json`, into an existing folder.

    Raises:
        OutputError: a file cannot be written.
    """
    write_atomic(folder / "config.yaml", config_yaml)
    write_atomic(folder / "environment.json", json.dumps(environment, indent=2, ensure_ascii=False, default=str) + "\n")


def write_bench(folder: Path, result: BenchResult, measured: Measured, plan: BenchPlan) -> None:
    """Write everything of `OWNED` but the models, which are written as they are trained, into an existing folder.

    Raises:
        OutputError: a file cannot be written.
    """
    import pandas as pd

    settings = plan.settings
    where = environment()
    text = yaml_text(settings)
    margin = settings.equivalence_margin
    write_tables(folder, result, config_yaml=text, environment=where, margin=margin)
    page = BenchReport(
        summary=result.summary,
        histories=pd.concat(measured.histories),
        classes={planned.probe.cells.name: planned.probe.classes for planned in plan.sets},
        truths=measured.truths,
        features=measured.features,
        predictions=measured.predictions,
        costs=result.costs,
        notes=result.notes,
        config_yaml=text,
        environment=where,
        margin=margin,
        projection=settings.projection,
        overall=result.overall,
        uses=UsesPage(result.uses),
    )
    write_atomic(folder / "report.html", render(page))
    for name, picture in pictures(page).items():
        write_atomic(folder / name, picture)


def notes_on_letters(plan: BenchPlan) -> Iterator[str]:
    """Say which names of classes the figures cannot show; the numbers beside them stand in the report too."""
    for probe in (planned.probe for planned in plan.sets):
        lacking = undrawable(probe.classes)
        if lacking:
            shown = lacking[:20] + ("..." if len(lacking) > 20 else "")
            yield (
                f"{probe.cells.name}: no installed font has {shown}, so names of classes in figures have boxes; their "
                "numbers stand beside the names in report.html. Install a font of that script, such as Noto Sans CJK"
            )
