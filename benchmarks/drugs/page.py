"""The page of a run on drug combinations."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scgraph.drugs import DrugsResult

__all__ = ["REPLICATES", "drugs_page"]

REPLICATES = {"pearson": 0.665, "auroc": 0.828, "within_pair": 0.577}
"""One measurement against the other, of the 252 combinations of O'Neil et al. 2016 (21 pairs on 12 lines) that were
measured twice: what a method can be expected to reach if these stand for the rest. They were taken when the replicates
were averaged to the scores that the command reads, which hold the means alone."""


def drugs_page(found: DrugsResult, split: str) -> str:
    """Return the text of `table.md`."""
    from scgraph.drugs.tables import METRIC_NAMES, UNSEEN, differences_table, headline, results_table

    summary = found.summary
    networks = [str(name) for name in summary.loc[~summary["is_baseline"], "model"]]
    ceiling = ", ".join(f"{METRIC_NAMES[metric]} {value:.3f}" for metric, value in REPLICATES.items())
    lines = [f"# Drug combinations, unseen {UNSEEN[split]}", "", *(f"- {note}" for note in found.notes), ""]
    lines += [headline(summary, networks[0], split), ""]
    lines += [f"Ceiling: one replicate against the other, 252 combinations: {ceiling}. Floor: the mean of all.", ""]
    lines += [*results_table(summary), "", *differences_table(summary), ""]
    return "\n".join(lines)
