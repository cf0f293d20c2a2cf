"""Which genes a graph is made of: those asked for, those that cells express, those that training has seen."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scgraph.errors import DataError, argument
from scgraph.genes.enrichment.networks import expressed_genes
from scgraph.genes.enrichment.values import CellValues

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from scgraph.data import Cells, Vocabulary
    from scgraph.data.files.stream import CellStream
    from scgraph.genes.tables import GeneTables

__all__ = ["choose_genes", "named_genes"]


def choose_genes(
    tables: GeneTables,
    vocabulary: Vocabulary,
    *,
    genes: str | Path | Sequence[str] | None = None,
    cells: Cells | CellStream | None = None,
    min_share: float = 0.05,
    say: Callable[[str], None] = lambda _: None,
) -> NDArray[np.int64]:
    """Return the positions of the genes of a graph, ascending.

    Genes that are named stay, seen by training or not. Otherwise those that training never saw are left out, where
    that can be told, and with `cells` those that fewer than `min_share` of them express.

    Raises:
        DataError: a name is unknown, or fewer than two genes are left.
        ConfigError: `min_share` is no share.
    """
    seen = np.ones(len(tables), dtype=bool) if tables.seen is None else tables.seen
    if genes is not None:
        kept = named_genes(vocabulary, genes, say=say)
        unseen = int((~seen[kept]).sum())
        if unseen:
            say(f"note: {unseen:,} of the genes asked for were in no training cell: their rows are random numbers")
    else:
        kept = np.flatnonzero(seen)
        if tables.seen is None:
            say(
                "note: the tables do not go back to the recorded seed, so it cannot be told which genes training has "
                f"seen: all genes of the vocabulary are taken. {argument('data')} takes those that your cells express."
            )
        elif len(kept) < len(seen):
            say(f"note: {len(seen) - len(kept):,} of {len(seen):,} genes were in no training cell and are left out")
    if cells is not None:
        values = CellValues(cells, vocabulary)
        say(values.note)
        kept = np.intersect1d(kept, expressed_genes(values.detected, values.cells, min_share))
        say(f"{len(kept):,} genes are expressed by {min_share:.2%} of the cells or more")
    elif genes is None:
        say(
            f"{len(kept):,} genes, rarely expressed ones among them: their edges rest on few cells. "
            f"Cells of your own leave them out: {argument('data')}."
        )
    if len(kept) < 2:
        raise DataError(
            f"{argument('genes')}: a graph needs at least two genes, and {len(kept)} are left. Ask for more."
        )
    return kept


def named_genes(
    vocabulary: Vocabulary, genes: str | Path | Sequence[str], *, say: Callable[[str], None]
) -> NDArray[np.int64]:
    """Return the positions of named genes, by symbol or Ensembl id; unknown names of a file are left out aloud.

    Raises:
        DataError: the file cannot be read, or a typed name, or every name of a file, is unknown.
    """
    path = _as_file(genes)
    if path is not None:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise DataError(
                f"{path}: cannot be read ({reason}). Give one gene a line, or names with commas."
            ) from error
        names = [line.split("\t")[0].strip() for line in lines]
    else:
        names = [name.strip() for name in (genes.split(",") if isinstance(genes, str) else map(str, genes))]  # type: ignore[arg-type]
    names = list(dict.fromkeys(name for name in names if name))
    places = {name: at for at, name in reversed(list(enumerate(vocabulary.symbols))) if name}
    places |= {name: at for at, name in enumerate(vocabulary.ensembl) if name}
    unknown = [name for name in names if name not in places]
    if not names:
        raise DataError(
            f"{argument('genes')}: none is named. Give one gene a line in a file, or names with commas between."
        )
    if unknown and (path is None or len(unknown) == len(names)):
        near = get_close_matches(unknown[0].upper(), {name.upper(): name for name in places}, n=1, cutoff=0.5)
        hint = f" Did you mean {next(name for name in places if name.upper() == near[0])!r}?" if near else ""
        where = f"genes of {path}" if path is not None else argument("genes")
        raise DataError(
            f"{where}: the model does not know {len(unknown):,} of {len(names):,} ({', '.join(unknown[:5])}).{hint}"
        )
    if unknown:
        shown = ", ".join(unknown[:5])
        say(f"note: {len(unknown):,} of {len(names):,} genes of {path} are unknown to the model: {shown}")
    return np.unique([places[name] for name in names if name in places]).astype(np.int64)


def _as_file(genes: str | Path | Sequence[str]) -> Path | None:
    """Return the file that is meant: a path, or text without commas that names a file or ends like one."""
    if isinstance(genes, Path):
        return genes
    if not isinstance(genes, str) or "," in genes:
        return None
    path = Path(genes)
    return path if path.suffix in {".txt", ".tsv", ".csv"} or path.is_file() else None
