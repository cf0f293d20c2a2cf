"""Families and complexes of genes whose members stand under one prefix."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["FAMILIES", "SMALLEST", "gene_families", "read_families"]

SMALLEST = 3
"""Genes that a family needs to be looked at."""

FAMILIES = {
    "ribosome": r"RP[LS]\d+[AXYL]{0,2}\d*|RPLP[012]|RPSA",
    "mitochondrial ribosome": r"MRP[LS]\d+[A-C]?",
    "mitochondrial genome": r"MT-(?:ND\dL?|CO\d|ATP\d|CYB)",
    "HLA class I": r"HLA-[A-G]|B2M",
    "HLA class II": r"HLA-D[A-Z]+\d*|CD74",
    "histones": r"HIST\dH.+|H1-\d+|H2[AB][CFZ]\w*|H3C\d+|H3F3[AB]|H4C\d+",
    "proteasome": r"PSM[A-D]\d+",
    "complex I (NDUF)": r"NDUF(?:A|AB|B|C|S|V)\d+",
    "complex III (UQCR)": r"UQCR\w+|UQCC\d",
    "complex IV (COX)": r"COX[4-8][A-C]\w*|COX4I\d",
    "ATP synthase (ATP5)": r"ATP5\w+",
    "V-ATPase (ATP6V)": r"ATP6V[01]\w+",
    "T cell receptor (CD3)": r"CD3[DEG]|CD247|TR[ABDG]C\d?",
    "immunoglobulins": r"IGH[ADEGM]\d?|IGKC|IGLC\d|IG[HKL]V.+|IGLL5|JCHAIN",
    "KLR receptors": r"KLR[BCDFGK]\d\w*",
    "S100": r"S100[ABPZ]\d*",
    "heat shock proteins": r"HSP(?:A|B|D|E|H|90)\w+",
    "chaperonin (CCT)": r"CCT[2-8]\w?|TCP1",
    "initiation factor 3 (EIF3)": r"EIF3[A-M]",
    "ARP2/3 (ARPC)": r"ARPC\d\w?|ACTR[23]",
}
"""Regular expressions that a whole symbol must match, case aside; pseudogenes and kinases (RPS6KA1) do not."""


def gene_families(names: Sequence[str], families: Mapping[str, str] | None = None) -> dict[str, list[int]]:
    """Return the positions of the members of every family with at least `SMALLEST` members among `names`.

    >>> gene_families(["RPL3", "RPS6KA1", "RPS6", "RPL21P28", "RPLP0", "CD3D"])
    {'ribosome': [0, 2, 4]}
    """
    found = {}
    for family, pattern in (FAMILIES if families is None else families).items():
        matches = re.compile(pattern, re.IGNORECASE).fullmatch
        members = [at for at, name in enumerate(names) if matches(name)]
        if len(members) >= SMALLEST:
            found[family] = members
    return found


def read_families(path: Path) -> dict[str, str]:
    """Read families of one's own: a line a gene, ``family<TAB>gene``; a first line with just these words is a header.

    Raises:
        DataError: the file is missing, no text, or a line has not two columns.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise DataError(f"{path}: cannot be read ({reason}). Give lines of family<TAB>gene.") from error
    listed: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.split("\t")]
        if not line.strip() or (number == 1 and [cell.lower() for cell in cells] == ["family", "gene"]):
            continue
        if len(cells) != 2 or not all(cells):
            raise DataError(f"{path}: line {number} is not family<TAB>gene.")
        listed.setdefault(cells[0], []).append(re.escape(cells[1]))
    if not listed:
        raise DataError(f"{path}: names no family. Give lines of family<TAB>gene.")
    return {family: "|".join(genes) for family, genes in listed.items()}
