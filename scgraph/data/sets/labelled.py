"""Labelled sets: read, checked, divided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from scgraph.data import Cells, check_labels, read_cells
from scgraph.data.cells import AnyCells
from scgraph.data.files.checks import MOST_NAMED
from scgraph.data.files.reading import BUILT_IN, check_columns
from scgraph.data.files.stream import cells_or_stream
from scgraph.data.sets.splits import make_split
from scgraph.data.store.spool import SpooledCells, lay_aside
from scgraph.display import short_repr
from scgraph.errors import ConfigError, DataError, argument

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.config import BenchConfig
    from scgraph.data.sets.splits import Split

__all__ = [
    "DEFAULT_LABEL",
    "LabelledSet",
    "ProbeSet",
    "SpooledSet",
    "check_labelled",
    "notes_on_equal_splits",
    "read_labelled",
    "read_probe_sets",
    "read_spooled_set",
    "split_of",
]


_Some = TypeVar("_Some", bound=AnyCells[Any])
_Held = TypeVar("_Held", bound=AnyCells[Any], covariant=True)

DEFAULT_LABEL = "cell_type"
"""The column of the CELLxGENE schema."""


@short_repr
@dataclass(frozen=True)
class LabelledSet(Generic[_Held]):
    """A labelled set: its cells, the names of the classes and the class code of every cell."""

    cells: _Held
    classes: tuple[str, ...]
    codes: NDArray[np.int64]


ProbeSet = LabelledSet[AnyCells[Any]]
"""One whose values are in memory or not."""

SpooledSet = LabelledSet[SpooledCells]
"""One whose values are read when asked for."""


def read_probe_sets(
    sources: Sequence[str | Path | AnnData],
    *,
    layer: str | None = None,
    values: str | None = None,
    label: str | None = None,
    batch_key: str | None = None,
    drop_classes_below: int = 0,
) -> list[SpooledSet]:
    """Read labelled sets, without holding the values of large files in memory, and refuse labels that cannot be split.

    Cells of classes with fewer than `drop_classes_below` cells are left out, with a note.

    Raises:
        DataError: a set cannot be used as it is, or two sets have the same name.
        OutputError: the disk of temporary files cannot hold the values, see `scgraph.data.store.entries.EntryWriter`.
    """
    if len(sources) > 1:
        for source in sources:
            try:
                check_labelled(source, layer=layer, label=label, batch_key=batch_key)
            except DataError as error:
                if batch_key and f"no column {batch_key!r}" in str(error):
                    raise DataError(
                        f"{error} A batch column divides every set of a bench: give the sets without one to a bench of "
                        "their own."
                    ) from error
                raise
    sets: list[SpooledSet] = []
    for source in sources:
        read = read_spooled_set(
            source,
            layer=layer,
            values=values,
            label=label,
            batch_key=batch_key,
            drop_classes_below=drop_classes_below,
        )
        if any(other.cells.name == read.cells.name for other in sets):
            raise DataError(
                f"Two sets are called {read.cells.name!r}; the results could not be told apart. Rename one file."
            )
        sets.append(read)
    return sets


def read_spooled_set(
    source: str | Path | AnnData,
    *,
    layer: str | None = None,
    values: str | None = None,
    label: str | None = None,
    batch_key: str | None = None,
    drop_classes_below: int = 0,
    divided: bool = True,
) -> SpooledSet:
    """Read a labelled set without holding the values of a large file in memory.

    With `divided`, labels that cannot be split are refused.

    Raises:
        DataError: the set cannot be used as it is.
        OutputError: the disk of temporary files cannot hold the values, see `scgraph.data.store.entries.EntryWriter`.
    """
    column = _label(source, label)
    found = cells_or_stream(source, layer=layer, values=values, label=column, batch_key=batch_key)
    # Before values are laid aside: the file would be read once more for nothing.
    known = _without_rare(found if isinstance(found, Cells) else found.without_values(), drop_classes_below)
    if divided:
        check_labels(known)
    cells = _without_rare(lay_aside(found), drop_classes_below)
    return SpooledSet(cells, *_classes(cells))


def check_labelled(
    source: str | Path | AnnData, *, layer: str | None = None, label: str | None = None, batch_key: str | None = None
) -> None:
    """Refuse a labelled set for its columns, and read nothing but the table of its cells.

    For where others are read before it: reading the set itself looks at the columns first too.

    Raises:
        DataError: a column is missing, holds numbers, says nothing of any cell or has one class only, or the source
            cannot be opened.
    """
    check_columns(source, layer, label=_label(source, label), batch_key=batch_key)


def read_labelled(
    source: str | Path | AnnData,
    *,
    layer: str | None = None,
    values: str | None = None,
    label: str | None = None,
    batch_key: str | None = None,
) -> LabelledSet[Cells]:
    """Read a labelled set that need not be divided: classes may be of any size.

    Raises:
        DataError: it cannot be used as it is, see `scgraph.data.read_cells`, or a cell has no label.
    """
    column = _label(source, label)
    cells = read_cells(source, layer=layer, values=values, label=column, batch_key=batch_key)
    return LabelledSet(cells, *_classes(cells))


def _label(source: str | Path | AnnData, label: str | None) -> str | None:
    return label or (None if isinstance(source, str) and source == BUILT_IN else DEFAULT_LABEL)


def _classes(cells: AnyCells[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    labels = np.asarray(cells.labels).astype(str)
    classes, codes = np.unique(labels, return_inverse=True)
    return tuple(classes.tolist()), codes.astype(np.int64)


def _without_rare(cells: _Some, least: int) -> _Some:
    labels = np.asarray(cells.labels).astype(str)
    names, counts = np.unique(labels, return_counts=True)
    rare = names[counts < least]
    if not len(rare):
        return cells
    keep = ~np.isin(labels, rare)
    note = (
        f"{int((~keep).sum()):,} cells of {len(rare)} classes with fewer than {least} cells are left out: "
        f"{', '.join(rare[:MOST_NAMED])}{', ...' if len(rare) > MOST_NAMED else ''}"
    )
    kept: _Some = cells.subset(np.flatnonzero(keep))
    return replace(kept, notes=(*kept.notes, note))


def split_of(probe: LabelledSet[Any], config: BenchConfig, *, seed: int) -> Split:
    """Divide a labelled set as the settings say: by default by batch where it has batches, else at random.

    With `split_seed` every seed gets the same parts: what was chosen on them then never meets their test part.

    Raises:
        ConfigError: a split by batch is asked for and no batch column is named.
        DataError: it cannot be divided, see `make_split`.
    """
    if config.split == "batch" and probe.cells.batches is None:
        raise ConfigError(f"A split by batch needs the column of the batches: name it with {argument('batch_key')}.")
    rest = 1 - config.test_share - config.validation_share
    fractions = (rest, config.validation_share, config.test_share)
    labels = np.asarray(probe.classes)[probe.codes]  # names, so that a refusal can name the class
    seed = seed if config.split_seed is None else config.split_seed
    batches = None if config.split == "random" else probe.cells.batches
    return make_split(labels, batches=batches, seed=seed, fractions=fractions)


def notes_on_equal_splits(name: str, splits: Sequence[Split]) -> list[str]:
    """What must be said where seeds cannot change the split: too few batches to divide in as many ways."""
    distinct = len({split.test.tobytes() + b"|" + split.validation.tobytes() for split in splits})
    if distinct == len(splits):
        return []
    ways = f"{distinct} way" + ("s" if distinct > 1 else "")
    return [
        f"{name}: the {len(splits)} seeds divide the cells in {ways} only, so intervals over seeds speak of few test "
        "parts."
    ]
