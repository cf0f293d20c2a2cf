"""Reading cells from a file, an AnnData object or the set that scanpy carries."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from scgraph.data.cells import Cells
from scgraph.data.files.checks import (
    Compressed,
    canonical,
    categories,
    check_compressed,
    check_shape,
    silent_note,
    that_say,
)
from scgraph.data.files.evidence import obs_totals
from scgraph.data.files.features import read_genes
from scgraph.data.files.forms import file_sha256, open_cells, short_name
from scgraph.data.files.names import check_unique, examples, plain
from scgraph.data.files.normalize import ScaleSeen, check_values
from scgraph.data.files.objects import open_object
from scgraph.data.files.stored import damage
from scgraph.errors import DataError, argument, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.data.files.stored import Opened, Source

__all__ = [
    "BUILT_IN",
    "as_text",
    "cell_names",
    "check_columns",
    "check_filter",
    "check_groups",
    "content_sha256",
    "dropped_note",
    "is_bare_word",
    "read_cells",
    "read_groups",
    "read_obs",
]

BUILT_IN = "pbmc68k_reduced"
"""The set of real cells that scanpy carries inside its package."""

BY_GENE = "the matrix is stored by gene (CSC): converted to rows of cells"
NOTHING = "every value is 0. Give the matrix that holds the counts."


def read_cells(
    source: str | Path | AnnData,
    *,
    layer: str | None = None,
    values: str | None = None,
    label: str | None = None,
    batch_key: str | None = None,
    name: str | None = None,
    obs_value_filter: str | None = None,
) -> Cells:
    """Read cells, check them, and bring them into one form.

    Args:
        source: An .h5ad or 10x .h5 file, a folder of Cell Ranger or an .mtx file beside its tables, a .zarr (or
            .zarr.zip), an .h5mu file, of which `"cells.h5mu/prot"` reads another modality than `rna`; a TileDB-SOMA
            experiment, a folder or a URI, of which `"atlas.soma/ATAC"` reads another measurement than `RNA`; an AnnData
            object; or `"pbmc68k_reduced"`, whose layer is `raw` and whose label is `bulk_labels` by default.
        layer: Layer to read instead of X; `"raw"` reads `.raw`. Where a layer is called raw too, `"raw/X"` and
            `"layers/raw"` tell them apart. Of SOMA a layer of X, by default `raw`, or the only one.
        values: What the values are, where they do not show it themselves: `"counts"`, `"linear"`, `"log1p"`, `"log2"`,
            `"log10"` or `"sqrt"`, see `scgraph.data.files.scale.Values`.
        label: Column of obs with the class of every cell.
        batch_key: Column of obs with the batch or donor of every cell.
        name: Short name for tables; the stem of the file by default.
        obs_value_filter: Cells of a TileDB-SOMA experiment to read, such as `'tissue == "blood"'`: a condition on
            columns of obs, as `tiledbsoma.DataFrame.read` takes it.

    Returns:
        The cells that have a count; `notes` says what was changed or assumed.

    Raises:
        DataError: The source cannot be used as it is; the message names it, what was found and what to do.
        ConfigError: `values` is no word that is known.
    """
    check_values(values)
    check_filter(source, obs_value_filter)
    origin: str | None = None
    if _is_built_in(source):
        layer, label = layer or "raw", label or "bulk_labels"
    with _opened(source, layer, name=name, obs_value_filter=obs_value_filter) as opened:
        content = opened.read(lambda obs: check_groups(obs, label, batch_key, opened.where))
    if not isinstance(source, str | Path):
        name = name or "adata"
    elif not _is_built_in(source):
        name = name or short_name(Path(source))
        origin = file_sha256(Path(source))
    return _assemble(
        content,
        name or BUILT_IN,
        layer=layer,
        values=values,
        label=label,
        batch_key=batch_key,
        sha256=origin,
        obs_value_filter=obs_value_filter,
    )


def read_obs(source: str | Path | AnnData, layer: str | None = None) -> pd.DataFrame:
    """Read the table of the cells of a source, and nothing of a matrix that is stored as numbers.

    Args:
        source: As of `read_cells`.
        layer: A layer that there has to be.

    Raises:
        DataError: The source cannot be used as it is.
    """
    with _opened(source, layer) as opened, damage(opened.where):
        return opened.tables()[0]


@contextmanager
def _opened(
    source: str | Path | AnnData, layer: str | None, *, name: str | None = None, obs_value_filter: str | None = None
) -> Iterator[Opened]:
    if _is_built_in(source):
        yield open_object(_built_in(), BUILT_IN, layer)
    elif not isinstance(source, str | Path):
        yield open_object(source, name or "adata", layer)
    elif is_bare_word(source):
        raise DataError(f"{source}: there is no such file.{did_you_mean(source, [BUILT_IN])}")
    else:
        with open_cells(Path(source), layer, obs_value_filter) as opened:
            yield opened


def is_bare_word(source: str | Path | AnnData) -> TypeGuard[str]:
    """Tell a word that names no file: the set that scanpy carries, or a mistake."""
    if not isinstance(source, str):
        return False
    path = Path(source)
    return not path.suffix and path.parent == Path() and not path.exists()


def _is_built_in(source: str | Path | AnnData) -> bool:
    return is_bare_word(source) and source == BUILT_IN


def check_filter(source: str | Path | AnnData, obs_value_filter: str | None) -> None:
    """Refuse a filter for an object, whose cells are chosen by its user.

    Raises:
        DataError: As said.
    """
    built_in = _is_built_in(source)
    if obs_value_filter is not None and (built_in or not isinstance(source, str | Path)):
        raise DataError(
            f"{source if built_in else 'adata'}: {argument('obs_value_filter')} chooses cells of TileDB-SOMA "
            "experiments alone. Give adata[adata.obs[...] == ...]."
        )


def _assemble(
    content: Source,
    name: str,
    *,
    layer: str | None,
    values: str | None,
    label: str | None,
    batch_key: str | None,
    sha256: str | None,
    obs_value_filter: str | None,
) -> Cells:
    where, obs, var, notes = content.where, content.obs, content.var, list(content.notes)
    check_shape(content.matrix.shape, len(obs), len(var), where)
    if isinstance(content.matrix, Compressed):
        check_compressed(content.matrix, where)
        if not content.matrix.by_row:
            notes.append(BY_GENE)
    obs_names = cell_names(obs, where)
    genes = read_genes(var, where)
    symbols, ensembl = genes.symbols, genes.ensembl
    notes += genes.notes
    matrix = canonical(content.matrix, where, obs_names, as_text(var.index))
    if genes.columns is not None:
        matrix = matrix[:, genes.columns]
    kept = np.flatnonzero(np.diff(matrix.indptr))
    if len(kept) < len(obs_names):
        notes.append(dropped_note(np.delete(obs_names, kept)))
        if not len(kept):
            raise DataError(f"{where}: {NOTHING}")
        matrix, obs_names, obs = matrix[kept], obs_names[kept], obs.iloc[kept]
    seen = ScaleSeen(where, layer=layer, values=values, log_base=content.log_base)
    seen.add(matrix, obs_names, obs_totals(obs))
    kind, scale_note, change = seen.decide()
    notes.append(scale_note)
    if change is not None:
        matrix = change(matrix)
    labels, batches = read_groups(obs, label, batch_key, where, notes)
    manifest: dict[str, Any] = {
        "source": where,
        "sha256": sha256 or content_sha256(matrix.indptr, [matrix.indices], [matrix.data], symbols, ensembl, obs_names),
        "cells": len(obs_names),
        "genes": len(symbols),
        "layer": layer,
        "values": values,
        "kind": kind,
        "label": label,
        "batch_key": batch_key,
        "obs_value_filter": obs_value_filter,
    }
    return Cells(
        name=name,
        matrix=matrix,
        kind=kind,
        symbols=symbols,
        ensembl=ensembl,
        obs_names=obs_names,
        rows=kept.astype(np.int64),
        labels=labels,
        batches=batches,
        notes=tuple(notes),
        manifest=manifest,
    )


def check_columns(source: str | Path | AnnData, layer: str | None, *, label: str | None, batch_key: str | None) -> None:
    """Refuse a source for its columns of labels and batches, see `check_groups`, before anything else is done.

    Raises:
        DataError: As said, or the source cannot be opened.
    """
    with _opened(source, layer) as opened:
        with damage(opened.where):
            obs = opened.tables()[0]
        check_groups(obs, label, batch_key, opened.where)


def check_groups(obs: pd.DataFrame, label: str | None, batch_key: str | None, where: str) -> None:
    """Refuse columns of labels and batches that are wrong whichever of the cells have a count.

    So nothing of the matrix need be read to refuse them.

    Raises:
        DataError: A column is missing, holds numbers, says nothing of any cell, or has one class only.
    """
    if not len(obs):
        return  # a matrix without cells is refused for that
    if label is not None:
        _labels(that_say(obs, label, where), label, where, [])
    if batch_key is not None:
        categories(that_say(obs, batch_key, where), batch_key, where, numbers=True)


def read_groups(
    obs: pd.DataFrame, label: str | None, batch_key: str | None, where: str, notes: list[str]
) -> tuple[pd.Categorical | None, pd.Categorical | None]:
    """Return the labels and the batches of cells, None where no column was asked for; what they show is added to notes.

    Raises:
        DataError: A column is missing, holds numbers, says nothing for some cells, or has one class only.
    """
    labels = None if label is None else _labels(obs, label, where, notes)
    batches = None if batch_key is None else categories(obs, batch_key, where, numbers=True)
    for groups, key in ((labels, label), (batches, batch_key)):
        if groups is not None and key is not None and (silent := silent_note(groups, key)):
            notes.append(silent)
    return labels, batches


def dropped_note(empty: Sequence[str] | NDArray[np.str_], total: int | None = None) -> str:
    """Say which cells were dropped because they have no count; `empty` may be the first of them only."""
    return f"{total or len(empty):,} cells without any count were dropped ({examples(empty)})"


def _labels(obs: pd.DataFrame, label: str, where: str, notes: list[str]) -> pd.Categorical:
    labels = categories(obs, label, where)
    names = [str(name) for name in labels.categories]
    if len(names) < 2:
        raise DataError(
            f"{where}: obs[{label!r}] has one class only ({names[0]!r}). Name a column with two classes or more."
        )
    alike = [one for one in names if one != one.strip() and one.strip() in names]
    if alike:
        notes.append(f"classes differ from others in blanks alone: {examples(alike)}")
    return labels


def _built_in() -> AnnData:
    try:
        import scanpy
    except ImportError as error:
        raise DataError(f"{BUILT_IN}: scanpy carries this set and is not installed. Run pip install scanpy.") from error
    return scanpy.datasets.pbmc68k_reduced()


def cell_names(obs: pd.DataFrame, where: str) -> NDArray[np.str_]:
    """Return the names of the cells.

    Raises:
        DataError: Two have the same.
    """
    names = as_text(obs.index)
    remedy = "Run adata.obs_names_make_unique(), or leave the copies out."
    check_unique(names.tolist(), where, "cell names (obs_names)", remedy)
    return names


def as_text(index: pd.Index) -> NDArray[np.str_]:
    """Return the names of an index, whatever they are: text, bytes, numbers or tuples."""
    return np.asarray([plain(name) for name in index], dtype=np.str_)


def content_sha256(
    indptr: NDArray[np.integer[Any]],
    indices: Iterable[NDArray[np.integer[Any]]],
    values: Iterable[NDArray[np.float32]],
    *names: NDArray[np.str_],
) -> str:
    """Hash what was read, for sources that are not a file.

    Args:
        indptr: Row starts `[n + 1]`.
        indices: Gene of every value, in blocks.
        values: The values, in blocks.
        names: Symbols, Ensembl ids and names of cells.
    """
    digest = hashlib.sha256()
    for array in chain([indptr.astype(np.int64)], (part.astype(np.int64) for part in indices), values):
        digest.update(np.ascontiguousarray(array).data)
    for texts in names:
        digest.update("\n".join(texts.tolist()).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
