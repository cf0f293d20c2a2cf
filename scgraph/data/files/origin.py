"""Which cell of which file stands in a row of a store, for messages that speak of single cells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Origin"]


@dataclass(frozen=True, eq=False)
class Origin:
    """Files whose cells stand one after another, and which of these cells are meant.

    Attributes:
        files: The files, or names of sources that are none.
        starts: Cells before each file, and of all, int64 `[files + 1]`.
        at: The cells that are meant, as places in this order, int64 `[n]`.
        names: Name of every cell in this order, or None where a store on disk holds none.
    """

    files: tuple[str, ...]
    starts: NDArray[np.int64]
    at: NDArray[np.int64]
    names: NDArray[np.str_] | None

    @classmethod
    def of(cls, files: Sequence[str], sizes: Sequence[int], names: NDArray[np.str_] | None = None) -> Origin:
        """Return the origin of all cells of some files."""
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return cls(tuple(files), starts, np.arange(starts[-1]), names)

    @classmethod
    def concat(cls, parts: Sequence[Origin | None]) -> Origin | None:
        """Return the origin of cells that stand one after another; None where that of a part is not known."""
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        before = np.cumsum([0, *(part.starts[-1] for part in known)])
        names = [part.names for part in known if part.names is not None]
        return cls(
            tuple(file for part in known for file in part.files),
            np.concatenate([[0], *(part.starts[1:] + start for part, start in zip(known, before, strict=False))]),
            np.concatenate([part.at + start for part, start in zip(known, before, strict=False)]),
            np.concatenate(names) if len(names) == len(known) else None,
        )

    def subset(self, rows: NDArray[np.integer[Any]]) -> Origin:
        """Return the origin of the rows `rows`, in that order."""
        return Origin(self.files, self.starts, self.at[rows], self.names)

    def save(self, folder: Path) -> None:
        """Lay it into a folder that is not there yet, for another process."""
        folder.mkdir()
        (folder / "files.json").write_text(json.dumps(self.files), encoding="utf-8")
        np.savez(folder / "arrays.npz", **{name: getattr(self, name) for name in self._arrays()})

    @classmethod
    def load(cls, folder: Path) -> Origin:
        """Return what `save` laid into a folder."""
        with np.load(folder / "arrays.npz", allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        files = tuple(json.loads((folder / "files.json").read_text(encoding="utf-8")))
        return cls(files, **{"names": None, **arrays})

    def _arrays(self) -> list[str]:
        return ["starts", "at", *(["names"] if self.names is not None else [])]

    def describe(self, rows: Sequence[int], *, most: int = 20) -> str:
        """Name the cells of some rows, file by file; `most` of them at the most.

        >>> names = np.array(["a", "b", "c"])
        >>> Origin.of(["x.h5ad", "y.h5ad"], [2, 1], names).describe([2, 0])
        "cell 'a' of x.h5ad; cell 'c' of y.h5ad"
        """
        places = np.sort(self.at[np.asarray(rows, dtype=np.int64)])
        shown = places[:most]
        numbers = np.searchsorted(self.starts, shown, side="right") - 1
        parts = []
        for number in np.unique(numbers):
            own = shown[numbers == number]
            if self.names is None:
                listed = [str(place - self.starts[number]) for place in own]
                what = f"row{'s' * (len(own) > 1)} {', '.join(listed)} (counted from 0)"
            else:
                what = f"cell{'s' * (len(own) > 1)} {', '.join(repr(str(self.names[place])) for place in own)}"
            parts.append(f"{what} of {self.files[number]}")
        return "; ".join(parts) + (f"; ... ({len(places)} in all)" if len(places) > most else "")
