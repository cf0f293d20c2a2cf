"""Which entries of `var` are genes, and which are antibodies, peaks or guides measured beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.files.names import columns_called, ensembl_ids, examples, gene_names, plain
from scgraph.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Genes", "read_genes"]

_COLUMNS = ("feature_types", "feature_type", "type", "modality")

_GENES = re.compile(
    r"gex|genes?|(gene |rna )?expression|((sc|sn)?rna|cdna)( seq)?|transcripts?|transcriptom(e|ics)"
    # What GENCODE, Ensembl and NCBI call genes by what they make.
    r"|protein coding( gene)?|([a-z0-9]+ )*\w*rna|(ig|tr) [a-z] gene|([a-z0-9]+ )*pseudogene|pseudo|antisense|tec"
    r"|sense (intronic|overlapping)|processed transcript|retained intron|non(sense mediated| stop) decay|ribozyme"
    r"|non coding|artifact"
)
_OTHERS = re.compile(
    r"\b(adts?|htos?|antibod(y|ies)|ab ?seq|antigens?|prot(eins?)?|cite|hash(tags?|ing)|multiplex(ing|ed)?|barcodes?"
    r"|atac|peaks?|chromatin|accessibility|crispr|guides?|s?grnas?|v ?d ?j|custom|controls?|codewords?|blanks?"
    r"|spike ?ins?|ercc|metabolites?|lipids?)\b"
)
_PEAK = re.compile(r"chr\w+[:_-]\d+[_-]\d+|[\w.]+:\d+-\d+", re.IGNORECASE)
_ANTIBODY = re.compile(r"(adt|hto|prot|hashtag)[_-].*|.*[_-](adt|hto|prot|total_?seq\w*)", re.IGNORECASE)


@dataclass(frozen=True)
class Genes:
    """The genes of a source.

    Attributes:
        columns: Their entries of `var`, ascending; None where all are genes.
        symbols: Gene symbols `[n_genes]`, `""` where unknown.
        ensembl: Ensembl ids without version `[n_genes]`, `""` where unknown.
        notes: What a person must be told.
    """

    columns: NDArray[np.int64] | None
    symbols: NDArray[np.str_]
    ensembl: NDArray[np.str_]
    notes: list[str]


def read_genes(var: pd.DataFrame, where: str) -> Genes:
    """Tell which entries of `var` are genes, and what they are called.

    A column `feature_types`, `feature_type`, `Type` or `modality` says it, in any of the usual spellings. Where none
    says anything of an entry, its Ensembl id or else its name does.

    Raises:
        DataError: A column holds a kind that is not known, no entry is a gene, or the genes have no usable names.
    """
    genes, notes = _are_genes(var, where)
    columns = np.flatnonzero(genes)
    symbols, ensembl, of_names = gene_names(var, columns, where)
    return Genes(None if genes.all() else columns, symbols, ensembl, [*of_names, *notes])


def _are_genes(var: pd.DataFrame, where: str) -> tuple[NDArray[np.bool_], list[str]]:
    kinds = {name: column for name, column in columns_called(var, _COLUMNS).items() if any(column)}
    others: set[str] = set()
    genes, other = np.zeros(len(var), dtype=bool), np.zeros(len(var), dtype=bool)
    for name, column in kinds.items():
        is_gene = {kind: _is_gene(kind, name, where) for kind in dict.fromkeys(column) if kind}
        others |= {kind for kind, yes in is_gene.items() if not yes}
        genes |= np.asarray([is_gene.get(kind, False) for kind in column])
        other |= np.asarray([not is_gene.get(kind, True) for kind in column])
    genes &= ~other
    silent = ~(genes | other)
    notes: list[str] = []
    if silent.any():
        shown = _genes_by_name(var, silent, typed=bool(kinds))
        if shown.any() and kinds:
            notes.append(f"{shown.sum():,} genes, of which var[{next(iter(kinds))!r}] says nothing, are kept")
        genes |= shown
    left = np.flatnonzero(~genes)
    if len(left) == len(var):
        listed = f" (var[{next(iter(kinds))!r}] says {examples(sorted(others))})" if others else ""
        raise DataError(
            f"{where}: none of its {len(var):,} features is a gene{listed}, such as "
            f"{plain(var.index[0])!r}. Give the file with the counts of the genes."
        )
    if len(left):
        what = examples(sorted(others)) if others else f"such as {plain(var.index[left[0]])!r}"
        notes.append(f"{len(left):,} features that are no genes ({what}) were left out")
    return genes, notes


def _is_gene(kind: str, column: str, where: str) -> bool:
    """Tell what a kind means.

    Raises:
        DataError: It is not known.
    """
    words = " ".join(re.findall("[a-z0-9]+", kind.lower()))
    # "sgRNA" and "CRISPR guide RNA" end as kinds of genes do, "protein coding" begins as antibodies do.
    if words.startswith("protein coding"):
        return True
    if _OTHERS.search(words):
        return False
    if _GENES.fullmatch(words):
        return True
    raise DataError(
        f"{where}: var[{column!r}] holds {kind!r}, which is not known as a kind of features. Write 'Gene Expression' "
        "for genes, 'Antibody Capture' or 'Peaks' for what is none; where the column means something else, rename it."
    )


def _genes_by_name(var: pd.DataFrame, silent: NDArray[np.bool_], *, typed: bool) -> NDArray[np.bool_]:
    """Tell which entries are genes of those that no column speaks of."""
    ids: NDArray[np.bool_] = np.asarray([bool(one) for one in ensembl_ids(var)]) & silent
    if typed and ids.any():
        return ids
    names = [plain(name) for name in var.index]
    features = np.asarray([bool(_PEAK.fullmatch(name) or _ANTIBODY.fullmatch(name)) for name in names])
    ids |= silent & ~features
    return ids
