"""Options of labelling cells."""

from __future__ import annotations

from dataclasses import dataclass

from scgraph.data.sets.labelled import DEFAULT_LABEL
from scgraph.display import short_repr
from scgraph.errors import ConfigError, argument

__all__ = ["UNKNOWN", "AnnotateConfig"]

UNKNOWN = "unknown"
"""Label of a cell that is too unlike every class, or whose best label has too low a probability."""


@short_repr
@dataclass(frozen=True)
class AnnotateConfig:
    """What may be said about labelling cells.

    Attributes:
        label: column of the reference with the classes.
        batch_key: column of the reference with donors or batches, which are held out whole.
        candidates: names of what is tried, such as ``pca+logreg``; None: all there is.
        pretrain: settings to pretrain a `gnn` with on all cells, reference and query, and try it; None: no model is
            pretrained.
        majority: let the nearest cells of the query vote on the label of a cell.
        top: how many labels of a cell are written.
        threshold: probability below which a cell is `UNKNOWN`; None: as the classifier says.
        max_novelty: novelty above which a cell is `UNKNOWN`, the share of held-out cells of the reference that are less
            unlike its classes; None: as the classifier says; 1: none is.
        key_added: first part of the names that are written.
        layer: layer of the query to read instead of X.
        values: what the values of the query are, see `scgraph.data.read_cells`.
        reference_layer: layer of the reference to read instead of X.
        reference_values: what the values of the reference are.
        min_matched: least share of the genes of the smaller side that both must have.
        device: where a model runs.
        allow_conv: convolutions that a saved model may use though they are not registered.
        seed: of folds, components and training.

    Raises:
        ConfigError: a number is out of range, or a name cannot be one.
    """

    label: str = DEFAULT_LABEL
    batch_key: str | None = None
    candidates: tuple[str, ...] | None = None
    pretrain: str | None = None
    majority: bool = False
    top: int = 1
    threshold: float | None = None
    max_novelty: float | None = None
    key_added: str = "scgraph"
    layer: str | None = None
    values: str | None = None
    reference_layer: str | None = None
    reference_values: str | None = None
    min_matched: float = 0.3
    device: str = "auto"
    allow_conv: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.top < 1:
            raise ConfigError(f"{argument('top')}: at least one label is written, not {self.top}.")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigError(
                f"{argument('threshold')}: a probability lies between 0 and 1, and {self.threshold:g} does not."
            )
        if self.max_novelty is not None and not 0 <= self.max_novelty <= 1:
            raise ConfigError(
                f"{argument('max_novelty')}: a share lies between 0 and 1, and {self.max_novelty:g} does not."
            )
        if not 0 <= self.min_matched <= 1:
            raise ConfigError(
                f"{argument('min_matched')}: a share lies between 0 and 1, and {self.min_matched:g} does not."
            )
        if not self.key_added.strip() or "/" in self.key_added:
            raise ConfigError(
                f"{argument('key_added')}: {self.key_added!r} is no name of a column. Choose a word, such as scgraph."
            )

    @property
    def label_column(self) -> str:
        """Column of obs with the label."""
        return f"{self.key_added}_label"

    @property
    def probability_column(self) -> str:
        """Column of obs with the probability of the label."""
        return f"{self.key_added}_probability"

    @property
    def novelty_column(self) -> str:
        """Column of obs with the novelty of the cell."""
        return f"{self.key_added}_novelty"

    @property
    def record_key(self) -> str:
        """Entry of uns that says how the labels came about."""
        return f"{self.key_added}_annotation"
