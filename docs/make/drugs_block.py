"""The committed runs on drug combinations: a table a split, with floor and ceiling, and what the right lines add."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.drugs.page import REPLICATES
from docs.make.sources import RESULTS, environment, source
from scgraph.drugs.scores import METRICS
from scgraph.drugs.tables import METRIC_NAMES, UNSEEN, with_interval
from scgraph.reporting.wording import records

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["drugs_block"]


def drugs_block(*names: str) -> str:
    """Return a table a run: rows are methods, columns the scores, over folds."""
    lines: list[str] = []
    for name in names:
        summary = pd.read_csv(RESULTS / name / "summary.csv")
        title = f"Unseen {UNSEEN[str(environment(name)['split'])]}"
        header = [title, *METRIC_NAMES.values(), "r within pair minus wrong lines"]
        lines += ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
        ceiling = [f"{REPLICATES[metric]:.3f}" if metric in REPLICATES else "-" for metric in METRICS]
        lines.append("| " + " | ".join(["replicate (ceiling)", *ceiling, "-"]) + " |")
        for row in records(summary):
            cells = [*(_mean(row, metric) for metric in METRICS), with_interval(row, "within_pair_wrong")]
            lines.append("| " + " | ".join([str(row["model"]), *cells]) + " |")
        lines.append("")
    for name in names:
        lines.append(
            f"- {UNSEEN[str(environment(name)['split'])]}: [differences to the best baseline, folds]"
            f"(benchmarks/results/{name}/table.md). {source(name)}"
        )
    return "\n".join(lines) + "\n"


def _mean(row: Mapping[str, Any], metric: str) -> str:
    mean, low, high = (row[f"{metric}_{end}"] for end in ("mean", "low", "high"))
    if not math.isfinite(mean):
        return "-"
    return f"{mean:.3f} ± {(high - low) / 2:.3f}" if math.isfinite(low) and high > low else f"{mean:.3f}"
