"""The uses in the report of a bench: tables of every set and of all, and curves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scgraph.bench.uses.figures import use_curves
from scgraph.bench.uses.summary import summarise_uses, uses_across_sets
from scgraph.bench.uses.tables import INTRODUCTION, across_tables, asked_uses, set_tables, uses_markdown
from scgraph.reporting.drawing import data_uri, png

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["UsesPage"]


@dataclass(frozen=True)
class UsesPage:
    """What is shown of the rows of `scgraph.bench.uses.summary.uses_frame`, which may be none."""

    uses: pd.DataFrame

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Of `summarise_uses`."""
        return summarise_uses(self.uses)

    @cached_property
    def overall(self) -> pd.DataFrame:
        """Of `uses_across_sets`."""
        return uses_across_sets(self.uses)

    def section(self) -> dict[str, Any] | None:
        """Return what the template shows; None where no use was asked."""
        if self.summary.empty:
            return None
        parts: list[dict[str, Any]] = [
            {"name": f"All sets, {split!s} splits", "tables": across_tables(group), "curves": None}
            for split, group in (self.overall.groupby("split", sort=False) if len(self.overall) else ())
        ]
        for (dataset, split), group in self._by_set():
            curves = use_curves(group)
            picture = None if curves is None else data_uri(curves)
            parts.append({"name": f"{dataset}, {split} split", "tables": set_tables(group), "curves": picture})
        return {"introduction": INTRODUCTION, "asked": asked_uses(self.summary), "parts": parts}

    def markdown(self) -> list[str]:
        """Return the lines of `summary.md`."""
        return uses_markdown(self.summary, self.overall)

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and PNG of the curves of every set."""
        for (dataset, _), group in self._by_set():
            curves = use_curves(group)
            if curves is not None:
                yield f"uses-{dataset}.png", png(curves)

    def _by_set(self) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
        if len(self.summary):
            for (dataset, split), group in self.summary.groupby(["dataset", "split"], sort=False):
                yield (str(dataset), str(split)), group
