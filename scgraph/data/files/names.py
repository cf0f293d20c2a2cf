"""What the entries of `var` are called: Ensembl ids, symbols, or neither."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "check_unique",
    "columns_called",
    "ensembl_id",
    "ensembl_ids",
    "examples",
    "gene_names",
    "is_date",
    "plain",
    "species",
]

# GENCODE marks the copies on Y of the pseudoautosomal genes after the version; they are other genes.
_ENSEMBL = re.compile(r"(ENS[A-Z]{0,4}G\d{6,})(?:\.\d+)?(_PAR_Y)?")
_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
_DATE = re.compile(rf"\d{{1,2}}-(?:{_MONTH})|(?:{_MONTH})-\d{{1,2}}|\d{{4}}-\d\d-\d\d(?: 00:00:00)?", re.IGNORECASE)

_ENSEMBL_COLUMNS = (
    "feature_id",
    "gene_ids",
    "gene_id",
    "ensembl_id",
    "ensembl_ids",
    "ensembl_gene_id",
    "ensembl",
    "ensembl_gene",
    "ensg",
)
_SYMBOL_COLUMNS = (
    "feature_name",
    "gene_symbols",
    "gene_symbol",
    "symbol",
    "symbols",
    "hgnc_symbol",
    "gene_name",
    "gene_names",
    "gene_short_name",
)
_MISSING = {"nan", "none", "<na>"}
"""What a missing name becomes where a table was made text."""

_SPECIES = {
    "ENSG": "human",
    "ENSMUSG": "mouse",
    "ENSRNOG": "rat",
    "ENSDARG": "zebrafish",
    "ENSMMUG": "macaque",
}


def ensembl_id(name: str) -> str:
    """Return the Ensembl gene id without its version, or `""` for any other name.

    >>> ensembl_id("ENSG00000167286.10"), ensembl_id("CD3D")
    ('ENSG00000167286', '')
    """
    parts = _ENSEMBL.fullmatch(name)
    return parts[1] + (parts[2] or "") if parts else ""


def is_date(name: str) -> bool:
    """Tell whether a spreadsheet made a date of this name.

    >>> is_date("1-Mar"), is_date("MARCHF1")
    (True, False)
    """
    return _DATE.fullmatch(name) is not None


def species(ids: Iterable[str]) -> str:
    """Name the species whose Ensembl prefix most of `ids` carry, `""` where there is none."""
    prefixes = Counter(re.sub(r"\d.*", "", gene) for gene in ids if gene)
    most = max(prefixes, key=prefixes.__getitem__, default="")
    return _SPECIES.get(most, most)


def examples(names: Iterable[str], limit: int = 3) -> str:
    """Quote the first names for a message.

    >>> examples(["a", "b", "c", "d"])
    "'a', 'b', 'c', ..."
    """
    listed = list(names)
    return ", ".join(repr(str(name)) for name in listed[:limit]) + (", ..." if len(listed) > limit else "")


def check_unique(names: Sequence[str], where: str, what: str, remedy: str) -> None:
    """Refuse names that stand twice.

    Raises:
        DataError: Some name stands twice; the message gives how many, examples and `remedy`.
    """
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        dates = [name for name in twice if is_date(name)]
        hint = f" {examples(dates)} are dates that a spreadsheet made of gene names." if dates else ""
        raise DataError(f"{where}: {len(twice):,} {what} stand more than once ({examples(twice)}).{hint} {remedy}")


def plain(name: object) -> str:
    """Return a name as text.

    >>> plain(b"CD3D"), plain(7)
    ('CD3D', '7')
    """
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def columns_called(table: pd.DataFrame, known: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns with these names as text, by their own names and in the order of `known`.

    Case, blanks and the `-0` that joining tables appends do not matter; what says nothing is `""`.
    """
    keys = [re.sub(r"_\d+$", "", re.sub(r"\W+", "_", str(name).strip().lower())) for name in table.columns]
    places = [place for one in known for place, key in enumerate(keys) if key == one]
    return {str(table.columns[place]): _texts(table.iloc[:, place]) for place in places}


def ensembl_ids(var: pd.DataFrame) -> list[str]:
    """Return the Ensembl id of every entry of `var`, `""` where it has none, wherever it stands.

    The index is looked at first, then the columns for ids, then those for symbols.
    """
    columns = columns_called(var, _ENSEMBL_COLUMNS + _SYMBOL_COLUMNS).values()
    rows = zip([plain(name) for name in var.index], *columns, strict=True)
    return [next(filter(None, map(ensembl_id, names)), "") for names in rows]


def gene_names(
    var: pd.DataFrame, genes: NDArray[np.int64], where: str
) -> tuple[NDArray[np.str_], NDArray[np.str_], list[str]]:
    """Tell the symbol and the Ensembl id of the entries `genes` of `var`, each entry by its own kind.

    Both are taken from wherever they stand: ids from the index, else from a column; symbols from a column for them,
    else from the index, else from a column for ids. A name that would stand for two entries is kept for the first
    alone.

    Returns:
        Symbols `[n_genes]`, Ensembl ids `[n_genes]`, both `""` where unknown, and notes.

    Raises:
        DataError: Names stand twice, are dates, or there are none.
    """
    numbered = [plain(name) for name in var.index] == [str(position) for position in range(len(var))]
    var = var.iloc[genes]
    index = [plain(name) for name in var.index]
    remedy = "Merge them or run adata.var_names_make_unique()."
    check_unique(index, where, "gene names (var_names)", remedy)
    own = [ensembl_id(name) for name in index]
    check_unique([name for name in own if name], where, "Ensembl ids, once the version is off,", "Merge them.")
    ensembl, repeated = _first_only(ensembl_ids(var))

    # A symbol that a column gives to two entries says less than the unique index does.
    named = [_first_only(column)[0] for column in columns_called(var, _SYMBOL_COLUMNS).values()]
    coded = [
        ["" if name.isdigit() or name.startswith("ENS") else name for name in _first_only(column)[0]]
        for column in columns_called(var, _ENSEMBL_COLUMNS).values()
    ]
    rows = zip(*named, [""] * len(index) if numbered else index, *coded, strict=True)
    symbols, _ = _first_only([next((name for name in names if name and not ensembl_id(name)), "") for names in rows])
    if not any(symbols) and not any(ensembl):
        raise DataError(
            f"{where}: the genes have no names (var_names are only numbers). Set adata.var_names to gene symbols or "
            "Ensembl ids."
        )
    dates = [symbol for symbol, known in zip(symbols, ensembl, strict=True) if not known and is_date(symbol)]
    if dates:
        raise DataError(
            f"{where}: a spreadsheet made dates of {len(dates):,} gene names ({examples(dates)}). Restore them from "
            "the source of the file (1-Mar was MARCHF1 or MTARC1), or leave these genes out."
        )
    notes = [f"{repeated:,} Ensembl ids of the var column stand twice: only the first is used"] if repeated else []
    nameless = sum(not (symbol or known) for symbol, known in zip(symbols, ensembl, strict=True))
    if nameless:
        notes.append(f"{nameless:,} of {len(index):,} genes have neither symbol nor Ensembl id: no model can use them")
    return np.asarray(symbols, dtype=np.str_), np.asarray(ensembl, dtype=np.str_), notes


def _texts(column: pd.Series) -> list[str]:
    texts = ("" if missing else plain(value).strip() for value, missing in zip(column, column.isna(), strict=True))
    return ["" if text.lower() in _MISSING else text for text in texts]


def _first_only(names: list[str]) -> tuple[list[str], int]:
    """Blank every later occurrence of a name; return the names and how many were blanked."""
    first = {name: at for at, name in reversed(list(enumerate(names)))}
    unique = [name if first[name] == at else "" for at, name in enumerate(names)]
    return unique, sum(name != was for name, was in zip(unique, names, strict=True))
