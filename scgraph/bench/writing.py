"""The folder of a bench: tables, settings, report and pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scgraph.bench.across_sets import across_sets
from scgraph.bench.report import BenchReport, pictures, render
from scgraph.bench.results import results_csv, summarise
from scgraph.bench.tables import summary_markdown
from scgraph.files import write_atomic
from scgraph.reporting.environment import environment
from scgraph.reporting.fonts import undrawable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from scgraph.bench.measure import Measured
    from scgraph.bench.plan import BenchPlan
    from scgraph.bench.results import BenchResult

__all__ = ["OWNED", "notes_on_letters", "write_bench", "write_results"]

OWNED = (
    "results.csv",
    "summary.md",
    "report.html",
    "config.yaml",
    "environment.json",
    "scores-*.png",
    "features-*.png",
    "difference.png",
    "models",
)
"""What a bench writes into its folder, and what `overwrite` may remove."""


def write_results(
    folder: Path,
    results: pd.DataFrame,
    *,
    notes: Sequence[str],
    config_yaml: str,
    environment: Mapping[str, object],
    reference: str = "tf",
    margin: float = 0.01,
) -> pd.DataFrame:
    """Write `results.csv`, `summary.md`, `config.yaml` and `environment.json` into an existing folder.

    Every file is written beside its place and renamed, so a reader never sees half of one.

    Returns:
        The summary of `summarise`, for the table on the terminal and the report.

    Raises:
        OutputError: a file cannot be written.
    """
    summary = summarise(results, reference, margin=margin)
    together = across_sets(results, reference, margin=margin)
    markdown = summary_markdown(
        summary, together, notes=notes, environment=environment, reference=reference, margin=margin
    )
    write_atomic(folder / "results.csv", results_csv(results))
    write_atomic(folder / "config.yaml", config_yaml)
    write_atomic(folder / "environment.json", json.dumps(environment, indent=2, ensure_ascii=False, default=str) + "\n")
    write_atomic(folder / "summary.md", markdown)
    return summary


def write_bench(folder: Path, result: BenchResult, measured: Measured, plan: BenchPlan) -> None:
    """Write everything of `OWNED` but the models, which are written as they are trained, into an existing folder.

    Raises:
        OutputError: a file cannot be written.
    """
    import pandas as pd
    import yaml

    settings = plan.settings
    where = environment()
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    margin = settings.equivalence_margin
    write_results(folder, result.results, notes=result.notes, config_yaml=text, environment=where, margin=margin)
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
