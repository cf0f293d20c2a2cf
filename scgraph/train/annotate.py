"""Vectors of the cells of a file, written into a copy of that file."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data import CellStore
from scgraph.data.files.hdf5 import damage, open_file, tenx_matrix, tenx_tables
from scgraph.data.files.names import examples
from scgraph.data.store.store import match_note
from scgraph.errors import DataError, OutputError
from scgraph.files import check_new_file, check_writable, file_atomic
from scgraph.train.embedding import embed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

    from scgraph.data import Vocabulary
    from scgraph.data.files.stream import CellStream
    from scgraph.nn import CellModel

__all__ = ["check_copy", "check_place", "embed_cells", "write_copy", "zeros_note"]

_RECORD = "scgraph"


def zeros_note(empty: NDArray[np.str_]) -> str:
    """Say which cells get zeros because they have no count."""
    return f"{len(empty):,} cells without any count get zeros as their vector: {examples(empty)}"


def check_place(out: Path, *, overwrite: bool) -> None:
    """Refuse a place where no copy can be written.

    Raises:
        OutputError: As said.
    """
    if out.suffix != ".h5ad":
        raise OutputError(f"{out}: name a file that ends in .h5ad.")
    if out.is_dir():
        raise OutputError(f"{out}: is a folder, and a file is needed. Name another file.")
    check_new_file(out, overwrite=overwrite)
    check_writable(out.resolve().parent)


def check_copy(data: Path, out: Path, key: str, *, channels: int) -> None:
    """Refuse what would keep the vectors from being written, before any is computed.

    Args:
        data: File of the cells.
        out: The copy.
        key: Name of the vectors in `obsm`.
        channels: Numbers of a vector.

    Raises:
        DataError: The file holds something else under the names that are written.
        OutputError: The disk is too full.
    """
    folder = out.resolve().parent
    with open_file(data) as file, damage(str(data)):
        if tenx_matrix(file) is None:
            _refuse_collisions(file, str(data), key)
            cells = file["obs"].attrs.get("_index") if "obs" in file else None
            rows = len(file["obs"][cells]) if isinstance(cells, str) and cells in file["obs"] else 0
        else:
            rows = 0
    needed, free = data.stat().st_size + 4 * rows * channels, shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{out}: its disk has {free / 1e9:,.1f} GB left and {needed / 1e9:,.1f} GB are needed. Free some space or "
            "choose another disk."
        )


def embed_cells(
    model: CellModel,
    stream: CellStream,
    vocabulary: Vocabulary,
    *,
    min_matched: float,
    genes: int | None,
    seed: int,
    device: str,
    say: Callable[[str], None],
) -> tuple[NDArray[np.float32], str]:
    """Embed the cells of a file block by block; a cell without counts gets zeros.

    Returns:
        Vectors `[n_obs, C]` in the order of the file, and how many genes matched.

    Raises:
        DataError: Too few genes match, the file changed, or a vector is not finite; names the file.
    """
    match = vocabulary.require(stream, min_matched=min_matched)
    vectors = np.zeros((len(stream.obs_names), model.channels), dtype=np.float32)
    counted = np.zeros(len(vectors), dtype=bool)
    silent = 0
    for cells in stream.blocks():
        store = CellStore.from_cells(cells, vocabulary, min_matched=0)
        silent += int((np.diff(store.indptr) == 0).sum())
        try:
            vectors[cells.rows] = embed(model, store, genes=genes, seed=seed, device=device)
        except DataError as error:
            raise DataError(f"{stream.path}: cells from {str(cells.obs_names[0])!r} on: {error}") from error
        counted[cells.rows] = True
    if not counted.all():
        say(zeros_note(stream.obs_names[~counted]))
    matched = match_note(match, silent)
    say(matched)
    return vectors, matched


def write_copy(
    stream: CellStream,
    out: Path,
    key: str,
    vectors: NDArray[np.float32],
    record: dict[str, Any],
    *,
    overwrite: bool,
    say: Callable[[str], None],
) -> None:
    """Copy the file byte for byte, add the vectors and the record, and give it the name `out`.

    A 10x file becomes an .h5ad file of the same counts.

    Raises:
        DataError: The file changed since it was read.
        OutputError: `out` cannot be written, or stands there by now.
    """
    import h5py
    from anndata.io import write_elem

    with file_atomic(out) as beside:
        with open_file(stream.path) as source:
            foreign = tenx_matrix(source) is not None
            if foreign:
                say(f"{stream.path}: is a 10x file; {out} is an .h5ad file of the same counts")
                _write_tenx(source, beside)
        if not foreign:
            shutil.copyfile(stream.path, beside)
        stream.check_unchanged()
        try:
            with h5py.File(beside, "r+") as file:
                for name in ("obsm", "uns"):
                    _make_group(file, name)
                write_elem(file["obsm"], key, vectors)
                write_elem(file["uns"], _RECORD, record)
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise OutputError(f"{out}: the vectors cannot be added to the copy ({error}).") from error
        check_new_file(out, overwrite=overwrite)  # by another process, meanwhile


def _refuse_collisions(file: h5py.File, where: str, key: str) -> None:
    import h5py

    for name in ("obsm", "uns"):
        compound = name == "obsm" and isinstance(file.get(name), h5py.Dataset) and file[name].dtype.names is not None
        if name in file and not isinstance(file[name], h5py.Group) and not compound:
            raise DataError(f"{where}: {name} is no group, so nothing can be added to it. Write the file again.")
    vectors = file["obsm"].get(key) if isinstance(file.get("obsm"), h5py.Group) else None
    if vectors is not None and not (isinstance(vectors, h5py.Dataset) and vectors.ndim == 2):
        raise DataError(f"{where}: obsm[{key!r}] is there and holds no vectors of scgraph. Rename or remove it.")
    record = file["uns"].get(_RECORD) if "uns" in file else None
    if record is not None and not (isinstance(record, h5py.Group) and {"model", "vocabulary"} <= set(record)):
        raise DataError(f"{where}: uns[{_RECORD!r}] is there and is no record of scgraph. Rename or remove it.")


def _make_group(file: h5py.File, name: str) -> None:
    """Have a group of that name; the table of vectors of anndata 0.6 becomes one."""
    import h5py

    old = file.get(name)
    if isinstance(old, h5py.Group):
        return
    columns = {} if old is None else {column: old[column] for column in old.dtype.names}
    if file.get(name, getlink=True) is not None:
        del file[name]
    group = file.create_group(name)
    group.attrs["encoding-type"], group.attrs["encoding-version"] = "dict", "0.1.0"
    for column, values in columns.items():
        group[column] = values


def _write_tenx(source: h5py.File, path: Path) -> None:
    import anndata
    import h5py
    from anndata.io import write_elem

    matrix = tenx_matrix(source)
    if matrix is None:
        raise DataError(f"{source.filename}: is no 10x file.")
    obs, var = tenx_tables(matrix, str(path))
    with h5py.File(path, "x") as file:
        write_elem(file, "/", anndata.AnnData(obs=obs, var=var))
        if "X" in file:
            del file["X"]
        rows = file.create_group("X")
        rows.attrs["encoding-type"], rows.attrs["encoding-version"] = "csr_matrix", "0.1.0"
        rows.attrs["shape"] = np.asarray([len(obs), len(var)], dtype=np.int64)
        for name in ("data", "indices", "indptr"):
            source.copy(matrix[name], rows, name)
