"""Parts of the cells, each embedded by a process of its own on any machine, and the folders that they are kept in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scgraph.errors import ConfigError, OutputError, argument

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Part", "parts_beside"]


@dataclass(frozen=True, order=True)
class Part:
    """One of several ranges of cells, as equal as can be, that make up all of them in their order.

    Attributes:
        of: How many parts there are.
        number: Which one, from 1.
    """

    of: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read ``K/N``.

        Raises:
            ConfigError: It is something else, or there is no such part.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
        number, of = (int(one) for one in match.groups()) if match else (0, 0)
        if not 1 <= number <= of:
            raise ConfigError(
                f"{argument('part')}: {text!r} is no part. Name its number, from 1, and how many there are, as in 2/8."
            )
        return cls(of, number)

    def rows(self, cells: int) -> range:
        """Return the rows of this part of so many."""
        return range(cells * (self.number - 1) // self.of, cells * self.number // self.of)

    def place(self, out: Path) -> Path:
        """Return the folder for the vectors of this part of a file."""
        return out.with_name(f"{out.name}.partial-{self.number}-of-{self.of}")

    def __str__(self) -> str:
        """Write it as it is read."""
        return f"{self.number}/{self.of}"


def parts_beside(out: Path) -> list[Part]:
    """Return all parts of a file of which a folder stands beside it: none, or N where one at least is there.

    Raises:
        OutputError: Folders of several divisions stand there.
    """
    name = re.compile(rf"{re.escape(out.name)}\.partial-(\d+)-of-(\d+)", re.ASCII)
    folder = out.resolve().parent
    found = [match for entry in folder.iterdir() if (match := name.fullmatch(entry.name)) and entry.is_dir()]
    divisions = sorted({int(match[2]) for match in found})
    if len(divisions) > 1:
        raise OutputError(
            f"{out}: folders of {' and of '.join(map(str, divisions))} parts stand beside it "
            f"({', '.join(sorted(match[0] for match in found)[:4])}, ...). Remove those that are not wanted."
        )
    return [Part(of, number) for of in divisions for number in range(1, of + 1)]
