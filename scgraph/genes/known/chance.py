"""Random networks in which every gene sends and receives as many edges as in a given one.

networkx swaps edges of undirected graphs, or of directed paths, and so keeps no two sides apart; its configuration
models join edges that fall together and change the degrees. Hence the few lines here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["TRADES", "degree_matched"]

TRADES = 5
"""Trades a row between two random networks; Strona et al. find that so many are enough."""


def degree_matched(
    known: NDArray[np.bool_], possible: NDArray[np.bool_], count: int, *, seed: int
) -> Iterator[NDArray[np.bool_]]:
    """Yield random networks with the degrees of a given one.

    Curveball: two rows trade what only one of them has, each keeping as many; a chain of `TRADES` trades a row from
    each network to the next. Sums of rows and of columns stay.

    Args:
        known: which edges there are, ``[s, t]``.
        possible: which edges may be; `known` holds none else, ``[s, t]``.
        count: networks.
        seed: of the trades.

    Yields:
        ``[s, t]``, a new array each.

    Source: Strona et al. (2014), "A fast and unbiased procedure to randomize ecological binary matrices with fixed row
    and column totals", Nature Communications 5:4114, doi:10.1038/ncomms5114.
    """
    rng = np.random.default_rng([seed, 3])
    rows, now = len(known), known.copy()
    for _ in range(count):
        for _ in range(TRADES * rows if rows > 1 else 0):
            one, other = rng.choice(rows, size=2, replace=False)
            free = np.flatnonzero((now[one] != now[other]) & possible[one] & possible[other])
            held = now[one, free]
            rng.shuffle(held)
            now[one, free], now[other, free] = held, ~held
        yield now.copy()
