"""What the label of a perturbation says: the one or two genes that were perturbed, in the forms that files come in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scgraph.perturb.names import DIVIDERS, is_control

if TYPE_CHECKING:
    from collections.abc import Collection

    from scgraph.perturb.genes import GeneNames

__all__ = ["EXPECTED", "MOST_GENES", "Label", "read_label"]

MOST_GENES = 2

EXPECTED = (
    "A label is GENE, GENE1+GENE2 (or with , ; | || or _ between two genes), each with or without a guide (GENE_1, "
    "sgGENE-1, GENE_P1P2, GENE KO), by symbol or Ensembl id."
)
"""The forms that are read, for messages."""

_BEFORE = re.compile(r"(?:sg|sgRNA|gRNA|si|sh)[ _.-]?(?=[A-Z])")
_WHAT = (
    r"KO|KD|OE|KI|ko|kd|oe|knock[ -]?out|knock[ -]?down|over[ -]?expression|CRISPR(?:i|a|-?KO)?|crispr[ia]?|mut(?:ant)?"
)
_AFTER = re.compile(
    rf"""(?:
      [ _.-]+(?:{_WHAT})                                     # GENE KO
    | [ _.-]*(?:sgRNA|gRNA|sg|guide|g)[ _.-]*\d+[a-z]?       # GENE_sg1, GENE guide 2, GENEg1
    | [ _.-]+(?:\d+(?:\.\d+)*|[A-H])                         # GENE_1, GENE-A
    | [ _.-]*[+-]_\d+(?:\.\d+)*(?:[ _-]P\d(?:P\d)?)?         # GENE_+_95907328.23-P1P2
    | [ _-]P\d(?:P\d)?                                       # GENE_P1P2
    )$""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Label:
    """What a label says.

    Attributes:
        genes: numbers of the perturbed genes, ascending, none twice; empty where `problem` says why.
        unknown: parts of the label that name no gene.
        problem: why the label cannot be used, "" where it can.
        form: how it was read where it is not simply a gene or a sum of genes: ``guide`` or ``pair``, else "".
    """

    genes: tuple[int, ...] = ()
    unknown: tuple[str, ...] = ()
    problem: Literal["", "unknown", "many", "ambiguous"] = ""
    form: Literal["", "guide", "pair"] = ""


def read_label(label: str, controls: Collection[str], genes: GeneNames) -> Label:
    """Tell which genes a label perturbs.

    A whole gene name goes first. Else the label is divided at one of `DIVIDERS`, or at an underscore both sides of
    which are genes (or one a control); of a part that is no gene prefix and suffix of a guide are taken off, as long as
    what is left is a gene and the whole is no gene of the species.

    Args:
        label: of a perturbation, no control.
        controls: labels of the controls, which may be a part of other labels.
        genes: that can be named.
    """
    text = label.strip()
    whole = genes.find(text)
    if whole is not None:
        return Label((whole,))
    single = _guide(text, genes)
    divides = single is None and not re.search(r"_[+-]_\d", text)  # the strand of a guide is no sum
    divider = next((sign for sign in DIVIDERS if sign in text), "") if divides else ""
    if divider:
        return _joined([part.strip() for part in text.split(divider)], controls, genes, divider)
    pairs = {}
    for found in re.finditer("_+", text) if divides else ():
        sides = [text[: found.start()], text[found.end() :]]
        numbers = [_gene(side, genes) for side in sides]
        spare = [side in controls or is_control(side) for side in sides]
        if any(one is not None for one in numbers) and all(
            one is not None or other for one, other in zip(numbers, spare, strict=True)
        ):
            pairs[tuple(sorted({one for one in numbers if one is not None}))] = sides
    if len(pairs) > 1:
        return Label((), (text,), "ambiguous")
    if pairs:
        return Label(next(iter(pairs)), form="pair")
    return Label((), (text,), "unknown") if single is None else Label((single,), form="guide")


def _joined(parts: list[str], controls: Collection[str], genes: GeneNames, divider: str) -> Label:
    named = [part for part in parts if part and part not in controls and not is_control(part)]
    found = [_gene(part, genes) for part in named]
    unknown = tuple(part for part, number in zip(named, found, strict=True) if number is None)
    if unknown or not named:
        return Label((), unknown or (divider.join(parts),), "unknown")
    numbers = tuple(sorted({number for number in found if number is not None}))
    if len(numbers) > MOST_GENES:
        return Label((), (), "many")
    plain = all(genes.find(part) is not None for part in named)
    return Label(numbers, form="" if plain and divider == "+" else "pair" if plain else "guide")


def _gene(text: str, genes: GeneNames) -> int | None:
    whole = genes.find(text)
    return _guide(text, genes) if whole is None else whole


def _guide(text: str, genes: GeneNames) -> int | None:
    """Return the gene of a guide, None where the text is none."""
    if genes.is_symbol(text):
        return None  # a gene that is known to nobody here is no guide of another one
    bare = _BEFORE.sub("", text, count=1) if _BEFORE.match(text) else text
    for _ in range(3):
        found = genes.find(bare) if bare != text else None
        if found is not None:
            return found
        cut = _AFTER.sub("", bare)
        if cut == bare or (bare != text and genes.is_symbol(bare)):
            return None
        bare = cut
    return genes.find(bare)
