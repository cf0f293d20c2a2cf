"""The rows: what each changes of the default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["DEFAULT", "HELD_OUT", "IDEAS", "Idea"]

DEFAULT = "default"
Kind = Literal["plain", "untrained", "cross_correlation", "labelled", "attention", "batch_decoder", "fine_tuned"]


@dataclass(frozen=True)
class Idea:
    """One row.

    Attributes:
        name: of the row.
        kind: what of `benchmarks.objectives.parts` it takes.
        set: assignments over the default.
        size: weight of the part that it adds, or number of queries.
    """

    name: str
    kind: Kind = "plain"
    set: tuple[str, ...] = ()
    size: float = 0.0

    @property
    def sees_labels(self) -> bool:
        """Whether it trains on the labels of the train part."""
        return self.kind in ("labelled", "fine_tuned")


_COUNTS = ("train.count_loss=1", "train.neighbor_loss=0")
_WIDE_BATCH = "train.batch_size=256"

# Fine-tuning goes on from the model of the default, so it stands right behind it.
IDEAS = (
    Idea(DEFAULT),
    Idea("fine-tuned", "fine_tuned"),
    Idea("cross-correlation and counts", "cross_correlation", (*_COUNTS, _WIDE_BATCH), 1.0),
    Idea("cross-correlation and default", "cross_correlation", (_WIDE_BATCH,), 0.1),
    Idea("batch of 256", set=(_WIDE_BATCH,)),
    Idea("attention, 1 query", "attention", size=1),
    Idea("attention, 4 queries", "attention", size=4),
    Idea("labels and default", "labelled", size=0.1),
    Idea("128 channels", set=("model.channels=128",)),
    Idea("the trained part alone", set=("model.readout=pooled",)),
    Idea("equal weights", set=("train.component_weights=equal",)),
    Idea("untrained", "untrained"),
    Idea("untrained, equal weights", "untrained", ("train.component_weights=equal",)),
    Idea("untrained, 128 channels", "untrained", ("model.channels=128",)),
    Idea("5 neighbors", set=("train.neighbors=5",)),
    Idea("1 neighbor, the cell itself", set=("train.neighbors=1",)),
    Idea("128 channels, 5 neighbors", set=("model.channels=128", "train.neighbors=5")),
    Idea("1,500 steps", set=("max_steps=1500",)),
)

HELD_OUT = (
    Idea(DEFAULT),
    Idea("counts alone", set=_COUNTS),
    Idea("counts alone, batch in the decoder only", "batch_decoder", _COUNTS),
)
"""Rows that are asked about a batch of which no cell was learned from."""
