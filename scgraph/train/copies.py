"""A copy of a file of cells, with what a model made of them added: vectors, or a layer."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scgraph.data.files.copying import write_h5ad
from scgraph.data.files.forms import CountsForm, Form, GroupForm, open_form
from scgraph.data.files.storage import is_array
from scgraph.data.files.stored import damage
from scgraph.errors import DataError, OutputError
from scgraph.files import check_new_file, check_writable, file_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import h5py

    from scgraph.data.files.stream import CellStream

__all__ = [
    "Place",
    "adding",
    "check_copy",
    "check_place",
    "copied",
    "make_group",
    "write_record",
]


@dataclass(frozen=True)
class Place:
    """Where numbers of the cells stand in a file, and the record of how they came about.

    Attributes:
        group: `obs`, `obsm` or `layers`.
        key: Name in the group.
        record: Name of the record in `uns`.
        fields: Entries by which a record of these numbers is known.
        what: What the numbers are, for messages.
    """

    group: str
    key: str
    record: str
    fields: frozenset[str]
    what: str

    def __str__(self) -> str:
        """Name it as users do."""
        return f"{self.group}[{self.key!r}]"


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


def check_copy(data: Path, out: Path, place: Place, *, width: int | None) -> tuple[int, int]:
    """Refuse what would keep numbers from being added to a copy, before any is computed.

    Args:
        data: File of the cells.
        out: The copy.
        place: Where the numbers go.
        width: Numbers of a cell; None for one a feature of the file.

    Returns:
        How many cells and features the file has.

    Raises:
        DataError: The file holds something else under the names that are written.
        OutputError: The disk is too full.
    """
    with open_form(data) as form, damage(str(data)):
        if isinstance(form, GroupForm):
            _refuse_collisions(form.root, str(data), place)
        cells, features = _shape(form)
        size = form.size()
    numbers = cells * (features if width is None else width)
    needed, free = size + 4 * numbers, shutil.disk_usage(out.resolve().parent).free
    if free < needed:
        raise OutputError(
            f"{out}: its disk has {free / 1e9:,.1f} GB left and {needed / 1e9:,.1f} GB are needed. Free some space or "
            "choose another disk."
        )
    return cells, features


def _shape(form: Form) -> tuple[int, int]:
    """Return how many cells and features a source has, 0 where that is not plain to see."""
    if isinstance(form, GroupForm):
        cells, features = (_length(form.root, name) for name in ("obs", "var"))
        return cells, features
    assert isinstance(form, CountsForm)
    return form.shape()


def _length(root: Any, name: str) -> int:
    index = root[name].attrs.get("_index") if name in root else None
    return int(root[name][index].shape[0]) if isinstance(index, str) and index in root[name] else 0


@contextmanager
def copied(stream: CellStream, out: Path, *, overwrite: bool, say: Callable[[str], None]) -> Iterator[h5py.File]:
    """Copy the file of a stream byte for byte, open for what is added; it gets the name `out` when the block ends.

    What is no .h5ad file becomes one that holds the same.

    Yields:
        The copy.

    Raises:
        DataError: The file changed since it was read.
        OutputError: `out` cannot be written, or stands there by now.
    """
    import h5py

    assert stream.path is not None
    with file_atomic(out) as beside:
        with open_form(stream.path) as form, adding(out):
            foreign = not (isinstance(form, GroupForm) and form.path)
            if foreign:
                say(f"{stream.path}: is a {form.kind}; {out} is an .h5ad file of the same cells")
                write_h5ad(form, beside, stream.layer)
        if not foreign:
            shutil.copyfile(stream.path, beside)
        stream.check_unchanged()
        with adding(out):
            file = h5py.File(beside, "r+")
        with file:
            yield file
        check_new_file(out, overwrite=overwrite)  # by another process, meanwhile


@contextmanager
def adding(out: Path) -> Iterator[None]:
    """Turn what libraries raise over a copy that takes no more into an `OutputError` that names it."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise OutputError(f"{out}: nothing can be added to the copy ({error}).") from error


def write_record(file: h5py.File, place: Place, record: dict[str, Any]) -> None:
    """Write the record of numbers into a copy."""
    from anndata.io import write_elem

    make_group(file, "uns")
    write_elem(file["uns"], place.record, record)


def _refuse_collisions(root: Any, where: str, place: Place) -> None:
    for name in (place.group, "uns"):
        table = name in ("obs", "obsm") and _columns(root.get(name)) is not None
        if name in root and is_array(root[name]) and not table:
            raise DataError(f"{where}: {name} is no group, so nothing can be added to it. Write the file again.")
    record = root["uns"].get(place.record) if "uns" in root else None
    ours = record is not None and not is_array(record) and place.fields <= set(record)
    if record is not None and not ours:
        raise DataError(f"{where}: uns[{place.record!r}] is there and is no record of scgraph. Rename or remove it.")
    group = root.get(place.group)
    columns = _columns(group)
    there: Any = None
    if place.group == "obs" and columns is not None:
        there = place.key if place.key in columns else None
    elif group is not None and not is_array(group):
        there = group.get(place.key)
    array = there is not None and is_array(there) and there.ndim == 2 and (ours or place.group == "obsm")
    known = ours if place.group == "obs" else array
    if there is not None and not known:
        raise DataError(f"{where}: {place} is there and holds no {place.what}. Rename or remove it.")


def _columns(table: Any) -> tuple[str, ...] | None:
    """Return the columns of a table as anndata 0.6 wrote it, one array of compound type; None for anything else."""
    return getattr(getattr(table, "dtype", None), "names", None)


def make_group(file: h5py.File, name: str) -> None:
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
