"""Three tables become one screen: pairs of drugs on cell lines with a score, expression of the lines, structures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import read_cells
from scgraph.errors import DataError, argument, did_you_mean, setting

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.data.cells import Cells

__all__ = ["DrugScreen", "read_drug_screen"]

FORM = {
    "combinations": "drug_a, drug_b, cell_line and a score",
    "drugs": "drug and smiles",
}
LEAST_GENES = 2


@dataclass(frozen=True, eq=False)
class DrugScreen:
    """Rows are pairs of drugs on cell lines; the drugs of a pair have no order.

    Attributes:
        drugs: names, ``[D]``.
        smiles: structures, ``[D]``.
        lines: names, ``[L]``.
        expression: log1p of values per 10,000, ``[L, G]``.
        symbols: names of the genes, ``[G]``.
        pairs: numbers of the two drugs, the smaller first, ``[N, 2]``.
        line: number of the line, ``[N]``.
        score: ``[N]``.
        notes: what must be said aloud.
        manifest: where the expression came from.
    """

    drugs: tuple[str, ...]
    smiles: tuple[str, ...]
    lines: tuple[str, ...]
    expression: NDArray[np.float32]
    symbols: tuple[str, ...]
    pairs: NDArray[np.int64]
    line: NDArray[np.int64]
    score: NDArray[np.float64]
    notes: tuple[str, ...]
    manifest: dict[str, object]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.score)

    @property
    def pair(self) -> NDArray[np.int64]:
        """Number of the pair of every row, ``[N]``."""
        found: NDArray[np.int64] = np.unique(self.pairs, axis=0, return_inverse=True)[1]
        return found.reshape(-1)


def read_drug_screen(
    combinations: str | Path | pd.DataFrame,
    lines: str | Path | AnnData,
    drugs: str | Path | pd.DataFrame,
    *,
    score: str = "synergy",
    layer: str | None = None,
    values: str | None = None,
) -> DrugScreen:
    """Read the tables, check them, and leave out the drugs and lines that no combination has.

    Args:
        combinations: a table with columns ``drug_a``, ``drug_b``, ``cell_line`` and the score.
        lines: expression, a row a cell line under the name that `combinations` calls it.
        drugs: a table with columns ``drug`` and ``smiles``.
        score: column of the score.
        layer: layer of `lines` to read instead of X.
        values: what the values of `lines` are, see `scgraph.data.read_cells`.

    Raises:
        DataError: a file or a column is missing, a drug or line stands in no table, a drug is paired with itself, a
            score is no number, all scores are equal, or one combination has two scores.
    """
    rows, where = _table(combinations, "combinations", ("drug_a", "drug_b", "cell_line", score))
    listed, place = _table(drugs, "drugs", ("drug", "smiles"))
    smiles = _smiles(listed, place)
    cells = read_cells(lines, layer=layer, values=values)
    known = [str(name) for name in cells.obs_names]
    named = {name: rows[name].to_numpy() for name in ("drug_a", "drug_b", "cell_line")}
    for name in ("drug_a", "drug_b"):
        _all_known(named[name], smiles, f"{where}: {name}", f"{place} ({argument('drugs')})")
    _all_known(named["cell_line"], known, f"{where}: cell_line", f"{cells.name} ({argument('lines')})")
    scores = _scores(rows[score], where)
    itself = np.flatnonzero(named["drug_a"] == named["drug_b"])
    if len(itself):
        raise DataError(
            f"{where}: {named['drug_a'][itself[0]]} is paired with itself (row {itself[0] + 1}). Leave such rows out."
        )
    used = sorted({*named["drug_a"], *named["drug_b"]})
    used_lines = [name for name in known if name in set(named["cell_line"])]
    number = {name: at for at, name in enumerate(used)}
    pairs = np.stack([[number[name] for name in named[column]] for column in ("drug_a", "drug_b")], axis=1)
    pairs = np.sort(pairs, axis=1).astype(np.int64)
    line_number = {name: at for at, name in enumerate(used_lines)}
    line = np.asarray([line_number[name] for name in named["cell_line"]], dtype=np.int64)
    kept = _without_repeats(pairs, line, scores, where, used, used_lines)
    places = {name: at for at, name in enumerate(known)}
    expression = cells.normalized()[[places[name] for name in used_lines]].toarray().astype(np.float32)
    varies = np.ptp(expression, axis=0) > 0
    if varies.sum() < LEAST_GENES:
        raise DataError(f"{cells.name}: {int(varies.sum())} genes differ between the lines; nothing tells them apart.")
    screen = DrugScreen(
        tuple(used),
        tuple(smiles[name] for name in used),
        tuple(used_lines),
        np.ascontiguousarray(expression[:, varies]),
        tuple(_names(cells, varies)),
        pairs[kept],
        line[kept],
        scores[kept],
        (),
        dict(cells.manifest),
    )
    notes = [
        f"{len(screen):,} rows: {len(np.unique(screen.pair)):,} pairs of {len(used)} drugs on {len(used_lines)} lines, "
        f"{len(screen.symbols):,} genes that differ between lines",
        *cells.notes,
    ]
    if len(kept) < len(line):
        notes.append(f"{len(line) - len(kept):,} rows repeat another with the same score and are left out")
    for left, what in ((len(smiles) - len(used), "drugs"), (len(known) - len(used_lines), "lines")):
        if left:
            notes.append(f"{left} {what} stand in no combination and are left out")
    return DrugScreen(**{**vars(screen), "notes": tuple(notes)})


def _table(source: str | Path | pd.DataFrame, what: str, columns: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Read a table, names as text, and say what it is called in messages."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        table, where = source.reset_index(drop=True), what
    else:
        path, where = Path(source), str(source)
        separator = "\t" if path.suffix in (".tsv", ".txt") else ","
        # Names such as NA or 7 are names: only the score is a number.
        texts: dict[Hashable, type[str]] = {
            name: str for name in columns if name in ("drug_a", "drug_b", "cell_line", "drug", "smiles")
        }
        try:
            table = pd.read_csv(path, sep=separator, dtype=texts, keep_default_na=False)
        except FileNotFoundError as error:
            raise DataError(f"{where}: there is no such file.") from error
        except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise DataError(f"{where}: cannot be read as a table with commas: {error}") from error
    missing = [name for name in columns if name not in table]
    if missing:
        known = [str(name) for name in table.columns]
        hint = f" Name the column of the score with {setting('score', 'COLUMN')}." if missing[-1] == columns[-1] else ""
        raise DataError(
            f"{where}: has no column {missing[0]!r}.{did_you_mean(missing[0], known) if known else ''} It needs "
            f"{FORM[what]}.{hint if what == 'combinations' else ''}"
        )
    if not len(table):
        raise DataError(f"{where}: has no row.")
    return table, where


def _smiles(table: pd.DataFrame, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in zip(table["drug"].astype(str), table["smiles"].astype(str), strict=True):
        if found.setdefault(name, text) != text:
            raise DataError(f"{where}: {name} stands twice, with different SMILES. Keep one.")
    return found


def _all_known(names: NDArray[np.object_], known: Sequence[str] | dict[str, str], where: str, place: str) -> None:
    missing = sorted({str(name) for name in names}.difference(known))
    if missing:
        shown = ", ".join(repr(name) for name in missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise DataError(
            f"{where}: {len(missing)} name{'s' * (len(missing) != 1)} not in {place}: {shown}."
            f"{did_you_mean(missing[0], known)}"
        )


def _scores(column: pd.Series[float], where: str) -> NDArray[np.float64]:
    import pandas as pd

    scores = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise DataError(
            f"{where}: {column.name} of row {wrong[0] + 1} is {str(column.iloc[wrong[0]])!r}, not a number "
            f"({len(wrong):,} such rows). Leave them out."
        )
    if np.ptp(scores) == 0:
        raise DataError(f"{where}: all {len(scores):,} scores in {column.name} are {scores[0]:g}; there is no order.")
    return scores


def _without_repeats(
    pairs: NDArray[np.int64],
    line: NDArray[np.int64],
    scores: NDArray[np.float64],
    where: str,
    drugs: Sequence[str],
    lines: Sequence[str],
) -> NDArray[np.int64]:
    """Rows that are the first of their combination."""
    keys = np.column_stack([pairs, line])
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    differ = np.flatnonzero(scores != scores[first[group.reshape(-1)]])
    if len(differ):
        at = differ[0]
        one, other = (drugs[number] for number in pairs[at])
        raise DataError(
            f"{where}: {one} and {other} on {lines[line[at]]} have several scores that differ "
            f"({scores[first[group.reshape(-1)[at]]]:g}, {scores[at]:g}; {len(differ):,} such rows). Average the "
            "replicates first."
        )
    return np.sort(first)


def _names(cells: Cells, kept: NDArray[np.bool_]) -> list[str]:
    either = zip(cells.symbols[kept], cells.ensembl[kept], strict=True)
    return [str(symbol or ensembl) for symbol, ensembl in either]
