"""The vectors of the cells of a file or of an AnnData object, and where they are written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data import CellStore, is_store
from scgraph.data.files.forms import GroupForm, open_form
from scgraph.data.files.names import examples
from scgraph.data.files.stored import damage
from scgraph.data.files.stream import CellStream
from scgraph.data.sampling.hashing import row_hashes
from scgraph.data.store.store import match_note, rows_on
from scgraph.data.store.stream import StoreStream
from scgraph.errors import ConfigError, DataError, argument, flag
from scgraph.files import check_hdf5_grows, check_new_file, file_atomic, table_bytes
from scgraph.models import load_model
from scgraph.models.hub import local_folder
from scgraph.models.saved import model_sha256
from scgraph.reporting.bars import progress_bars
from scgraph.system.ahead import ahead
from scgraph.train.copies import Place, adding, check_copy, check_place, copied, make_group, write_record
from scgraph.train.embedding import Embedder
from scgraph.train.partial import PartialVectors, opened
from scgraph.train.parts import Part
from scgraph.train.pretraining import as_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import h5py
    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.models import SavedModel
    from scgraph.train.pretraining import Pretrained

__all__ = ["OBSM_KEY", "VECTORS", "CellVectors", "embed", "embed_cells", "embed_file"]

OBSM_KEY = "X_scgraph"
"""Where the vectors of the cells go in `obsm`; a record of how they came about goes into `uns`."""

VECTORS = Place("obsm", OBSM_KEY, "scgraph", frozenset({"model", "vocabulary"}), "vectors of scgraph")
"""The same, as a place in a file."""


def embed(
    adata: AnnData,
    model: Pretrained | SavedModel | str | Path,
    *,
    layer: str | None = None,
    values: str | None = None,
    min_matched: float = 0.3,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the vectors of the cells into ``adata.obsm["X_scgraph"]`` and a record into ``adata.uns``.

    The vector of a cell depends on that cell alone: embedding a file equals embedding its pieces, in any
    order, to the last bit on a CPU. A cell without any count gets zeros, with a note.

    Args:
        adata: counts or log-normalised values; changed in place. Where it is backed by a file, or lazy, its matrix is
            read a block at a time.
        model: a folder, ``hf://org/name``, or what `scgraph.load_model` or `scgraph.pretrain` returned.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        min_matched: share of the model's genes, or else of the genes and values of `adata`, that must match.
        device: auto, cpu, cuda or cuda:N.
        allow_conv: convolutions of your own that the model may use.
        say: told what was read and how many genes matched.

    Returns:
        The record.

    Raises:
        ScgraphError: the data or the model cannot be used; see its subclasses.
    """
    saved = as_saved(model, allow_conv=allow_conv)
    stream = CellStream(adata, layer=layer, values=values)
    for note in stream.notes:
        say(note)
    vectors, matched = embed_cells(saved, stream, min_matched=min_matched, device=device, say=say)
    record = _record(saved, len(vectors), matched, layer)
    adata.obsm[OBSM_KEY] = vectors
    adata.uns["scgraph"] = record
    return record


def embed_file(
    data: str | Path,
    model: str | Path,
    *,
    out: str | Path | None = None,
    vectors: str | Path | None = None,
    part: str | None = None,
    layer: str | None = None,
    values: str | None = None,
    min_matched: float = 0.3,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Embed the cells of a file into a copy of it, or into a file of vectors alone; see `embed`.

    Cells are read, embedded and written in blocks, so that a file may be larger than memory. What is written appears
    whole or not at all. Until then the vectors stand in a folder beside it, ``OUT.partial``, from which `resume` goes
    on after a kill: the vectors are the same to the last bit on a CPU.

    Several processes, on one machine or several, share the work where each is given another `part`: each leaves its
    vectors in a folder of its own, ``OUT.partial-2-of-8``, and no file. The same call without `part` takes up what they
    have left, embeds what lacks, and writes the file.

    Args:
        data: a file, or for `vectors` a store too.
        model: a folder.
        out: an .h5ad file, the copy: byte for byte, whatever else it holds; what is no .h5ad file becomes one.
        vectors: an .h5ad file of the names and `obs` of the cells and their vectors, in place of `out`.
        part: which of how many ranges of cells to embed, as ``"2/8"``; no file is written then.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        min_matched: share of the model's genes, or else of the genes and values of the file, that must match.
        device: auto, cpu, cuda or cuda:N.
        allow_conv: convolutions of your own that the model may use.
        resume: go on with what an interrupted run has embedded.
        overwrite: replace the file, and what an interrupted run has embedded.
        show_progress: show a bar.
        say: told what was read and how many genes matched.

    Returns:
        The record.

    Raises:
        ConfigError: not one of `out` and `vectors` is named, or there is no such part.
        DataError: the file cannot be used as it is, or holds something else under the names that are written.
        OutputError: the file stands there already, or cannot be written; or what is there and would be taken up was
            begun with other cells or another model, or another process writes to it.
    """
    data = Path(data)
    if (out is None) == (vectors is None):
        raise ConfigError(
            f"Name one of {argument('out')}, a copy of the file with the vectors, and {argument('vectors')}, vectors "
            "alone."
        )
    alone = out is None
    place = Path(out or vectors or "")
    check_place(place, overwrite=overwrite)
    share = None if part is None else Part.parse(part)
    wanted = PartialVectors.check(place, share, resume=resume, overwrite=overwrite)
    if is_store(data) and not alone:
        raise DataError(
            f"{data}: is a store, which holds no tables to copy. Name a file with {argument('vectors')} in "
            f"place of {argument('out')}."
        )
    saved = load_model(model, allow_conv=allow_conv)
    if not alone:
        check_copy(data, place, VECTORS, width=2 * saved.model.width)  # once in the folder, once in the copy
    with progress_bars(show_progress) as begin:
        stream = _opened(data, layer, values, begin("reading cells"))
        for note in stream.notes:
            say(note)
        cells = CellVectors(saved, stream, min_matched=min_matched, device=device)
        identity = {
            "source": stream.manifest["sha256"],
            "layer": stream.layer,
            "values": values,
            "model": model_sha256(local_folder(model)),
            "device": cells.embedder.device.type,
        }
        shape = (len(stream.obs_names), saved.model.width)
        partials = [PartialVectors(place, shape, identity, part=one) for one in wanted]
        with opened(partials, resume=resume or wanted[0] != share, say=say):
            check_new_file(place, overwrite=overwrite)  # by another process, meanwhile
            _embed_into(partials, cells, begin("embedding cells"), say)
            matched = cells.tell(say)
            record = _record(saved, sum(len(one.rows) for one in partials), matched, stream.layer)
            if share is not None:
                return record | {"part": str(share)}
            if alone:
                _write_alone(stream, place, partials, record, overwrite=overwrite)
            else:
                assert isinstance(stream, CellStream)
                with copied(stream, place, overwrite=overwrite, say=say) as file:
                    _add(file, place, partials, record)
        for partial in partials:
            partial.remove()
    return record


def embed_cells(
    saved: SavedModel,
    stream: CellStream,
    *,
    min_matched: float,
    device: str,
    say: Callable[[str], None],
) -> tuple[NDArray[np.float32], str]:
    """Embed the cells of a source, as the model was trained to; a cell without counts gets zeros.

    Returns:
        Vectors `[n_obs, width]` in the order of the source, and how many genes matched.

    Raises:
        DataError: Too few genes match, the file changed, or a vector is not finite; names the file.
    """
    cells = CellVectors(saved, stream, min_matched=min_matched, device=device)
    vectors = np.zeros((len(stream.obs_names), saved.model.width), dtype=np.float32)
    for rows, part in cells.blocks():
        vectors[rows] = part
    return vectors, cells.tell(say)


class CellVectors:
    """The vectors of the cells of a source, block by block; the next block is read while one is embedded.

    Args:
        saved: the model; genes are sampled as it was trained to.
        stream: the cells.
        min_matched: share of the model's genes, or else of the genes and values of the source, that must match.
        device: as in `scgraph.train.resolve_device`.

    Attributes:
        embedder: from cells on the vocabulary to vectors.
        silent: cells with a count that express no gene of the model, up to now.

    Raises:
        DataError: Too few genes match.
    """

    def __init__(self, saved: SavedModel, stream: CellStream | StoreStream, *, min_matched: float, device: str) -> None:
        training = saved.training()
        self.stream, self.vocabulary = stream, saved.vocabulary
        self.match = saved.vocabulary.require(stream, min_matched=min_matched)
        self.embedder = Embedder(saved.model, genes=training.genes_to_embed(), seed=training.seed, device=device)
        self.silent = 0

    def blocks(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield rows of the source, ascending, and their vectors; cells without a count are left out.

        Args:
            start: first row that is wanted.
            stop: the row that ends what is wanted, or None for the end.

        Raises:
            DataError: The file changed, or a vector is not finite; names the file.
        """
        for rows, store in ahead(self._stores(start, stop)):
            self.silent += int((np.diff(store.indptr) == 0).sum())
            try:
                vectors = self.embedder(store)
            except DataError as error:
                first = str(self.stream.obs_names[rows[0]])
                raise DataError(f"{self.stream.manifest['source']}: cells from {first!r} on: {error}") from error
            yield rows, vectors

    def tell(self, say: Callable[[str], None]) -> str:
        """Say which cells got zeros and how many genes matched; return the latter."""
        empty = self.stream.obs_names[~self.stream.counted]
        if len(empty):
            say(f"{len(empty):,} cells without any count get zeros as their vector: {examples(empty)}")
        matched = match_note(self.match, self.silent)
        say(matched)
        return matched

    def _stores(self, start: int, stop: int | None) -> Iterator[tuple[NDArray[np.int64], CellStore]]:
        for cells in self.stream.blocks(start, stop):
            indptr, genes, values = rows_on(self.match, cells)
            keys = row_hashes(indptr, genes, values.view(np.uint32))
            yield cells.rows, CellStore.from_arrays(indptr, genes, values, keys, self.vocabulary)


def _opened(
    data: Path, layer: str | None, values: str | None, tick: Callable[[int, int], None]
) -> CellStream | StoreStream:
    if not is_store(data):
        return CellStream(data, layer=layer, values=values, tick=tick)
    for option, given in (("--layer", layer), ("--values", values)):
        if given is not None:
            raise DataError(f"{data}: is a store, which has one matrix of known values. Leave {option} out.")
    return StoreStream(data)


def _embed_into(
    partials: Sequence[PartialVectors], cells: CellVectors, tick: Callable[[int, int], None], say: Callable[[str], None]
) -> None:
    """Embed the cells that are not there yet."""
    wanted = sum(len(one.rows) for one in partials)
    for partial in partials:
        cells.silent = partial.silent
        with partial.appending():
            try:
                for rows, vectors in cells.blocks(partial.rows.start + partial.done, partial.rows.stop):
                    partial.silent = cells.silent
                    partial.add(rows, vectors)
                    tick(sum(one.done for one in partials), wanted)
                partial.finish()
            except KeyboardInterrupt:
                partial.mark()
                say(f"{partial.done:,} cells are embedded in {partial.folder}; the same with {flag('resume')} goes on.")
                raise
    cells.silent = sum(one.silent for one in partials)


def _record(saved: SavedModel, cells: int, matched: str, layer: str | None) -> dict[str, Any]:
    """Say how vectors came about."""
    return {
        "cells": cells,
        "channels": saved.model.channels,
        "readout": saved.model_config.readout,
        "width": saved.model.width,
        "genes_matched": matched,
        "genes_a_cell": saved.training().genes_to_embed() or "all",
        "model": saved.model_config.name(),
        "vocabulary": saved.vocabulary.sha256,
        "versions": dict(saved.versions),
        "layer": layer or "X",
    }


def _add(file: h5py.File, out: Path, partials: Sequence[PartialVectors], record: dict[str, Any]) -> None:
    """Add vectors and their record to an .h5ad file, a part at a time."""
    shape = (partials[-1].rows.stop, partials[-1].channels)
    check_hdf5_grows(file, 4 * shape[0] * shape[1])
    with adding(out):
        make_group(file, VECTORS.group)
        group = file[VECTORS.group]
        if VECTORS.key in group:
            del group[VECTORS.key]
        written = group.create_dataset(VECTORS.key, shape, dtype=np.float32)
        written.attrs["encoding-type"], written.attrs["encoding-version"] = "array", "0.2.0"
    for partial in partials:
        for first, block in partial.blocks():
            written[first : first + len(block)] = block
    with adding(out):
        write_record(file, VECTORS, record)


def _write_alone(
    stream: CellStream | StoreStream,
    out: Path,
    partials: Sequence[PartialVectors],
    record: dict[str, Any],
    *,
    overwrite: bool,
) -> None:
    """Write an .h5ad file of `obs` and the vectors."""
    import h5py
    from anndata import AnnData
    from anndata.io import write_elem

    with file_atomic(out) as beside, h5py.File(beside, "x") as file:
        with adding(out):
            if isinstance(stream, StoreStream):
                obs = stream.obs()
            else:
                assert stream.path is not None
                with open_form(stream.path) as form, damage(str(stream.path)):
                    obs = form.obs() if isinstance(form, GroupForm) else form.open(stream.layer).tables()[0]
            check_hdf5_grows(file, table_bytes(obs) + 4 * partials[-1].rows.stop * partials[-1].channels)
            write_elem(file, "/", AnnData(obs=obs))
        file.pop("raw", None)  # an element that says there is none
        stream.check_unchanged()
        _add(file, out, partials, record)
        check_new_file(out, overwrite=overwrite)  # by another process, meanwhile
