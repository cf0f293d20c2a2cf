"""Genes that two sides call by different names: other spelling, older symbol, symbol here and Ensembl id there."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from scgraph.data.files.names import ensembl_id
from scgraph.data.identifiers import GeneTable, gene_table, species_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Derived", "derive", "plain_name"]

Name = tuple[str, str]
"""Symbol and Ensembl id of a gene, `""` where unknown."""

_ASSEMBLY = re.compile(
    r"(?:(?P<human>GRCh3[78]|hg19|hg38)|(?P<mouse>GRCm3[89]|mm10|mm39))(?:-\d{4}-[A-Z])?[_-]+(?P<name>.+)"
)
_BOTH = re.compile(r"(?P<before>[^_].*?[_|])?(?P<id>ENS[A-Z]{0,4}G\d{6,}(?:\.\d+)?)(?P<after>[_|][^_].*)?")


@dataclass(frozen=True)
class Derived:
    """Genes of a file that were found under another name.

    Attributes:
        ids: Vocabulary id of each, by its place in the file.
        ambiguous: Places of those that stay unmatched, as more than one gene claims the name or its counterpart.
    """

    ids: dict[int, int]
    ambiguous: frozenset[int]


def plain_name(symbol: str, ensembl: str) -> tuple[str, str, str]:
    """Take assembly, blanks and the other name off a gene's name.

    Returns:
        Symbol, Ensembl id, and the species that the assembly is of, `""` where there is none.

    >>> plain_name("GRCh38_CD3D ", ""), plain_name("ENSG00000167286.10_CD3D", ""), plain_name("mm10___Cd3d", "")
    (('CD3D', '', 'human'), ('CD3D', 'ENSG00000167286', ''), ('Cd3d', '', 'mouse'))
    """
    symbol, of = symbol.strip(), ""
    assembly = _ASSEMBLY.fullmatch(symbol)
    if assembly:
        symbol, of = assembly["name"], "human" if assembly["human"] else "mouse"
    both = _BOTH.fullmatch(symbol)
    if both:
        own = ensembl_id(symbol)
        ensembl = ensembl or own or ensembl_id(both["id"])
        symbol = "" if own else ((both["before"] or "")[:-1] or (both["after"] or "")[1:])
    return symbol, ensembl, of


# The blocks of one file have the same genes.
@lru_cache(maxsize=2)
def derive(theirs: tuple[Name, ...], mine: tuple[Name, ...], ids: tuple[int, ...]) -> Derived:
    """Find the genes of a file that exact names did not, in two steps: by spelling, then by the table of the species.

    A gene that an exact name found is never moved. Where two genes of the file, or two of the vocabulary, come out
    as the same gene, none of them is matched.

    Args:
        theirs: Genes of the file.
        mine: Genes of the vocabulary; the first has id 1.
        ids: Vocabulary id of every gene of the file by exact name, 0 where there is none.
    """
    # All were found, or nothing is left to find.
    if 0 not in ids or len(set(ids) - {0}) == len(mine):
        return Derived({}, frozenset())
    species = species_of([symbol for symbol, _ in mine], [ensembl for _, ensembl in mine])
    plain = [plain_name(*gene) for gene in theirs]
    known = [plain_name(*gene)[:2] for gene in mine]
    # Human and mouse genes of one file: those of the other species cannot be meant.
    places = [at for at, gene in enumerate(ids) if not gene and plain[at][2] in {"", species or plain[at][2]}]
    file = [gene[:2] for gene in plain]
    matched: dict[int, int] = {}
    ambiguous: set[int] = set()
    steps: list[Callable[[Name], Sequence[str]]] = [lambda gene: gene[1:], lambda gene: gene[:1]]
    own = [gene for gene in plain if gene[2] in {"", species}]
    same = species_of([gene[0] for gene in own], [gene[1] for gene in own]) == species
    if same and species in {"human", "mouse"}:
        table = gene_table(species)
        steps += [lambda gene: (table.folded.get(gene[0].lower(), ""),), lambda gene: _identify(gene, table)]
    for step in steps:
        free = [at for at in places if at not in matched and at not in ambiguous]
        _assign(step, free, file, known, {*ids, *matched.values()}, matched, ambiguous)
    return Derived(matched, frozenset(ambiguous))


def _identify(gene: Name, table: GeneTable) -> tuple[str, ...]:
    symbol, ensembl = gene
    return (ensembl,) if ensembl else table.find(symbol)


def _assign(
    keys_of: Callable[[Name], Sequence[str]],
    free: Iterable[int],
    file: Sequence[Name],
    known: Sequence[Name],
    taken: set[int],
    matched: dict[int, int],
    ambiguous: set[int],
) -> None:
    """Match the genes `free` of the file that share a key with one gene of the vocabulary, each other's only one."""
    owners: dict[str, list[int]] = defaultdict(list)
    for gene, name in enumerate(known, start=1):
        for key in keys_of(name):
            owners[key].append(gene)
    owners.pop("", None)
    claims: dict[int, list[int]] = defaultdict(list)
    for at in free:
        keys = keys_of(file[at])
        # Two genes with different Ensembl ids are different genes, whatever their symbols.
        genes = [gene for key in keys for gene in owners.get(key, ()) if not _differ(file[at], known[gene - 1])]
        if len(genes) == 1 and len(keys) == 1:
            claims[genes[0]].append(at)
        elif genes:
            ambiguous.add(at)
    for gene, places in claims.items():
        if len(places) == 1 and gene not in taken and len(keys_of(known[gene - 1])) == 1:
            matched[places[0]] = gene
        else:
            ambiguous.update(places)


def _differ(one: Name, other: Name) -> bool:
    return bool(one[1] and other[1] and one[1] != other[1])
