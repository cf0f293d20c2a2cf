"""What people do with features of cells, each use asked of every representation of a bench.

A further use is a file with a `Use` in it, and its place in `USES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgraph.bench.uses.base import Use, UseContext
from scgraph.bench.uses.batches import BATCHES
from scgraph.bench.uses.few import FEW
from scgraph.bench.uses.neighbors import NEIGHBORS
from scgraph.bench.uses.shallow import SHALLOW
from scgraph.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["USES", "Use", "UseContext", "uses_by_name"]

USES: tuple[Use, ...] = (FEW, SHALLOW, BATCHES, NEIGHBORS)
"""In the order of tables."""


def uses_by_name(names: Sequence[str]) -> tuple[Use, ...]:
    """Return uses in the order of tables.

    Raises:
        ConfigError: a name is unknown.
    """
    known = {use.name: use for use in USES}
    for name in names:
        if name not in known:
            raise ConfigError(f"Unknown use {name!r}.{did_you_mean(name, known)}")
    return tuple(use for use in USES if use.name in names)
