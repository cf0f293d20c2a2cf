"""The uses of one representation, measured one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scgraph.bench.uses.base import Use, UseContext
    from scgraph.representations.base import Representation

__all__ = ["measure_uses"]


def measure_uses(uses: Sequence[Use], representation: Representation, context: UseContext) -> list[dict[str, Any]]:
    """Return the rows of all uses of one representation: dataset, split, seed and model beside what the use says."""
    where = {
        "dataset": context.probe.cells.name,
        "split": context.split.kind,
        "seed": context.seed,
        "model": representation.name,
    }
    return [where | row for use in uses for row in use.measure(representation, context)]
