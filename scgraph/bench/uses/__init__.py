"""What people do with features of cells, each use asked of every representation of a bench.

A further use is a file with a `Use` in it, and its place in `USES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgraph.bench.uses.base import Use, UseContext
from scgraph.bench.uses.batches import BATCHES
from scgraph.bench.uses.few import FEW
from scgraph.bench.uses.imputation import IMPUTATION
from scgraph.bench.uses.labels import LABELS
from scgraph.bench.uses.neighbors import NEIGHBORS
from scgraph.bench.uses.scib import SCIB, check_scib
from scgraph.bench.uses.shallow import SHALLOW
from scgraph.bench.uses.transfer import TRANSFER
from scgraph.errors import ConfigError, argument, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CHEAP", "USES", "Use", "UseContext", "chosen_uses"]

USES: tuple[Use, ...] = (LABELS, FEW, SHALLOW, BATCHES, TRANSFER, NEIGHBORS, IMPUTATION, SCIB)
"""In the order of tables."""

CHEAP = (LABELS.name, FEW.name, SHALLOW.name, BATCHES.name, NEIGHBORS.name)
"""Asked where nothing else is said."""


def chosen_uses(names: Sequence[str] | None, *, has_batches: bool, has_targets: bool = False) -> tuple[Use, ...]:
    """Return the uses of these names in the order of tables.

    Args:
        names: of `USES`; None: the cheap ones, `batches` among them where there is a batch column.
        has_batches: a batch column was named.
        has_targets: another data set was named, which is then always asked about.

    Raises:
        ConfigError: a name is unknown, no other data set was named to transfer to, or a package is missing.
    """
    if names is None:
        names = [name for name in CHEAP if has_batches or name != BATCHES.name]
    known = {use.name: use for use in USES}
    for name in names:
        if name not in known:
            raise ConfigError(f"Unknown use {name!r}.{did_you_mean(name, known)}")
    if SCIB.name in names:
        check_scib()
    if TRANSFER.name in names and not has_targets:
        raise ConfigError(
            f"transfer: no other data set was named; name its labelled cells with {argument('transfer')}."
        )
    return tuple(use for use in USES if use.name in names or (use is TRANSFER and has_targets))
