"""Classes of two labelled sets that mean the same, by their names or by a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.files.names import examples
from scgraph.errors import DataError, argument, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["Pairs", "SharedClasses", "check_pairs", "read_pairs", "share_classes"]

Pairs = tuple[tuple[str, str], ...]
"""Names of a class in one set and in the other."""


@dataclass(frozen=True)
class SharedClasses:
    """Classes that two sets share.

    Attributes:
        names: of the shared classes.
        ours: for every class of the first set its place in `names`, -1 where the other set lacks it.
        theirs: the same for the other set.
    """

    names: tuple[str, ...]
    ours: NDArray[np.int64]
    theirs: NDArray[np.int64]


def read_pairs(path: str | Path) -> Pairs:
    """Read pairs of classes from a table of two columns, divided by tabs and without a header.

    Raises:
        DataError: the file cannot be read, is empty, or a line has not two names; names the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise DataError(f"{path}: the table of classes cannot be read ({reason}).") from error
    pairs = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        names = [name.strip() for name in line.split("\t")]
        if len(names) != 2 or not all(names):
            raise DataError(
                f"{path}: line {number} is {line[:80]!r}; two names are needed, divided by a tab: the class of "
                f"{argument('data')}, the class of {argument('transfer')}."
            )
        pairs.append((names[0], names[1]))
    if not pairs:
        raise DataError(f"{path}: the table of classes is empty.")
    return tuple(pairs)


def check_pairs(path: str | Path, pairs: Pairs, ours: Iterable[str], theirs: Iterable[str]) -> None:
    """Refuse pairs that name a class which is in none of the sets.

    Args:
        path: of the table, for the message.
        pairs: see `read_pairs`.
        ours: classes of all sets of the first column.
        theirs: classes of all sets of the second.

    Raises:
        DataError: as said.
    """
    for column, known in enumerate((set(ours), set(theirs))):
        there = {_key(name) for name in known}
        unknown = [name for name in dict.fromkeys(pair[column] for pair in pairs) if _key(name) not in there]
        if unknown:
            sets = argument(("data", "transfer")[column])
            raise DataError(
                f"{path}: column {column + 1} names {examples(unknown)}, which is no class of {sets}."
                f"{did_you_mean(unknown[0], sorted(known))}"
            )


def share_classes(ours: Sequence[str], theirs: Sequence[str], pairs: Pairs | None = None) -> SharedClasses:
    """Find the classes that two sets share.

    Without pairs these are classes of the same name, case and blanks around it ignored; with pairs those alone. Classes
    that are tied to the same one become one class.

    Args:
        ours: classes of one set.
        theirs: classes of the other.
        pairs: see `read_pairs`; those of which a set lacks the class are left out.
    """
    keys = [_key(name) for name in (*ours, *theirs)]
    named = {(key, key) for key in keys} if pairs is None else {(_key(one), _key(other)) for one, other in pairs}
    group = np.arange(len(keys))
    tied = np.zeros(len(keys), dtype=bool)
    for at, key in enumerate(keys[: len(ours)]):
        for other, their_key in enumerate(keys[len(ours) :], start=len(ours)):
            if (key, their_key) in named:
                group[group == group[other]] = group[at]
                tied[[at, other]] = True
    first = list(dict.fromkeys(group[tied].tolist()))
    place = np.asarray([first.index(own) if yes else -1 for own, yes in zip(group, tied, strict=True)], dtype=np.int64)
    names = tuple(ours[place[: len(ours)].tolist().index(number)] for number in range(len(first)))
    return SharedClasses(names, place[: len(ours)], place[len(ours) :])


def _key(name: str) -> str:
    return name.strip().casefold()
