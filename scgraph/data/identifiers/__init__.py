"""What genes are and were called: tables of Ensembl ids and symbols that ship with scgraph (see README.md there)."""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from scgraph.data.files.names import species

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["GeneTable", "gene_table", "species_of"]

_TABLES = ("human", "mouse")


@dataclass(frozen=True)
class GeneTable:
    """The Ensembl ids of symbols.

    Attributes:
        symbols: Ensembl ids of every symbol, more than one where several genes have it.
        previous: The same of every symbol that a gene had before and no gene has now.
        folded: Symbol of every lower-case symbol, where one gene has it.
    """

    symbols: dict[str, tuple[str, ...]]
    previous: dict[str, tuple[str, ...]]
    folded: dict[str, str]

    def find(self, symbol: str) -> tuple[str, ...]:
        """Return the Ensembl ids of the genes that have a symbol, else of those that had it.

        >>> gene_table("human").find("H3F3A"), gene_table("human").find("H3-3A"), gene_table("human").find("NONE-1")
        (('ENSG00000163041',), ('ENSG00000163041',), ())
        """
        return self.symbols.get(symbol) or self.previous.get(symbol, ())


@cache
def gene_table(name: str) -> GeneTable:
    """Read the table of a species, `"human"` or `"mouse"`."""
    text = gzip.decompress(files(__name__).joinpath(f"{name}.tsv.gz").read_bytes()).decode()
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    symbols = _genes((symbol, ensembl) for ensembl, symbol, _ in rows)
    previous = _genes((symbol, ensembl) for ensembl, _, former in rows for symbol in former.split("|") if symbol)
    times = Counter(symbol.lower() for symbol in symbols)
    return GeneTable(symbols, previous, {symbol.lower(): symbol for symbol in symbols if times[symbol.lower()] == 1})


def species_of(symbols: Sequence[str], ensembl: Sequence[str]) -> str:
    """Tell the species of genes by the prefix of their Ensembl ids, else by their symbols; `""` where neither shows it.

    >>> species_of(["CD3D", "LYZ"], ["", ""]), species_of(["Cd3d", "Lyz2"], ["", ""]), species_of(["A-1"], [""])
    ('human', 'mouse', '')
    """
    by_id = species(ensembl)
    if by_id:
        return by_id
    hits = {name: sum(symbol in gene_table(name).symbols for symbol in symbols) for name in _TABLES}
    first, second = sorted(_TABLES, key=hits.__getitem__, reverse=True)
    # Letters of one gene's name can be those of another species' gene; most of the names must not be.
    return first if hits[first] > 2 * hits[second] else ""


def _genes(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    genes: dict[str, set[str]] = defaultdict(set)
    for symbol, ensembl in pairs:
        genes[symbol].add(ensembl)
    return {symbol: tuple(sorted(ids)) for symbol, ids in genes.items()}
