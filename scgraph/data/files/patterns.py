"""Files named by a pattern, as `"atlas/*.h5ad"`."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["expand_patterns"]

_Other = TypeVar("_Other")


def expand_patterns(sources: Sequence[str | Path | _Other]) -> list[str | Path | _Other]:
    """Put in place of each text with `*`, `?` or `[...]` the files and folders that it matches, sorted by name.

    `**` stands for folders of any depth. What is there under that very name is taken as it is. A file that is named
    elsewhere in the list, or matched by an earlier pattern, is not taken again.

    Raises:
        DataError: Nothing matches.
    """
    named = {str(source) for source in sources if isinstance(source, str | Path)}
    found: list[str | Path | _Other] = []
    for source in sources:
        if not isinstance(source, str) or not glob.has_magic(source) or Path(source).exists():
            found.append(source)
            continue
        matched = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matched:
            raise DataError(
                f"{source}: no file matches. Look at the folder and the ending; in a shell a pattern stands in quotes."
            )
        new = [path for path in matched if path not in named]
        named.update(new)
        found += new
    return found
