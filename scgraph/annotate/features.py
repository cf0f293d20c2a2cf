"""From cells as they were read to the features that a classifier reads, and the genes that both sides have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import CellStore, Vocabulary
from scgraph.data.cells import log_normalized
from scgraph.data.files.names import examples
from scgraph.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.data import Cells
    from scgraph.data.vocabulary import GeneMatch, GeneSource
    from scgraph.representations.base import Representation

__all__ = ["FeatureMap", "check_genes", "restricted", "shared_genes", "store_on"]


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """From cells to features.

    Attributes:
        representation: of cells on the vocabulary.
        vocabulary: its genes.
        own_totals: whether values are shares of the counts of these genes, or of all genes of a file.
    """

    representation: Representation
    vocabulary: Vocabulary
    own_totals: bool

    def store(self, cells: Cells) -> CellStore:
        """Return cells on the vocabulary."""
        return store_on(cells, self.vocabulary, own_totals=self.own_totals)

    def __call__(self, cells: Cells) -> NDArray[np.float32]:
        """Return the features of cells, float32 `[n, C]`."""
        return self.representation(self.store(cells))


def store_on(cells: Cells, vocabulary: Vocabulary, *, own_totals: bool) -> CellStore:
    """Return cells on a vocabulary.

    With `own_totals` the counts of a cell are divided by their sum over the genes of the vocabulary alone.
    """
    return CellStore.from_cells(restricted(cells, vocabulary) if own_totals else cells, vocabulary, min_matched=0)


def restricted(cells: Cells, vocabulary: Vocabulary) -> Cells:
    """Return cells as if nothing but genes of a vocabulary had been measured.

    The values of a panel of a few hundred genes and of a whole transcriptome are then on one scale.
    """
    columns = np.flatnonzero(vocabulary.match(cells).ids)
    matrix = cells.matrix[:, columns]
    if cells.kind == "log1p":
        matrix = log_normalized(matrix, np.expm1(matrix.data.astype(np.float64)))
    return replace(cells, matrix=matrix, symbols=cells.symbols[columns], ensembl=cells.ensembl[columns])


def shared_genes(reference: Cells, query: GeneSource, *, min_matched: float) -> tuple[Vocabulary, str]:
    """Return the genes that both sides have and the reference expresses, and a sentence about them.

    Args:
        reference: labelled cells.
        query: cells without labels.
        min_matched: least share of the genes of the side that has fewer.

    Raises:
        DataError: there are too few; names the share of both sides and the likely reason.
    """
    genes = Vocabulary.from_cells([reference])
    match = genes.match(query)
    sides = (query.manifest["source"], len(query.symbols)), (reference.manifest["source"], len(genes))
    said = _in_common(match, *sides)
    if (
        genes.is_of_other_species(query, match)
        or match.matched < 2
        or match.matched < min_matched * min(len(query.symbols), len(genes))
    ):
        raise DataError(
            f"{sides[0][0]}: too few genes in common with {sides[1][0]}: {said}. At least {min_matched:.0%} of the "
            f"smaller side are needed. Only in the query: {examples(match.examples[0])}; only in the reference: "
            f"{examples(match.examples[1])}.{genes.reason(query, match, sides=('query', 'reference'))}"
        )
    return genes.subset(np.unique(match.ids[match.ids > 0])), said


def check_genes(vocabulary: Vocabulary, query: GeneSource, *, min_matched: float) -> str:
    """Return a sentence about the genes of a classifier that the query has.

    Raises:
        DataError: there are too few; names the share of both sides and the likely reason.
    """
    match = vocabulary.match(query)
    said = _in_common(match, (query.manifest["source"], len(query.symbols)), ("the classifier", len(vocabulary)))
    if vocabulary.is_of_other_species(query, match) or match.matched < 2 or match.matched < min_matched * match.total:
        raise DataError(
            f"{query.manifest['source']}: too few genes in common with the classifier: {said}. At least "
            f"{min_matched:.0%} of the genes of the classifier are needed. Not in the query: "
            f"{examples(match.examples[1])}.{vocabulary.reason(query, match, sides=('query', 'classifier'))}"
        )
    return said


def _in_common(match: GeneMatch, query: tuple[str, int], other: tuple[str, int]) -> str:
    shares = [f"{match.matched / max(size, 1):.0%} of the {size:,} of {name}" for name, size in (query, other)]
    return f"{match.matched:,} genes, {' and '.join(shares)}"
