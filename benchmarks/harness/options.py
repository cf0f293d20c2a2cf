"""Options that several scripts have, and what is refused of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scgraph.errors import ConfigError

__all__ = [
    "FEW_BASELINES",
    "BatchSize",
    "Channels",
    "Corpus",
    "MemoryGb",
    "Out",
    "Rank",
    "check_heads",
    "whole_numbers",
]

HEADS = 8
FEW_BASELINES = "baselines=[majority, pca+logreg]"
"""A setting of benches that run many times on the same cells: what every baseline reaches is measured by others."""

Out = Annotated[Path, typer.Option(help="Folder for the results.")]
Channels = Annotated[int, typer.Option(min=8, help="Width C; a multiple of 8.")]
Rank = Annotated[int, typer.Option(min=1, help="Rank R of the adjacency.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Cells of a batch.")]
Corpus = Annotated[list[str] | None, typer.Option(help="Cells to pretrain on.  [default: train part]")]
MemoryGb = Annotated[
    float | None, typer.Option(min=0.001, help="Limit of a process, 10⁹ bytes.  [default: what is available]")
]


def check_heads(channels: int) -> None:
    """Refuse a width that the heads of attention do not divide.

    Raises:
        ConfigError: as said.
    """
    if channels % HEADS:
        raise ConfigError(f"--channels: {channels} is no multiple of {HEADS}, the number of heads.")


def whole_numbers(option: str, text: str, separator: str = ",") -> list[int]:
    """Return the positive numbers in a list, each once, in order of size where commas separate them.

    Raises:
        ConfigError: a word is no positive number.
    """
    numbers: list[int] = []
    for word in (part.strip() for part in text.split(separator)):
        if not word.isdecimal() or int(word) < 1:
            raise ConfigError(f"{option}: {word!r} is no positive number.")
        numbers.append(int(word))
    return sorted(set(numbers)) if separator == "," else numbers
