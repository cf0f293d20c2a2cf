"""The expected expression of every gene of a cell, as a layer: what a decoder trained on counts makes of its vector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from scgraph.data import CellStore, read_cells
from scgraph.data.files.features import read_genes
from scgraph.data.files.forms import open_form
from scgraph.data.files.names import examples
from scgraph.data.files.objects import in_memory
from scgraph.data.files.reading import as_text
from scgraph.data.files.stored import damage
from scgraph.data.files.stream import CellStream
from scgraph.data.sampling.thinning import row_sums
from scgraph.data.store.store import match_note
from scgraph.errors import ConfigError, DataError, argument, did_you_mean
from scgraph.files import check_hdf5_grows
from scgraph.reporting.bars import progress_bars
from scgraph.train.copies import Place, adding, check_copy, check_place, copied, make_group, write_record
from scgraph.train.embedding import embed
from scgraph.train.expected import expected_fractions, expects_counts
from scgraph.train.pretraining import as_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.data import Cells, GeneMatch
    from scgraph.models import SavedModel
    from scgraph.train.pretraining import Pretrained

__all__ = ["LAYER_KEY", "Scale", "denoise", "denoise_file"]

LAYER_KEY = "scgraph_denoised"
"""Where the expected expression goes in `layers`; a record of how it came about goes into `uns` under the same name."""

Scale = Literal["log1p", "counts"]

_NUMBERS = 2**23
"""Numbers that are decoded at a time, and held a few times over."""


def denoise(
    adata: AnnData,
    model: Pretrained | SavedModel | str | Path,
    *,
    layer: str | None = None,
    layer_key: str = LAYER_KEY,
    scale: str = "log1p",
    values: str | None = None,
    min_matched: float = 0.3,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the expression that a model expects of every cell into ``adata.layers["scgraph_denoised"]``.

    ``y_g = t · p_g / Σ_h p_h``, where ``p = softmax(P z + b)`` is what the decoder makes of the vector z of the cell, h
    runs over the genes of the model that were measured, and t is what the cell holds of these genes. So the values of
    a cell add up to what was measured, and a gene that was not seen in it gets what like cells have.
    Genes that the model does not know are NaN; a cell without any count gets zeros, with a note.

    Args:
        adata: counts or log-normalised values; a layer and a record are added.
        model: a folder, ``hf://org/name``, or what `scgraph.load_model` or `scgraph.pretrain` returned.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        layer_key: name of the layer that is written, and of the record in `uns`.
        scale: ``"log1p"`` of counts per 10,000, as models read them, or ``"counts"``: as many as the cell has.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        min_matched: share of the model's genes, or else of the genes and values of `adata`, that must match.
        device: auto, cpu, cuda or cuda:N.
        allow_conv: convolutions of your own that the model may use.
        say: told what was read and how many genes matched.

    Returns:
        The record.

    Raises:
        ConfigError: the model has no decoder trained on counts, or `scale` or `layer_key` cannot be used.
        DataError: the cells cannot be used, hold no counts where counts are asked for, or something else stands there.
    """
    saved = _decoder_of(model, allow_conv)
    place, kind = _place(layer_key), _scale(scale)
    record = adata.uns.get(place.record)
    ours = isinstance(record, dict) and place.fields <= set(record)
    if (place.key in adata.layers or record is not None) and not ours:
        raise DataError(f"adata: {place} or uns[{place.record!r}] is there and was not written by denoise. Rename it.")
    cells = read_cells(adata, layer=layer, values=values)
    for note in cells.notes:
        say(note)
    decoding = _Decoding.of(saved, cells, in_memory(adata.var), scale=kind, min_matched=min_matched, device=device)
    say(_size_note(place, *adata.shape))
    expected = np.tile(decoding.blank, (adata.n_obs, 1))
    for rows, part in decoding.parts(cells):
        expected[np.ix_(rows, decoding.columns)] = part
    _tell_empty(np.delete(as_text(adata.obs_names), cells.rows), say)
    say(decoding.match_note())
    adata.layers[place.key] = expected
    adata.uns[place.record] = decoding.record(adata.n_obs, layer)
    return dict(adata.uns[place.record])


def denoise_file(
    data: str | Path,
    model: str | Path,
    *,
    out: str | Path,
    layer: str | None = None,
    layer_key: str = LAYER_KEY,
    scale: str = "log1p",
    values: str | None = None,
    min_matched: float = 0.3,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the expected expression of the cells of a file into a copy of it; see `denoise`.

    The file is read and the layer written in blocks; the copy appears whole or not at all, with all else byte for byte
    as it was. What is no .h5ad file becomes one.

    Raises:
        ConfigError: as `denoise`.
        DataError: the file cannot be used as it is, or holds something else under the names that are written.
        OutputError: `out` stands there already, cannot be written, or is too large for its disk.
    """
    data, out = Path(data), Path(out)
    check_place(out, overwrite=overwrite)
    saved = _decoder_of(model, allow_conv)
    place, kind = _place(layer_key), _scale(scale)
    check_copy(data, out, place, width=None)
    stream = CellStream(data, layer=layer, values=values)
    for note in stream.notes:
        say(note)
    decoding = _Decoding.of(saved, stream, _features(data, layer), scale=kind, min_matched=min_matched, device=device)
    cells, features = len(stream.obs_names), len(decoding.blank)
    say(_size_note(place, cells, features))
    counted = np.zeros(cells, dtype=bool)
    with progress_bars(show_progress) as begin, copied(stream, out, overwrite=overwrite, say=say) as file:
        tick, done = begin("denoising cells"), 0
        check_hdf5_grows(file, 4 * cells * features)
        with adding(out):
            make_group(file, place.group)
            file[place.group].pop(place.key, None)
            written = file[place.group].create_dataset(place.key, (cells, features), dtype=np.float32)
            written.attrs["encoding-type"], written.attrs["encoding-version"] = "array", "0.2.0"
        for block in stream.blocks():
            for rows, part in decoding.parts(block):
                whole = np.tile(decoding.blank, (len(rows), 1))
                whole[:, decoding.columns] = part
                for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) > 1) + 1):
                    written[rows[run[0]] : rows[run[-1]] + 1] = whole[run]
                counted[rows] = True
                done += len(rows)
                tick(done, len(stream))
        for row in np.flatnonzero(~counted):
            written[row] = decoding.blank
        record = decoding.record(cells, layer)
        with adding(out):
            write_record(file, place, record)
    _tell_empty(stream.obs_names[~counted], say)
    say(decoding.match_note())
    return record


@dataclass(eq=False)
class _Decoding:
    """From the cells of a source to what is expected of the genes that its `var` holds.

    Attributes:
        saved: the model.
        match: genes of the source among those of the model.
        columns: features of `var` that are genes of the model.
        ids: their ids.
        blank: a cell without counts: 0 in `columns`, NaN elsewhere.
        scale: of what is written.
        device: where the model runs.
        silent: cells that express no gene of the model, so far.
    """

    saved: SavedModel
    match: GeneMatch
    columns: NDArray[np.int64]
    ids: NDArray[np.int32]
    blank: NDArray[np.float32]
    scale: Scale
    device: str
    silent: int = 0

    @classmethod
    def of(
        cls,
        saved: SavedModel,
        source: Cells | CellStream,
        var: pd.DataFrame,
        *,
        scale: Scale,
        min_matched: float,
        device: str,
    ) -> _Decoding:
        """Match genes, and refuse what cannot be written.

        Raises:
            DataError: too few genes match, or the source has no counts where counts are asked for.
        """
        where = source.manifest["source"]
        if scale == "counts" and source.kind != "counts":
            raise DataError(
                f"{where}: holds log-normalised values, and {argument('scale', 'counts')} needs counts. Name a layer "
                f"that has them, or take {argument('scale', 'log1p')}."
            )
        match = saved.vocabulary.require(source, min_matched=min_matched)
        genes = read_genes(var, where)
        ids = saved.vocabulary.match(genes).ids
        columns = np.arange(len(var)) if genes.columns is None else genes.columns
        # A gene of `var` that stands in .raw alone is decoded; one that was not read at all is not.
        known = (ids > 0) & np.isin(ids, match.ids)
        if not known.any():
            raise DataError(f"{where}: no gene of its var is known to the model. Read the matrix that var belongs to.")
        blank = np.full(len(var), np.nan, dtype=np.float32)
        blank[columns[known]] = 0
        return cls(saved, match, columns[known], ids[known], blank, scale, device)

    def parts(self, cells: Cells) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Give rows of the source, and what is expected of the genes `columns` in them, a part at a time.

        Raises:
            DataError: a vector or what is expected is not finite; names the first cell.
        """
        store = CellStore.from_cells(cells, self.saved.vocabulary, min_matched=0)
        self.silent += int((np.diff(store.indptr) == 0).sum())
        training = self.saved.training()
        measured = np.unique(self.match.ids[self.match.ids > 0]) - 1
        step = max(1, _NUMBERS // max(len(self.saved.vocabulary), len(self.blank)))
        for start in range(0, len(cells), step):
            rows = np.arange(start, min(start + step, len(cells)))
            try:
                vectors = embed(
                    self.saved.model,
                    store.subset(rows),
                    genes=training.genes_to_embed(),
                    seed=training.seed,
                    device=self.device,
                )
            except DataError as error:
                raise DataError(f"{self._where(cells, start)}: {error}") from error
            fractions = expected_fractions(self.saved.model, vectors)
            whole = fractions[:, measured].sum(axis=1, dtype=np.float64)
            scaled = fractions[:, self.ids - 1] * (self._totals(cells, store, rows) / whole)[:, None]
            if not np.isfinite(scaled).all():
                wrong = int(rows[~np.isfinite(scaled).all(axis=1)][0])
                raise DataError(f"{self._where(cells, wrong)}: what the model expects is not finite.")
            yield cells.rows[rows], (np.log1p(scaled) if self.scale == "log1p" else scaled).astype(np.float32)

    def _totals(self, cells: Cells, store: CellStore, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what each cell holds of the genes of the model, on the scale that is written."""
        if self.scale == "counts":
            columns = np.flatnonzero(self.match.ids)
            return np.asarray(cells.matrix[rows][:, columns].sum(axis=1, dtype=np.float64)).ravel()
        starts, _, values = store.entries(rows)
        return row_sums(starts, np.expm1(values.astype(np.float64)))

    def _where(self, cells: Cells, row: int) -> str:
        return f"{cells.manifest['source']}: cells from {str(cells.obs_names[row])!r} on"

    def match_note(self) -> str:
        """Say how many genes matched and are written."""
        return match_note(self.match, self.silent) + f"; {len(self.columns):,} are written, others are NaN"

    def record(self, cells: int, layer: str | None) -> dict[str, Any]:
        """Say how the layer came about."""
        return {
            "cells": cells,
            "genes": len(self.columns),
            "scale": self.scale,
            "genes_matched": match_note(self.match, self.silent),
            "model": self.saved.model_config.name(),
            "vocabulary": self.saved.vocabulary.sha256,
            "versions": dict(self.saved.versions),
            "layer": layer or "X",
        }


def _decoder_of(model: Pretrained | SavedModel | str | Path, allow_conv: Collection[str]) -> SavedModel:
    saved = as_saved(model, allow_conv=allow_conv)
    if not expects_counts(saved.model, saved.training()):
        name = str(model) if isinstance(model, str | Path) else saved.model_config.name()
        raise ConfigError(
            f"{name}: has no decoder that was trained on counts, so it expects none. Pretrain a model with a cell head "
            "and the loss on counts, as `scgraph pretrain` does by default (model.cell_head, train.count_loss)."
        )
    return saved


def _place(layer_key: str) -> Place:
    if not layer_key.strip() or "/" in layer_key or layer_key in ("X", "raw"):
        raise ConfigError(
            f"{argument('layer_key')}: a layer cannot be called {layer_key!r}. Choose a word, such as {LAYER_KEY}."
        )
    return Place(
        "layers", layer_key, layer_key, frozenset({"model", "vocabulary", "scale"}), "layer of scgraph denoise"
    )


def _scale(scale: str) -> Scale:
    if scale not in get_args(Scale):
        raise ConfigError(f"{argument('scale')}: {scale!r} is not known.{did_you_mean(scale, get_args(Scale))}")
    return cast("Scale", scale)


def _size_note(place: Place, cells: int, features: int) -> str:
    return f"{place} is dense: {cells:,} cells of {features:,} features are {4 * cells * features / 1e9:,.2f} GB"


def _tell_empty(empty: NDArray[np.str_], say: Callable[[str], None]) -> None:
    if len(empty):
        say(f"{len(empty):,} cells without any count get zeros: {examples(empty)}")


def _features(path: Path, layer: str | None) -> pd.DataFrame:
    """Return `var` of a file, which the layers of its copy have as columns."""
    with open_form(path) as form, damage(str(path)):
        return form.features(layer)
