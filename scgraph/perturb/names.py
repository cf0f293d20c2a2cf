"""What the label of a perturbation says: a control, or the one or two genes that were perturbed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scgraph.data.files.names import ensembl_id, examples
from scgraph.errors import DataError, argument

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scgraph.data import Cells

__all__ = ["COLUMNS", "MOST_GENES", "GeneNames", "Label", "find_column", "find_control", "read_label"]

COLUMNS = ("perturbation", "condition")
"""Columns of obs that are looked for: scPerturb's and GEARS' names."""

MOST_GENES = 2

_CONTROLS = {
    "control",
    "controls",
    "ctrl",
    "ctl",
    "neg",
    "negative",
    "negativecontrol",
    "negctrl",
    "nontargeting",
    "nontarget",
    "notargeting",
    "nt",
    "ntc",
    "safetargeting",
    "unperturbed",
    "untreated",
    "mock",
    "scramble",
    "scrambled",
}


@dataclass(frozen=True)
class Label:
    """What a label says.

    Attributes:
        genes: columns of the perturbed genes in the file, ascending, none twice; empty where `unknown` says why.
        unknown: parts of the label that name no gene of the file.
        problem: why the label cannot be used, "" where it can.
    """

    genes: tuple[int, ...] = ()
    unknown: tuple[str, ...] = ()
    problem: Literal["", "unknown", "many"] = ""


class GeneNames:
    """The genes of a file by Ensembl id or symbol, as files and vocabularies are matched elsewhere.

    Args:
        cells: what was read.
    """

    def __init__(self, cells: Cells) -> None:
        self._by_ensembl: dict[str, int] = {name: at for at, name in enumerate(cells.ensembl.tolist()) if name}
        self._by_symbol: dict[str, int] = {name: at for at, name in enumerate(cells.symbols.tolist()) if name}
        self._lowered: dict[str, str] = {name.lower(): name for name in self._by_symbol}

    def find(self, name: str) -> int | None:
        """Return the column of a gene, None where the file has none of that name."""
        identifier = ensembl_id(name)
        return self._by_ensembl.get(identifier) if identifier else self._by_symbol.get(name)

    def in_other_case(self, name: str) -> str:
        """Return the gene that differs from a name in case alone, "" where there is none."""
        return self._lowered.get(name.lower(), "")


def is_control(text: str) -> bool:
    """Tell whether a label, or a part of one, is a usual name of control cells.

    >>> is_control("non-targeting"), is_control("ctrl+ctrl"), is_control("CTRL1")
    (True, True, False)
    """
    parts = [re.sub(r"[^a-z]", "", part.lower()) for part in text.split("+")]
    return all(part in _CONTROLS for part in parts) and not re.search(r"\d", text)


def find_column(columns: Iterable[str], asked: str | None, where: str) -> str:
    """Return the column of obs that names the perturbations.

    Args:
        columns: of obs.
        asked: the one that was named; None finds it.
        where: source, for messages.

    Raises:
        DataError: none of `COLUMNS` is there, or both are.
    """
    names = list(columns)
    if asked is not None:
        return asked
    found = [name for name in COLUMNS if name in names]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{where}: obs has the columns {' and '.join(found)}. Say which one names the perturbations: "
            f"{argument('perturbation', found[0])}."
        )
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "none"
    raise DataError(
        f"{where}: obs has no column {' or '.join(COLUMNS)}. Name the column of the perturbations with "
        f"{argument('perturbation')}. "
        f"Columns: {listed}."
    )


def find_control(labels: Sequence[str], asked: str | None, where: str) -> str:
    """Return the label of the control cells.

    Args:
        labels: all labels of the column, none twice.
        asked: the one that was named; None finds the only one with a usual name.
        where: source, for messages.

    Raises:
        DataError: the named one is not there, or none or several have a usual name.
    """
    if asked is not None:
        if asked in labels:
            return asked
        raise DataError(f"{where}: no cell is labelled {asked!r} (control). Labels: {examples(labels, 8)}.")
    found = [label for label in labels if is_control(label)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{where}: several labels may be the control: {examples(found, 8)}. Say which with "
            f"{argument('control')}, or give these cells one label."
        )
    raise DataError(
        f"{where}: no label looks like a control (control, ctrl, non-targeting, ...), and changes are measured "
        f"against controls. Name it with {argument('control')}. Labels: {examples(labels, 8)}."
    )


def read_label(label: str, control: str, genes: GeneNames) -> Label:
    """Tell which genes a label perturbs.

    Read are ``GENE``, ``GENE+ctrl``, ``ctrl+GENE``, ``GENE1+GENE2`` and, where both sides of an underscore are genes
    of the file (or one is a control), ``GENE1_GENE2``.

    Args:
        label: of a perturbation, not the control.
        control: the label of the controls, which may be a part of other labels.
        genes: of the file.
    """
    text = label.strip()
    whole = genes.find(text)
    if whole is not None:
        return Label((whole,))
    parts = [part.strip() for part in text.split("+")]
    if len(parts) == 1:
        parts = _underscored(text, control, genes)
    named = [part for part in parts if part and part != control and not is_control(part)]
    found = [genes.find(part) for part in named]
    unknown = tuple(part for part, column in zip(named, found, strict=True) if column is None)
    if unknown or not named:
        return Label((), unknown or (text,), "unknown")
    columns = tuple(sorted({column for column in found if column is not None}))
    return Label((), (), "many") if len(columns) > MOST_GENES else Label(columns)


def _underscored(text: str, control: str, genes: GeneNames) -> list[str]:
    """Return the two sides of the first underscore that divides known names, or the text as it is."""
    for found in re.finditer("_", text):
        sides = [text[: found.start()], text[found.end() :]]
        known = [genes.find(side) is not None for side in sides]
        spare = [side == control or is_control(side) for side in sides]
        if any(known) and all(one or other for one, other in zip(known, spare, strict=True)):
            return sides
    return [text]
