"""The tables of a bench as files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scgraph.bench.across_sets import across_sets
from scgraph.bench.results import results_csv, summarise
from scgraph.bench.tables import summary_markdown
from scgraph.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

__all__ = [
    "write_results",
]


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
