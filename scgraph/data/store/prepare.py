"""From files to a store: read twice, in blocks, first for the vocabulary, then to write."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.patterns import expand_patterns
from scgraph.data.files.stream import CellStream
from scgraph.data.sampling.hashing import row_hashes
from scgraph.data.sets.hvg import highly_variable
from scgraph.data.store.disk import VOCABULARY, open_store
from scgraph.data.store.store import match_note, rows_on
from scgraph.data.store.writing import SHARD_CELLS, StoreWriter, new_store_folder
from scgraph.data.vocabulary import Vocabulary
from scgraph.errors import ConfigError, DataError, ModelFileError, OutputError, argument
from scgraph.reporting.bars import progress_bars

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scgraph.data.vocabulary import GeneMatch

__all__ = ["check_store", "prepare", "read_vocabulary"]


def prepare(
    files: Sequence[str | Path],
    *,
    out: str | Path,
    vocabulary: str | Path | Vocabulary | None = None,
    n_top_genes: int | None = None,
    min_cells: int = 1,
    min_matched: float = 0.3,
    layer: str | None = None,
    values: str | None = None,
    obs_value_filter: str | None = None,
    shard_cells: int = SHARD_CELLS,
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the cells of files into a store; see `CellStore.open`.

    Files are read in blocks, so they and the store may be larger than memory (a matrix stored by gene is read
    whole). The store holds what `CellStore.concat` of `CellStore.from_cells` of the files would hold. It
    appears whole, under its name, or not at all.

    Args:
        files: Cells, as `scgraph.data.read_cells` takes them from a path, in the order of their cells in the store; or
            patterns such as `"atlas/*.h5ad"`, each for the files that match, sorted by name.
        out: Folder of the store.
        vocabulary: Genes of the store: a vocabulary, a folder of a saved model or of a store, or a .tsv file as they
            hold it. None unites the genes of the files.
        n_top_genes: Keep the highly variable of the united genes only; one more pass over the files.
        min_cells: Keep a gene of the united ones where so many cells express it.
        min_matched: Share of the vocabulary, or else of each file's genes and values, that must match.
        layer: Layer to read instead of X; `"raw"` reads `.raw`.
        values: What the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        obs_value_filter: Cells of TileDB-SOMA experiments to write, such as `'tissue == "blood"'`; see
            `scgraph.data.read_cells`.
        shard_cells: Cells of a shard.
        overwrite: Replace a store in `out`.
        show_progress: Show a bar.
        say: Told what was read.

    Returns:
        The manifest.

    Raises:
        ConfigError: A number is out of range, or a given vocabulary is to be cut.
        DataError: A file cannot be used as it is, or too few genes match.
        ModelFileError: The vocabulary cannot be read.
        OutputError: `out` cannot be written to; said before the files are read where it can be.
    """
    if n_top_genes is not None and n_top_genes < 1:
        raise ConfigError(f"{argument('n_top_genes')} must be 1 or more, not {n_top_genes}.")
    if shard_cells < 1:
        raise ConfigError(f"{argument('shard_cells')} must be 1 or more, not {shard_cells}.")
    if vocabulary is not None and (n_top_genes is not None or min_cells > 1):
        raise ConfigError(
            f"A vocabulary that is given is taken whole: leave {argument('n_top_genes')} and "
            f"{argument('min_cells')} out."
        )
    if not files:
        raise DataError("prepare needs at least one file of cells.")
    files = expand_patterns(files)
    given = vocabulary if isinstance(vocabulary, Vocabulary) or vocabulary is None else read_vocabulary(vocabulary)
    with new_store_folder(out, overwrite=overwrite) as folder, progress_bars(show_progress) as step:
        streams = []
        for file in files:
            tick = step(f"checking {Path(file).name}")
            # Of several files the text of one is let go before the next is read.
            hold = len(files) == 1
            stream = CellStream(
                file, layer=layer, values=values, hold=hold, tick=tick, obs_value_filter=obs_value_filter
            )
            for note in stream.notes:
                say(f"{stream.name}: {note}")
            streams.append(stream)
        genes = given or _united(streams, n_top_genes, min_cells)
        matches = [genes.require(stream, min_matched=min_matched) for stream in streams]
        _check_space(folder, sum(8 * stream.entries + 16 * len(stream) for stream in streams), out)
        writer = StoreWriter(folder, genes, shard_cells=shard_cells, out=out)
        try:
            sources = []
            for number, (stream, match) in enumerate(zip(streams, matches, strict=True)):
                empty = _write(writer, stream, match, number, step(f"writing {stream.name}"))
                note = match_note(match, empty)
                say(f"{stream.name}: {note}")
                sources.append({**stream.manifest, "notes": list(stream.notes), "match": note})
            return writer.finish(sources)
        finally:
            writer.abandon()


def check_store(path: str | Path) -> dict[str, Any]:
    """Compare all checksums of a store and look at every row; return its manifest.

    Raises:
        DataError: A file is missing or damaged; names it.
    """
    return open_store(path, verify=True).manifest


def read_vocabulary(path: str | Path) -> Vocabulary:
    """Read the vocabulary of a saved model, of a store or of a .tsv file.

    Raises:
        ModelFileError: There is none, or it is damaged; names the file.
    """
    path = Path(path)
    file = path / VOCABULARY if path.is_dir() else path
    try:
        return Vocabulary.from_tsv(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(f"{file}: there is no such file. Name a model, a store or a vocabulary.tsv.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{file}: cannot be read as a vocabulary ({error}).") from error
    except ModelFileError as error:
        raise ModelFileError(f"{file}: {error}") from error


def _united(streams: Sequence[CellStream], n_top: int | None, min_cells: int) -> Vocabulary:
    if n_top is None:
        return Vocabulary.from_cells(streams, min_cells=min_cells)
    return highly_variable(streams, n_top, min_cells=min_cells)


def _write(
    writer: StoreWriter, stream: CellStream, match: GeneMatch, number: int, tick: Callable[[int, int], None]
) -> int:
    """Write the cells of a file and return how many express no gene of the vocabulary."""
    empty = done = 0
    for block in stream.blocks():
        indptr, genes, values = rows_on(match, block)
        writer.add(indptr, genes, values, row_hashes(indptr, genes, values.view(np.uint32)), source=number)
        empty += int((np.diff(indptr) == 0).sum())
        done += len(block)
        tick(done, len(stream))
    return empty


def _check_space(folder: Path, needed: int, out: str | Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{out}: its disk has {free / 1e9:,.1f} GB left and up to {needed / 1e9:,.1f} GB are needed. Free some "
            "space or choose another disk."
        )
