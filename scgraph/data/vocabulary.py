"""The ordered genes that a model knows, and how the genes of a file are found among them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from scgraph.data.files.names import check_unique, examples
from scgraph.data.identifiers import species_of
from scgraph.data.matching import derive
from scgraph.display import short_repr
from scgraph.errors import DataError, ModelFileError, argument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["GeneMatch", "GeneNames", "GeneSource", "Vocabulary"]

_HEADER = "id\tsymbol\tensembl"
_PANEL = 1 / 3
"""A file with a smaller share of a model's genes is told that its vectors are those of a panel."""

_BY = {"ensembl": "Ensembl id", "symbol": "symbol", "mixed": "Ensembl id or symbol"}


class GeneNames(Protocol):
    """Genes that can be found in a vocabulary."""

    @property
    def symbols(self) -> NDArray[np.str_]:
        """Gene symbols `[n_genes]`, `""` where unknown."""

    @property
    def ensembl(self) -> NDArray[np.str_]:
        """Ensembl ids `[n_genes]`, `""` where unknown."""


class GeneSource(GeneNames, Protocol):
    """Cells as a vocabulary sees them: `Cells`, or a file that is read in blocks."""

    @property
    def name(self) -> str:
        """Short name."""

    @property
    def manifest(self) -> dict[str, Any]:
        """Where the cells come from."""

    def expressed(self) -> NDArray[np.int64]:
        """Count the cells that express each gene `[n_genes]`."""

    def sums(self) -> NDArray[np.float64]:
        """Add up the values of each gene `[n_genes]`, as they are stored."""


@short_repr
@dataclass(frozen=True, eq=False)
class GeneMatch:
    """The genes of a file among those of a vocabulary.

    Attributes:
        ids: Vocabulary id of every gene of the file, int32 `[n_genes]`; 0 = not in the vocabulary.
        matched: How many genes of the vocabulary the file has.
        total: How many genes the vocabulary has.
        by: What they were matched by.
        derived: How many of them have another name in the file: another spelling, an older symbol, or a symbol in place
            of the Ensembl id.
        ambiguous: How many genes of the file stay unmatched as their name, or the gene it means, is claimed twice.
        share: Share of the file's values that the matched genes hold; None where the values were not asked.
        examples: Names of unmatched genes, first of the file, then of the vocabulary.
        ignoring_case: How many symbols would match if case were ignored. They are not matched: `Cd3d` is a
            mouse gene and `CD3D` a human one.
    """

    ids: NDArray[np.int32]
    matched: int
    total: int
    by: Literal["ensembl", "symbol", "mixed"]
    examples: tuple[tuple[str, ...], tuple[str, ...]]
    ignoring_case: int
    derived: int = 0
    ambiguous: int = 0
    share: float | None = None

    @property
    def of_file(self) -> float:
        """Share of the file's genes that matched."""
        return float((self.ids > 0).mean()) if len(self.ids) else 0.0

    def counts(self) -> str:
        """Say how many genes matched, of both sides where the file lacks some."""
        text = f"{self.matched:,} of {self.total:,} genes matched by {_BY[self.by]}"
        if self.matched < self.total:
            values = "" if self.share is None else f", {self.share:.1%} of its values"
            text += f" ({int((self.ids > 0).sum()):,} of {len(self.ids):,} of the file{values})"
        return text

    def __str__(self) -> str:
        """Say how many genes matched, how, and what to think of it."""
        text = self.counts()
        if self.derived:
            text += f"; {self.derived:,} have another name in the file"
        if self.ambiguous:
            text += f"; {self.ambiguous:,} genes of the file are left out as ambiguous"
        if 0 < self.matched < _PANEL * self.total:
            text += (
                "; the file holds less than a third of the model's genes: vectors of such a panel differ from those of "
                "whole cells"
            )
        return text


@short_repr
@dataclass(frozen=True)
class Vocabulary:
    """Ordered genes. Id 0 is padding; the genes are 1 to `len(vocabulary)`.

    Attributes:
        symbols: Gene symbols, `""` where unknown.
        ensembl: Ensembl ids without version, `""` where unknown.

    Raises:
        DataError: There is no gene, a gene has no name, or a gene stands twice.
    """

    symbols: tuple[str, ...]
    ensembl: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that every gene has a name of its own."""
        if not self.symbols:
            raise DataError("The vocabulary has no genes.")
        if len(self.symbols) != len(self.ensembl):
            raise DataError("A vocabulary needs as many symbols as Ensembl ids.")
        for symbol, ensembl in zip(self.symbols, self.ensembl, strict=True):
            if not symbol and not ensembl:
                raise DataError("A gene of the vocabulary has neither symbol nor Ensembl id.")
            if {"\t", "\n", "\r"} & {*symbol, *ensembl}:
                raise DataError(f"The gene name {symbol or ensembl!r} holds a tab or a line break.")
        keys = [ensembl or symbol for symbol, ensembl in zip(self.symbols, self.ensembl, strict=True)]
        check_unique(keys, "vocabulary", "genes", "Keep one of each.")

    def __len__(self) -> int:
        """Return the number of genes, padding not counted."""
        return len(self.symbols)

    @cached_property
    def sha256(self) -> str:
        """Hash of the ordered content."""
        return hashlib.sha256(self.to_tsv().encode()).hexdigest()

    @classmethod
    def from_cells(cls, sources: Sequence[GeneSource], *, min_cells: int = 1) -> Vocabulary:
        """Unite the genes of several files, aligned by Ensembl id, else by symbol.

        The order is that of the symbols, whatever the order of the files.

        Args:
            sources: What was read, at least one.
            min_cells: A gene is kept where it is expressed in so many cells of all files together.

        Raises:
            DataError: No gene is left.
        """
        if not sources:
            raise DataError("A vocabulary needs at least one data set.")
        symbol_of: dict[str, str] = {}
        lone: set[str] = set()
        for cells in sources:
            for symbol, ensembl in zip(cells.symbols.tolist(), cells.ensembl.tolist(), strict=True):
                if not ensembl:
                    lone.add(symbol)
                elif symbol and (not symbol_of.get(ensembl) or symbol < symbol_of[ensembl]):
                    symbol_of[ensembl] = symbol
                else:
                    symbol_of.setdefault(ensembl, "")
        pairs = [(symbol, ensembl) for ensembl, symbol in symbol_of.items()]
        pairs += [(symbol, "") for symbol in lone - {*symbol_of.values(), ""}]
        pairs.sort(key=lambda pair: (pair[0] or pair[1], pair[1]))
        union = cls(tuple(symbol for symbol, _ in pairs), tuple(ensembl for _, ensembl in pairs))
        expressed = np.zeros(len(union) + 1, dtype=np.int64)
        for cells in sources:
            np.add.at(expressed, union._exact(cells), cells.expressed())
        kept = np.flatnonzero(expressed[1:] >= min_cells)
        if not len(kept):
            names = ", ".join(cells.name for cells in sources)
            raise DataError(f"{names}: no gene is expressed in {min_cells:,} cells. Lower {argument('min_cells')}.")
        return union.subset(kept + 1)

    def subset(self, ids: NDArray[np.integer]) -> Vocabulary:
        """Return the vocabulary of the genes `ids` (1 to `len(self)`), in that order."""
        positions = (np.asarray(ids) - 1).tolist()
        return Vocabulary(tuple(self.symbols[at] for at in positions), tuple(self.ensembl[at] for at in positions))

    def names(self) -> tuple[str, ...]:
        """Return the symbol of every gene, or its Ensembl id where it has none."""
        return tuple(symbol or ensembl for symbol, ensembl in zip(self.symbols, self.ensembl, strict=True))

    def to_tsv(self) -> str:
        """Write one line a gene: id, symbol, Ensembl id."""
        lines = (
            f"{at}\t{symbol}\t{ensembl}"
            for at, (symbol, ensembl) in enumerate(zip(self.symbols, self.ensembl, strict=True), start=1)
        )
        return "\n".join([_HEADER, *lines]) + "\n"

    @classmethod
    def from_tsv(cls, text: str) -> Vocabulary:
        """Read what `to_tsv` wrote.

        Raises:
            ModelFileError: The text is damaged; the message names the line.
        """
        header, *lines = text.replace("\r\n", "\n").split("\n")
        if header != _HEADER:
            raise ModelFileError("vocabulary: the first line must be id, symbol, ensembl, divided by tabs.")
        if not lines or lines.pop() != "":
            raise ModelFileError("vocabulary: the last line is cut. Copy the model folder again.")
        rows = [line.split("\t") for line in lines]
        for at, row in enumerate(rows, start=1):
            if len(row) != 3 or row[0] != str(at):
                raise ModelFileError(f"vocabulary: line {at + 1} is damaged. Copy the model folder again.")
        try:
            return cls(tuple(row[1] for row in rows), tuple(row[2] for row in rows))
        except DataError as error:
            raise ModelFileError(f"vocabulary: {error}") from error

    def match(self, cells: GeneNames) -> GeneMatch:
        """Find each gene of the file: by Ensembl id, else by exact symbol, else as `scgraph.data.matching` derives it.

        Two genes with different Ensembl ids are different genes, whatever their symbols.
        """
        ids = self._exact(cells)
        theirs = tuple(zip(cells.symbols.tolist(), cells.ensembl.tolist(), strict=True))
        by_id = len({self._by_ensembl.get(ensembl, 0) for _, ensembl in theirs} - {0})
        derived = derive(theirs, tuple(zip(self.symbols, self.ensembl, strict=True)), tuple(ids.tolist()))
        for at, gene in derived.ids.items():
            ids[at] = gene
        taken = set(ids.tolist())
        matched = len(taken - {0})
        by: Literal["ensembl", "symbol", "mixed"] = "symbol"
        if by_id:
            by = "ensembl" if by_id == matched else "mixed"
        missing = [name for at, name in enumerate(self.names(), start=1) if at not in taken]
        foreign = [str(cells.symbols[at] or cells.ensembl[at]) for at in np.flatnonzero(ids == 0)[:1000]]
        lowered = {symbol.lower() for symbol in self.symbols if symbol}
        return GeneMatch(
            ids=ids,
            matched=matched,
            total=len(self),
            by=by,
            examples=(tuple(foreign[:5]), tuple(missing[:5])),
            ignoring_case=len(lowered & {symbol.lower() for symbol in cells.symbols.tolist() if symbol}),
            derived=len(derived.ids),
            ambiguous=len(derived.ambiguous),
        )

    def _exact(self, cells: GeneNames) -> NDArray[np.int32]:
        """Return the id of each gene of the file by Ensembl id, else by exact symbol, else 0."""
        gene_ids = [self._by_ensembl.get(ensembl, 0) for ensembl in cells.ensembl.tolist()]
        taken = set(gene_ids)
        for at, (symbol, ensembl) in enumerate(zip(cells.symbols.tolist(), cells.ensembl.tolist(), strict=True)):
            gene = 0 if gene_ids[at] else self._by_symbol.get(symbol, 0)
            if gene and gene not in taken and not (ensembl and self.ensembl[gene - 1]):
                gene_ids[at] = gene
                taken.add(gene)
        return np.asarray(gene_ids, dtype=np.int32)

    def require(self, cells: GeneSource, *, min_matched: float) -> GeneMatch:
        """Match, and refuse a file that has too few genes of the vocabulary and is too little known to it.

        Args:
            cells: What was read.
            min_matched: Share that must be known: of the vocabulary's genes, or else of the file's genes and of its
                values both.

        Raises:
            DataError: Less is known; the message gives matched/total of both sides, examples of both and the likely
                reason.
        """
        match = self.match(cells)
        sums = cells.sums()
        whole = float(sums.sum())
        match = replace(match, share=float(sums[match.ids > 0].sum()) / whole if whole else 0.0)
        assert match.share is not None
        if match.matched and max(match.matched / match.total, min(match.of_file, match.share)) >= min_matched:
            return match
        raise DataError(
            f"{cells.manifest.get('source', cells.name)}: only {match.counts()} "
            f"({match.matched}/{match.total}); of the model's genes, or of the file's genes and values, at least "
            f"{min_matched:.0%} are needed. Not in the vocabulary: "
            f"{examples(match.examples[0])}; not in the file: {examples(match.examples[1])}."
            f"{self.reason(cells, match)} A lower {argument('min_matched')} lets more through."
        )

    def is_of_other_species(self, cells: GeneNames, match: GeneMatch) -> bool:
        """Tell whether the genes of a file are those of another species, by their names or by their case."""
        theirs, mine = self._species(cells)
        return bool(theirs and mine and theirs != mine) or match.ignoring_case > 2 * match.matched

    def reason(self, cells: GeneNames, match: GeneMatch, *, sides: tuple[str, str] = ("file", "vocabulary")) -> str:
        """Guess why few genes match.

        Args:
            cells: Genes of a file.
            match: What was found of them.
            sides: What the file and the vocabulary are called.

        Returns:
            A sentence with a blank before it.
        """
        symbols, ensembl = cells.symbols.tolist(), cells.ensembl.tolist()
        (theirs, mine), (file, known) = self._species(cells), sides
        if theirs and mine and theirs != mine:
            return f" The genes of the {file} are {theirs}, those of the {known} {mine}."
        if theirs and theirs == mine and match.matched > match.ignoring_case / 2:
            return f" Both are {mine}: the {file} measures other genes than the {known} holds."
        if sum(symbol.isdigit() for symbol in symbols) > len(symbols) / 2:
            return f" The genes of the {file} are numbers, as of Entrez: name them by symbol or Ensembl id."
        if match.ignoring_case > 2 * match.matched:
            return (
                f" {match.ignoring_case:,} symbols would match if case were ignored: they are of another species "
                "(mouse Cd3d, human CD3D) or their case was changed. Name the genes by Ensembl id or in the case of "
                f"the {known}."
            )
        if any(ensembl) and not any(self.ensembl):
            return f" The {file} has Ensembl ids, the {known} symbols: add them as var['feature_name']."
        if any(self.ensembl) and not any(self.symbols):
            return f" The {known} has Ensembl ids, the {file} symbols: add the ids as var['feature_id']."
        return f" Use a {file} of the same species."

    def _species(self, cells: GeneNames) -> tuple[str, str]:
        """Tell the species of a file and of the vocabulary, `""` where nothing shows it."""
        return species_of(cells.symbols.tolist(), cells.ensembl.tolist()), species_of(self.symbols, self.ensembl)

    @cached_property
    def _by_ensembl(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.ensembl, start=1) if name}

    @cached_property
    def _by_symbol(self) -> dict[str, int]:
        ids: dict[str, int] = {}
        for at, name in enumerate(self.symbols, start=1):
            if name:
                ids.setdefault(name, at)
        return ids
