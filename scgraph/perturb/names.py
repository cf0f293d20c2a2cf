"""Which column of obs names the perturbations, and which of its labels are controls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scgraph.data.files.names import examples
from scgraph.errors import DataError, argument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["COLUMNS", "DIVIDERS", "find_column", "find_controls", "is_control"]

COLUMNS = (
    ("perturbation", "condition"),
    (
        "target_gene",
        "target_genes",
        "gene_target",
        "gene_targets",
        "perturbed_gene",
        "perturbed_genes",
        "perturbation_gene",
        "perturbation_target",
        "perturbation_name",
        "guide_target",
        "grna_target",
        "sgrna_target",
        "crispr_target",
        "knockout",
        "knockdown",
        "target",
    ),
    ("guide", "guides", "guide_id", "guide_identity", "guide_name", "grna", "grna_id", "sgrna", "sgrna_id"),
)
"""Columns of obs that are looked for, one line after the other: the labels of scPerturb and GEARS, columns of target
genes, columns of guides. Case, dots, blanks and underscores do not matter."""

DIVIDERS = ("||", "+", ",", ";", "|")
"""Signs between the genes of a double; none of them stands in a gene name."""

# CTRL is a gene too; in a column of perturbations it has always been the control.
_WORD = (
    r"negative|neg|non[ _.-]*target(?:ing|ed)?|no[ _.-]*target(?:ing)?|nt|ntc|"
    r"safe[ _.-]*target(?:ing)?|safe[ _.-]*harbou?r|intergenic|scrambled?|scr|controls?|ctrls?|ctl|ctr"
)
_NOT_TREATED = r"unperturbed|untreated|mock|vehicle|dmso|wild[ _.-]*type"
_NUMBER = r"(?:[ _.-]*(?:sg|g|sgrna|grna|guide)?[ _.-]*\d+)?"
_GUIDES = re.compile(
    rf"(?:(?:sg|sgrna|grna|guide)[ _.-]*)?(?:{_WORD})(?:[ _.-]*(?:{_WORD}|guides?|sgrnas?|grnas?|cells?))*{_NUMBER}"
)
_CELLS = re.compile(rf"(?:{_NOT_TREATED})(?:[ _.-]*(?:{_WORD}|cells?))*")


def is_control(text: str) -> bool:
    """Tell whether a label, or a part of one, is a usual name of control cells, with or without the number of a guide.

    >>> is_control("Non-targeting control"), is_control("ctrl+ctrl"), is_control("NT_1"), is_control("INTERGENIC123")
    (True, True, True, True)
    >>> is_control("NT5C"), is_control("NTS"), is_control("SCRIB")
    (False, False, False)
    """
    return _kind(text) != ""


def _kind(text: str) -> str:
    """Return ``guide`` for guides without a target, ``cell`` for cells without a guide, "" for what is no control."""
    parts = list(re.split(r"\|\||[+,;|]", text.strip().lower()))
    found = {
        "guide" if _GUIDES.fullmatch(part.strip()) else "cell" if _CELLS.fullmatch(part.strip()) else ""
        for part in parts
    }
    return "" if "" in found else "cell" if "cell" in found else "guide"


def find_column(columns: Iterable[str], asked: str | None, where: str) -> str:
    """Return the column of obs that names the perturbations.

    Args:
        columns: of obs.
        asked: the one that was named; None finds it.
        where: source, for messages.

    Raises:
        DataError: none of `COLUMNS` is there, or two of the same line are, or a `condition` beside a column of target
            genes.
    """
    names = list(columns)
    if asked is not None:
        return asked
    tiers = [[name for name in names if _plain(name) in map(_plain, tier)] for tier in COLUMNS]
    found = next(filter(None, tiers), [])
    if len(found) == 1 and _plain(found[0]) == "condition":
        found += tiers[1]  # what was done to the cells, or which gene was hit: only the user knows
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{where}: obs has the columns {' and '.join(found)}. Say which one names the perturbations: "
            f"{argument('perturbation', found[0])}."
        )
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "none"
    raise DataError(
        f"{where}: obs has no column perturbation or condition, nor one of target genes or guides (target_gene, guide, "
        f"...). Name the column of the perturbations with {argument('perturbation')}. Columns: {listed}."
    )


def find_controls(
    labels: Sequence[str], asked: Sequence[str], is_gene: Callable[[str], bool], where: str
) -> tuple[str, ...]:
    """Return the labels of the control cells.

    Several labels are taken together where all are names of guides without a target (`NT_1`, `NT_2`, `INTERGENIC3`,
    `control`). Cells without a guide (`untreated`, `mock`) are taken where there is nothing else.

    Args:
        labels: all labels of the column, none twice.
        asked: those that were named; none finds all with a usual name.
        is_gene: whether a name is that of a gene, which is no control then, but for the word ctrl.
        where: source, for messages.

    Raises:
        DataError: a named one is not there, none has a usual name, or both kinds of controls are there.
    """
    absent = [label for label in asked if label not in labels]
    if absent:
        raise DataError(f"{where}: no cell is labelled {absent[0]!r} (control). Labels: {examples(labels, 8)}.")
    if asked:
        return tuple(dict.fromkeys(asked))
    kinds = {label: kind for label in labels if (kind := _kind(label)) and not (_numbered(label) and is_gene(label))}
    if not kinds:
        raise DataError(
            f"{where}: no label looks like a control (control, ctrl, non-targeting, NT_1, ...), and changes are "
            f"measured against controls. Name it with {argument('control')}. Labels: {examples(labels, 8)}."
        )
    if len(set(kinds.values())) > 1:
        one = next(label for label, kind in kinds.items() if kind == "guide")
        raise DataError(
            f"{where}: several labels may be the control, cells with guides that hit nothing and cells without a "
            f"guide: {examples(kinds, 8)}. Say which with {argument('control')}, such as {one!r}; several may be named."
        )
    return tuple(kinds)


def _numbered(label: str) -> bool:
    return re.search(r"\d", label) is not None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
