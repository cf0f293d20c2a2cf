"""What a use is: one question to a representation, and what it may look at to answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from scgraph.config import BenchConfig
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.data.sets.splits import Split
    from scgraph.data.sets.stores import SetStores
    from scgraph.representations.base import Representation
    from scgraph.representations.classifier import Classifier

__all__ = ["ANY_LEVEL", "Column", "Use", "UseContext", "use_row"]

ANY_LEVEL = "*"
"""Level of a column that stands for one of every level there is, which follows its title."""


@dataclass(frozen=True)
class UseContext:
    """What a use sees of one labelled set, one seed and one representation.

    Attributes:
        probe: the labelled set: cells, names and codes of its classes.
        split: its parts; labels of the test part are for scoring only.
        stores: the cells that models learned from, and all cells of the set, on one vocabulary.
        seed: of the repetition.
        settings: sizes and shares of the bench.
        features: of all cells of the set, `[n, C]`, as the main row had them.
        classifier: of the main row: fitted on the train part, its penalty chosen on the validation part.
        shared: what uses keep for the other representations of the same set and seed, by (use, ...).
    """

    probe: ProbeSet
    split: Split
    stores: SetStores
    seed: int
    settings: BenchConfig
    features: NDArray[np.float32]
    classifier: Classifier
    shared: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    @property
    def codes(self) -> NDArray[np.int64]:
        """Class codes of all cells `[n]`."""
        return self.probe.codes

    @property
    def batches(self) -> ArrayLike | None:
        """Batch of every cell `[n]`; None where no batch column was named."""
        return self.probe.cells.batches


@dataclass(frozen=True)
class Column:
    """One number of a use as tables show it; `short` is its title in the terminal, None leaves it out there."""

    level: str
    metric: str
    title: str
    short: str | None = None


@dataclass(frozen=True)
class Use:
    """One question to every representation.

    Attributes:
        name: word of `--uses`.
        help: one line.
        columns: what tables show of its rows, in order.
        measure: rows of one representation: use, level, draw, metric, value; `draw` is what is averaged within a seed.
        refuse: why a set cannot serve, None where it can; asked before the work starts.
    """

    name: str
    help: str
    columns: tuple[Column, ...]
    measure: Callable[[Representation, UseContext], list[dict[str, Any]]]
    refuse: Callable[[ProbeSet, BenchConfig], str | None] = lambda probe, settings: None


def use_row(
    use: str, value: float, *, metric: str = "macro_f1", level: object = "", draw: object = 0
) -> dict[str, Any]:
    """Return one row of a use; level and draw are kept as text."""
    return {"use": use, "level": str(level), "draw": str(draw), "metric": metric, "value": float(value)}
