"""The forms in which cells come, told apart, each opened as what all readers share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.data.files.anndata_group import is_layer, open_group, read_table
from scgraph.data.files.claims import check_matrix
from scgraph.data.files.hdf5 import check_there, open_file
from scgraph.data.files.market import Market, find_market, is_market
from scgraph.data.files.soma import is_soma, open_soma, soma_address, soma_located, soma_state
from scgraph.data.files.storage import claimed_bytes, datasets_of
from scgraph.data.files.stored import Opened, damage
from scgraph.data.files.tenx import tenx_genomes, tenx_group, tenx_matrix, tenx_tables
from scgraph.data.files.zarrs import is_zarr, open_zarr
from scgraph.errors import DataError, argument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from scgraph.data.files.soma import SomaMeasurement
    from scgraph.data.files.stored import StoredMatrix

__all__ = [
    "CountsForm",
    "Form",
    "GroupForm",
    "changed",
    "file_sha256",
    "open_cells",
    "open_form",
    "path_text",
    "short_name",
]

_COPIED_VALUE = 12
"""Bytes that a value of a matrix of text, or of SOMA, takes in a copy, its index with it."""

MODALITY = "rna"
"""What is read of a file of several modalities where none is named."""


class Form(ABC):
    """An open source of cells.

    Attributes:
        where: Source, for messages.
        kind: What it is called, for messages.
    """

    where: str
    kind: str

    @abstractmethod
    def open(self, layer: str | None) -> Opened:
        """Find the matrix that `layer` names, X where it is None."""

    @abstractmethod
    def features(self, layer: str | None) -> pd.DataFrame:
        """Read the table of genes that X and the layers have, whichever matrix is read."""

    @abstractmethod
    def size(self) -> int:
        """Return the bytes that a copy as .h5ad takes."""


class GroupForm(Form):
    """A group laid out as AnnData: an .h5ad file, a zarr, or a modality of either.

    Attributes:
        root: The group, of HDF5 or zarr.
        path: The file, where it is an .h5ad file and nothing else.
        common: Table of the cells of all modalities, or None.
    """

    def __init__(self, root: Any, where: str, kind: str, *, path: Path | None = None) -> None:
        self.root, self.where, self.kind, self.path = root, where, kind, path
        self.common: Any = None
        self.modality = ""
        self.notes: tuple[str, ...] = ()

    def open(self, layer: str | None) -> Opened:
        """Find a matrix."""
        opened = open_group(self.root, self.where, layer, old=self.path)

        def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
            obs, var = opened.tables()
            return self.with_common(obs), var

        return Opened(self.where, opened.matrix, tables, opened.log_base, self.notes)

    def with_common(self, obs: pd.DataFrame) -> pd.DataFrame:
        """Add to the table of a modality what only that of all modalities says of its cells."""
        if self.common is None:
            return obs
        common = read_table(self.common, self.where, "obs of all modalities")
        if not common.index.is_unique or not obs.index.is_unique:
            return obs
        others = [str(name) for name in common if name not in obs and not str(name).startswith(f"{self.modality}:")]
        return obs.join(common[others])

    def obs(self) -> pd.DataFrame:
        """Read the table of the cells, with what that of all modalities says of them."""
        return self.with_common(read_table(self.root["obs"], self.where, "obs"))

    def features(self, layer: str | None) -> pd.DataFrame:
        """Read the table of genes of X and the layers."""
        main = layer if layer is not None and is_layer(self.root, layer, self.where) else None
        return open_group(self.root, self.where, main, old=self.path).tables()[1]

    def size(self) -> int:
        """Return the bytes of the file, or those of all arrays."""
        return self.path.stat().st_size if self.path else sum(map(claimed_bytes, datasets_of(self.root)))


class CountsForm(Form):
    """A matrix with the names of its cells and genes, and nothing else: a file or a folder of 10x."""

    def __init__(
        self,
        matrix: Callable[[], StoredMatrix],
        tables: Callable[[], tuple[pd.DataFrame, pd.DataFrame]],
        size: Callable[[], tuple[tuple[int, int], int]],
        where: str,
        kind: str,
    ) -> None:
        self.matrix, self.tables, self._size, self.where, self.kind = matrix, tables, size, where, kind

    def shape(self) -> tuple[int, int]:
        """Return how many cells and features it has."""
        return self._size()[0]

    def open(self, layer: str | None) -> Opened:
        """Find the matrix.

        Raises:
            DataError: A layer is asked for.
        """
        if layer is not None:
            raise DataError(f"{self.where}: a {self.kind} has no layers, so no layer {layer!r}. Leave the layer out.")
        return Opened(self.where, self.matrix(), self.tables)

    def features(self, layer: str | None) -> pd.DataFrame:
        """Read the table of genes."""
        return self.tables()[1]

    def size(self) -> int:
        """Return the bytes of the matrix."""
        return self._size()[1]


class SomaForm(CountsForm):
    """A measurement of a TileDB-SOMA experiment."""

    def __init__(self, measurement: SomaMeasurement) -> None:
        self.measurement, self.where, self.kind = measurement, measurement.where, "TileDB-SOMA experiment"

    def open(self, layer: str | None) -> Opened:
        """Find a matrix."""
        return self.measurement.open(layer)

    def features(self, layer: str | None) -> pd.DataFrame:
        """Read the table of genes."""
        return self.measurement.var()

    def shape(self) -> tuple[int, int]:
        """Return how many cells and features it has."""
        return self.measurement.size()[0]

    def size(self) -> int:
        """Return the bytes that the values of its largest layer take in a copy."""
        return _COPIED_VALUE * self.measurement.size()[1]


@contextmanager
def open_form(path: Path, obs_value_filter: str | None = None) -> Iterator[Form]:
    """Open a source of cells, whatever its form.

    Args:
        path: The source.
        obs_value_filter: Which cells of a TileDB-SOMA experiment are read.

    Raises:
        DataError: There is none, or it is damaged, ambiguous or of a form that is not known; or there is a filter, and
            it is no experiment.
    """
    where = path_text(path)
    file, part = _located(path)
    form: Form
    if is_soma(file):
        with open_soma(path, obs_value_filter) as measurement:
            yield SomaForm(measurement)
    elif obs_value_filter is not None:
        if not file.is_dir():
            check_there(file)
        raise DataError(
            f"{where}: {argument('obs_value_filter')} chooses cells of TileDB-SOMA experiments alone, and this is none."
        )
    elif part is None and is_market(file):
        yield _of_market(find_market(file), where, "10x folder" if file.is_dir() else "10x matrix")
    elif file.is_dir() and not is_zarr(file):
        raise DataError(f"{where}: {_what_is_wrong(file)}")
    elif is_zarr(file):
        with open_zarr(file) as root:
            with damage(where):
                form = _of_group(root, file, part, where, "zarr")
            yield form
    else:
        with open_file(file) as root:
            with damage(where):
                genomes = tenx_genomes(root)
                if genomes:
                    form = _of_tenx(tenx_group(genomes, part, str(file), where), where)
                else:
                    form = _of_group(root, file, part, where, ".h5ad file")
            yield form


@contextmanager
def open_cells(path: Path, layer: str | None, obs_value_filter: str | None = None) -> Iterator[Opened]:
    """Open a source of cells and find its matrix, see `open_form`.

    Raises:
        DataError: A part is missing, damaged or in a form that is not known.
    """
    with open_form(path, obs_value_filter) as form:
        with damage(form.where):
            opened = form.open(layer)
            check_matrix(opened.matrix, form.where)
        yield opened


def path_text(path: Path) -> str:
    """Return a path, or a URI, as its user writes it."""
    return soma_address(path)


def short_name(path: Path) -> str:
    """Return a name for tables.

    >>> short_name(Path("outs/pbmc.zarr.zip")), short_name(Path("GSM1_matrix.mtx.gz"))
    ('pbmc', 'GSM1_matrix')
    """
    file, part = _located(path)
    name = file.name.removesuffix(".zip").removesuffix(".gz")
    return Path(name).stem + (f"-{part}" if part else "")


def file_sha256(path: Path) -> str:
    """Return the checksum of a file; of several, that of their names and checksums, of SOMA that of names and sizes."""
    file, _ = _located(path)
    if is_soma(file):
        return hashlib.sha256(repr(soma_state(file)).encode()).hexdigest()
    files = _files(path)
    sums = []
    for file in files:
        with file.open("rb") as content:
            sums.append(hashlib.file_digest(content, "sha256").hexdigest())
    if len(files) == 1:
        return sums[0]
    root = path if path.is_dir() else path.parent
    lines = (f"{digest}  {file.relative_to(root).as_posix()}\n" for file, digest in zip(files, sums, strict=True))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def changed(path: Path) -> tuple[tuple[str, int], ...]:
    """Return when each file was changed last; another value where one was since."""
    file, _ = _located(path)
    if is_soma(file):
        return soma_state(file)
    return tuple((str(file), file.stat().st_mtime_ns) for file in _files(path))


def _located(path: Path) -> tuple[Path, str | None]:
    """Split the name of a part off the file that it is in, as in `cells.h5mu/rna`."""
    if path.parent.is_file():
        return path.parent, path.name
    return soma_located(path) or (path, None)


def _files(path: Path) -> list[Path]:
    file, _ = _located(path)
    if is_market(file):
        return list(find_market(file).files())
    return sorted(entry for entry in file.rglob("*") if entry.is_file()) if file.is_dir() else [file]


def _of_market(market: Market, where: str, kind: str) -> CountsForm:
    """Return a matrix of text, of which no more is read here than is asked."""

    def size() -> tuple[tuple[int, int], int]:
        cells, features, entries = market.size(where)
        return (cells, features), _COPIED_VALUE * entries

    return CountsForm(lambda: market.stored(where), market.tables, size, where, kind)


def _of_tenx(group: Any, where: str) -> CountsForm:
    matrix = tenx_matrix(group)

    def size() -> tuple[tuple[int, int], int]:
        return (matrix.shape[0], matrix.shape[1]), sum(map(claimed_bytes, matrix.datasets()))

    return CountsForm(lambda: matrix, lambda: tenx_tables(group, where), size, where, "10x file")


def _of_group(root: Any, file: Path, part: str | None, where: str, kind: str) -> GroupForm:
    """Return the modality that is meant, or the whole of what has none."""
    if "mod" not in root or "X" in root:
        if part is not None:
            raise DataError(
                f"{where}: there is no {part!r} in {file.name}, which holds one matrix. Name the file alone."
            )
        return GroupForm(root, where, kind, path=file if kind == ".h5ad file" else None)
    names = list(root["mod"])
    chosen = part or (names[0] if len(names) == 1 else MODALITY)
    if chosen not in names:
        base = f"{file}/mod" if file.is_dir() else file
        listed = ", ".join(f"{base}/{name}" for name in names)
        raise DataError(f"{where}: it has no modality {chosen!r}. Name one of them behind the file: {listed}.")
    form = GroupForm(root["mod"][chosen], where, "modality")
    form.modality, form.common = chosen, root.get("obs")
    if len(names) > 1:
        others = ", ".join(name for name in names if name != chosen)
        form.notes = (f"the modality {chosen!r} is read, and nothing of {others}",)
    return form


def _what_is_wrong(folder: Path) -> str:
    entries = sorted(entry.name for entry in folder.iterdir())
    if not entries:
        return "this is a folder with nothing in it. Name a file of cells, a .zarr or a folder of Cell Ranger."
    within = [entry for entry in entries if (folder / entry).is_dir() and is_market(folder / entry)]
    if within:
        named = ", ".join(str(folder / entry) for entry in within[:5])
        return f"this is a folder of folders. Name one of them: {named}."
    shown = ", ".join(entries[:5]) + (", ..." if len(entries) > 5 else "")
    return (
        "this is a folder, but no zarr, no TileDB-SOMA experiment and none of Cell Ranger (matrix.mtx, features.tsv, "
        f"barcodes.tsv). Name a file in it; it holds {shown}."
    )
