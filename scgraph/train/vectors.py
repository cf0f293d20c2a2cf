"""The vectors of the cells of a file or of an AnnData object, and where they are written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data import CellStore
from scgraph.data.files.names import examples
from scgraph.data.files.stream import CellStream
from scgraph.data.store.store import match_note
from scgraph.errors import DataError
from scgraph.models import load_model
from scgraph.reporting.bars import progress_bars
from scgraph.train import embedding
from scgraph.train.copies import Place, adding, check_copy, check_place, copied, make_group, write_record
from scgraph.train.pretraining import as_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.models import SavedModel
    from scgraph.train.pretraining import Pretrained

__all__ = ["OBSM_KEY", "VECTORS", "embed", "embed_cells", "embed_file"]

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
        model: a folder, or what `scgraph.load_model` or `scgraph.pretrain` returned.
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
    record = _record(saved, vectors, matched, layer)
    adata.obsm[OBSM_KEY] = vectors
    adata.uns["scgraph"] = record
    return record


def embed_file(
    data: str | Path,
    model: str | Path,
    *,
    out: str | Path,
    layer: str | None = None,
    values: str | None = None,
    min_matched: float = 0.3,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Embed the cells of a file into a copy of it; see `embed`. The copy appears whole or not at all.

    The file is read in blocks and copied byte for byte, whatever else it holds; what is no .h5ad file becomes one.

    Raises:
        DataError: the file cannot be used as it is, or holds something else under the names that are written.
        OutputError: `out` stands there already, or cannot be written.
    """
    data, out = Path(data), Path(out)
    check_place(out, overwrite=overwrite)
    saved = load_model(model, allow_conv=allow_conv)
    check_copy(data, out, VECTORS, width=saved.model.channels)
    stream = CellStream(data, layer=layer, values=values)
    for note in stream.notes:
        say(note)
    with progress_bars(show_progress) as begin:
        vectors, matched = embed_cells(
            saved, stream, min_matched=min_matched, device=device, say=say, tick=begin("embedding cells")
        )
    record = _record(saved, vectors, matched, stream.layer)
    _write(stream, out, vectors, record, overwrite=overwrite, say=say)
    return record


def embed_cells(
    saved: SavedModel,
    stream: CellStream,
    *,
    min_matched: float,
    device: str,
    say: Callable[[str], None],
    tick: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[NDArray[np.float32], str]:
    """Embed the cells of a source block by block, as the model was trained to; a cell without counts gets zeros.

    Returns:
        Vectors `[n_obs, C]` in the order of the source, and how many genes matched.

    Raises:
        DataError: Too few genes match, the file changed, or a vector is not finite; names the file.
    """
    training = saved.training()
    match = saved.vocabulary.require(stream, min_matched=min_matched)
    vectors = np.zeros((len(stream.obs_names), saved.model.channels), dtype=np.float32)
    counted = np.zeros(len(vectors), dtype=bool)
    silent = 0
    for cells in stream.blocks():
        store = CellStore.from_cells(cells, saved.vocabulary, min_matched=0)
        silent += int((np.diff(store.indptr) == 0).sum())
        try:
            vectors[cells.rows] = embedding.embed(
                saved.model, store, genes=training.genes_to_embed(), seed=training.seed, device=device
            )
        except DataError as error:
            raise DataError(
                f"{stream.manifest['source']}: cells from {str(cells.obs_names[0])!r} on: {error}"
            ) from error
        counted[cells.rows] = True
        tick(int(cells.rows[-1]) + 1, len(vectors))
    if not counted.all():
        say(_zeros_note(stream.obs_names[~counted]))
    matched = match_note(match, silent)
    say(matched)
    return vectors, matched


def _zeros_note(empty: NDArray[np.str_]) -> str:
    return f"{len(empty):,} cells without any count get zeros as their vector: {examples(empty)}"


def _record(saved: SavedModel, vectors: NDArray[np.float32], matched: str, layer: str | None) -> dict[str, Any]:
    """Say how vectors came about."""
    return {
        "cells": len(vectors),
        "channels": int(vectors.shape[1]),
        "genes_matched": matched,
        "genes_a_cell": saved.training().genes_to_embed() or "all",
        "model": saved.model_config.name(),
        "vocabulary": saved.vocabulary.sha256,
        "versions": dict(saved.versions),
        "layer": layer or "X",
    }


def _write(
    stream: CellStream,
    out: Path,
    vectors: NDArray[np.float32],
    record: dict[str, Any],
    *,
    overwrite: bool,
    say: Callable[[str], None],
) -> None:
    """Copy the file of a stream and add vectors and their record, see `copied`."""
    from anndata.io import write_elem

    with copied(stream, out, overwrite=overwrite, say=say) as file, adding(out):
        make_group(file, VECTORS.group)
        write_elem(file[VECTORS.group], VECTORS.key, vectors)
        write_record(file, VECTORS, record)
