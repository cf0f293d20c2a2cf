"""TileDB-SOMA experiments, a folder or a URI, opened for reading.

Cells are the rows of `obs`, genes those of `var` of a measurement, joined to its matrices `X[layer]` by `soma_joinid`
(https://github.com/single-cell-data/SOMA/blob/main/abstract_specification.md). Rows come in the order of their ids,
which is that of the AnnData object where `tiledbsoma.io.from_anndata` wrote the experiment.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.names import examples
from scgraph.data.files.scale import log_base
from scgraph.data.files.soma_rows import DenseRows, SparseRows
from scgraph.data.files.stored import Opened, StoredMatrix, damage
from scgraph.errors import DataError, argument, did_you_mean
from scgraph.parsing import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["SomaMeasurement", "is_soma", "open_soma", "soma_address", "soma_located", "soma_state"]

MEASUREMENT, LAYER = "RNA", "raw"
"""What is read where nothing is named, as the experiments of CELLxGENE have it."""

_URI = re.compile(r"([a-z][a-z0-9+.-]+):/+")
_MARKS = ("__tiledb_group.tdb", "__group", "__schema")
_JOINID, _INDEX = "soma_joinid", "soma_dataframe_original_index_name"
_OBS_NAMES, _VAR_NAMES = ("obs_id",), ("var_id", "feature_id")
_SETTINGS: dict[str, str | float] = {
    # Bytes for each column of a read; it would take a gigabyte.
    "soma.init_buffer_bytes": 2**24,
    # The tiles of all fragments are not merged before a read. TileDB does that in threads that can outlive what they
    # write to: of eight runs of the tests of this file in two processes five ended in an abort or a segfault, with this
    # none of eleven (TileDB 2.30, race mended by https://github.com/TileDB-Inc/TileDB/pull/5723).
    "sm.query.sparse_global_order.preprocess_tile_merge": 0,
}
"""Settings of TileDB."""

_LONGEST = 200
"""Characters of a filter that a message repeats."""


def is_soma(path: Path) -> bool:
    """Tell what TileDB wrote by the marks of its folder, or a URI by its scheme."""
    return bool(_URI.match(str(path))) or any((path / mark).exists() for mark in _MARKS)


def soma_address(path: Path) -> str:
    """Return a path as text, a URI with the slashes that `Path` took from it.

    >>> from pathlib import Path
    >>> soma_address(Path("s3://atlas/cells.soma")), soma_address(Path("file:///cells.soma")), soma_address(Path("a/b"))
    ('s3://atlas/cells.soma', 'file:///cells.soma', 'a/b')
    """
    return _URI.sub(lambda found: f"{found[1]}://{'/' if found[1] == 'file' else ''}", str(path), count=1)


def soma_located(path: Path) -> tuple[Path, str | None] | None:
    """Split the name of a measurement off its experiment: `atlas.soma/RNA`, or where it lies, `atlas.soma/ms/RNA`.

    None is returned for what is no TileDB. Of a URI nothing can be looked up, so only the second way is known.
    """
    if path.parent.name == "ms" and is_soma(path) and is_soma(path.parent.parent):
        return path.parent.parent, path.name
    if is_soma(path):
        return path, None
    return (path.parent, path.name) if is_soma(path.parent) else None


def soma_state(path: Path) -> tuple[tuple[str, int], ...]:
    """Return what is another value once the experiment was written to.

    TileDB never changes a file: whatever is written is a new one with a name of its own, so names and sizes of all
    files say it. Of a URI it is the number of cells, genes and values.

    Raises:
        DataError: The experiment cannot be opened.
    """
    if not _URI.match(str(path)):
        files = sorted(entry for entry in path.rglob("*") if entry.is_file())
        return tuple((file.relative_to(path).as_posix(), file.stat().st_size) for file in files)
    where = soma_address(path)
    with _open(path) as root, _damage(where):
        sizes = [("obs", int(root.obs.count))]
        for name, measurement in root.ms.items():
            sizes.append((f"{name}/var", int(measurement.var.count)))
            sizes += [(f"{name}/X/{layer}", _entries(array)) for layer, array in measurement.X.items()]
    return tuple(sorted(sizes))


class SomaMeasurement:
    """A measurement of an open experiment, with the cells that a filter leaves.

    Attributes:
        where: Source, for messages.
        base: The experiment alone, for messages.
        notes: What is read of several.
    """

    def __init__(self, root: Any, base: str, where: str, part: str | None, value_filter: str | None) -> None:
        self.where, self.base, self.value_filter = where, base, value_filter
        self._root, self._inside = root, None if _URI.match(base) else root.uri
        self._obs = self._member(root, "obs")
        measurements = self._member(root, "ms")
        names = sorted(measurements)
        self._name = part or (names[0] if len(names) == 1 else MEASUREMENT)
        if self._name not in names:
            listed = ", ".join(self._named(name) for name in names)
            raise DataError(
                f"{where}: it has no measurement {self._name!r}. Name one of them behind the experiment: {listed}."
            )
        self.notes = _of_several("measurement", self._name, names)
        self._measurement = self._member(measurements, self._name)
        self._var = self._member(self._measurement, "var")
        self._names = names

    def open(self, layer: str | None) -> Opened:
        """Find the matrix that `layer` names; where it is None, the layer `raw`, or the only one.

        Raises:
            DataError: There is no such layer, or there are several and none is named.
        """
        matrices = self._member(self._measurement, "X")
        found = self._layer(sorted(matrices), layer)
        array, cells, genes = self._member(matrices, found), self._cells(), self._joinids(self._var)
        rows = (SparseRows if hasattr(array, "nnz") else DenseRows)(array, cells, genes, self.where)
        notes = self.notes + (_of_several("layer", found, sorted(matrices)) if layer is None else ())
        matrix = StoredMatrix((len(cells), len(genes)), by_row=True, rows=rows)
        # What scanpy did to X: `from_anndata` calls it data.
        logged = self._logged() if found == "data" else None
        return Opened(self.where, matrix, lambda: (self.obs(), self.var()), log_base(logged), notes)

    def obs(self) -> pd.DataFrame:
        """Read the table of the cells that the filter leaves."""
        return _as_frame(self._read(self._obs, self.value_filter), self._obs, _OBS_NAMES)

    def var(self) -> pd.DataFrame:
        """Read the table of the genes."""
        return _as_frame(self._read(self._var), self._var, _VAR_NAMES)

    def size(self) -> tuple[tuple[int, int], int]:
        """Return how many cells and genes there are, all cells of them, and the values of the largest layer."""
        with _damage(self.where):
            layers = self._member(self._measurement, "X").values()
            return (int(self._obs.count), int(self._var.count)), max(map(_entries, layers), default=0)

    def _layer(self, names: list[str], layer: str | None) -> str:
        if layer is None and (LAYER in names or len(names) == 1):
            return LAYER if LAYER in names else names[0]
        if layer in names:
            return str(layer)
        if layer is None:
            offer = f"{argument('layer')}: {', '.join(names)}" if names else "another measurement"
            raise DataError(f"{self.where}: X has {len(names)} layers, none of them {LAYER!r}. Name {offer}.")
        other = f" .raw is a measurement: name {self._named(LAYER)}." if layer == LAYER and LAYER in self._names else ""
        raise DataError(f"{self.where}: X has no layer {layer!r}.{other or did_you_mean(layer, names)}")

    def _named(self, measurement: str) -> str:
        return f"{self.base}/{'ms/' if self._inside is None else ''}{measurement}"

    @property
    def _shown(self) -> str:
        text = str(self.value_filter)
        return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")

    def _cells(self) -> NDArray[np.int64]:
        cells = self._joinids(self._obs, self.value_filter)
        if self.value_filter is not None and not len(cells):
            raise DataError(f"{self.where}: {argument('obs_value_filter')} {self._shown} leaves no cell.")
        return cells

    def _joinids(self, frame: Any, value_filter: str | None = None) -> NDArray[np.int64]:
        return np.sort(self._read(frame, value_filter, [_JOINID])[_JOINID].to_numpy().astype(np.int64))

    def _read(self, frame: Any, value_filter: str | None = None, columns: list[str] | None = None) -> Any:
        """Read rows as a table of Arrow.

        Raises:
            DataError: The filter is none, or the experiment is damaged.
        """
        import tiledbsoma

        with _damage(self.where):
            try:
                found = frame.read(column_names=columns, value_filter=value_filter)
            except tiledbsoma.SOMAError as error:  # the filter is understood here, and nothing is read yet
                if value_filter is None:
                    raise
                raise DataError(self._refused(str(error))) from error
            return found.concat()

    def _refused(self, error: str) -> str:
        columns = [str(name) for name in self._obs.keys() if name != _JOINID]  # noqa: SIM118 - no mapping
        said = f"{self.where}: {argument('obs_value_filter')} {self._shown}"
        unknown = re.search(r"Column '?(.+?)'? does not exist", error)
        if unknown:
            return f"{said}: obs has no column {unknown[1]!r}.{did_you_mean(unknown[1], columns)}"
        reason = error.splitlines()[0].removeprefix("SOMAError: ").split(" statement: ")[0].rstrip(".")
        return f'{said} is no filter ({reason}). Write it as tissue == "blood"; obs has {examples(columns)}.'

    def _member(self, group: Any, name: str) -> Any:
        """Open a member of a group; of a folder none that lies elsewhere, as nobody gave that."""
        with _damage(self.where):
            if name not in group:
                raise DataError(f"{self.where}: the experiment has no {name!r}. Is it written to the end?")
            member = group[name]
            if self._inside is not None and not member.uri.startswith(f"{self._inside.rstrip('/')}/"):
                raise DataError(f"{self.where}: {name} lies at {member.uri!r}, outside of the folder: not followed.")
            return member

    def _logged(self) -> Any:
        with _damage(self.where):
            group = self._measurement
            for name in ("uns", "log1p"):
                if name not in group:
                    return None
                group = self._member(group, name)
            return dict(group.metadata)


@contextmanager
def open_soma(path: Path, value_filter: str | None = None) -> Iterator[SomaMeasurement]:
    """Open a measurement of an experiment.

    Args:
        path: An experiment, and a measurement behind it where it is not `RNA` or the only one.
        value_filter: Cells to read, a condition on columns of `obs` as `tiledbsoma.DataFrame.read` takes it.

    Raises:
        DataError: There is no experiment, no such measurement, or tiledbsoma is not installed.
    """
    experiment, part = soma_located(path) or (path, None)
    with _open(experiment) as root:
        yield SomaMeasurement(root, soma_address(experiment), soma_address(path), part, value_filter)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    where = soma_address(path)
    try:
        import tiledbsoma
    except ImportError as error:
        raise DataError(
            f"{where}: reading TileDB-SOMA needs tiledbsoma, which cannot be imported ({error}). Install it: pip "
            'install "scgraph-zoo[soma]".'
        ) from error
    context = tiledbsoma.SOMATileDBContext(tiledb_config=_SETTINGS)
    address = where if _URI.match(where) else f"file://{path.absolute()}"
    try:
        root = tiledbsoma.open(address, context=context)
    except (tiledbsoma.SOMAError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{where}: cannot be opened as a SOMA experiment ({reason}).") from error
    with root:
        if not isinstance(root, tiledbsoma.Experiment):
            raise DataError(f"{where}: is a {type(root).__name__} of SOMA. Name the experiment that it is of.")
        yield root


@contextmanager
def _damage(where: str) -> Iterator[None]:
    """Turn what TileDB raises over damage into a `DataError` that names the experiment."""
    import tiledbsoma

    try:
        with damage(where):
            yield
    except tiledbsoma.SOMAError as error:
        raise DataError(f"{where}: the experiment is damaged ({str(error).splitlines()[0]}). Copy it again.") from error


def _as_frame(table: Any, frame: Any, usual: tuple[str, ...]) -> pd.DataFrame:
    """Order rows by their ids, with their names as the index: what was one, or else a usual column, or else the ids."""
    import pandas as pd

    rows: pd.DataFrame = table.to_pandas().sort_values(_JOINID, kind="stable", ignore_index=True)
    joinids = rows.pop(_JOINID)
    try:
        original = parse_json(frame.metadata.get(_INDEX, "null"))
    except (TypeError, ValueError):
        original = None
    names = [name for name in (original, *usual) if isinstance(name, str) and name in rows]
    rows.index = pd.Index((rows.pop(names[0]) if names else joinids).astype(str).to_numpy())
    return rows


def _entries(array: Any) -> int:
    return int(array.nnz) if hasattr(array, "nnz") else int(np.prod(array.shape))


def _of_several(what: str, name: str, names: list[str]) -> tuple[str, ...]:
    others = ", ".join(other for other in names if other != name)
    return (f"the {what} {name!r} is read, and nothing of {others}",) if others else ()
