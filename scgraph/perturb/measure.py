"""Changes as one repetition measures them: what is learned from and what is tested have controls of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.perturb.expression import expression_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.perturb.screen import Screen

__all__ = ["Measured", "measure"]


@dataclass(frozen=True, eq=False)
class Measured:
    """Changes as one repetition measures them.

    Attributes:
        learned: what may be learned from, `[P, G]`.
        truth: what predictions are compared with, against other control cells, `[P, G]`.
        halves: the change of one half of the cells of each perturbation against the controls of `learned`, and of the
            other half against those of `truth`, `[2, P, G]`.
        controls: rows of the control cells that `learned` uses.
        state: mean log-normalised expression of these, `[G]`.
    """

    learned: NDArray[np.float32]
    truth: NDArray[np.float32]
    halves: NDArray[np.float32]
    controls: NDArray[np.int64]
    state: NDArray[np.float32]


def measure(screen: Screen, *, seed: int, separate_controls: bool) -> Measured:
    """Measure changes with the control cells divided into two halves, one to learn from and one to test.

    All changes of a screen share the mean of the control cells, and so its sampling error. Where the same controls
    serve both sides, whatever reproduces this error seems to predict: the mean of the other perturbations most of all.

    Args:
        screen: of `read_screen`.
        seed: of the halves.
        separate_controls: whether controls are divided; if not, both sides use all.

    Raises:
        DataError: the disk on which the cells are laid aside cannot be read.
    """
    rng = np.random.default_rng(seed)
    strata, count = screen.strata, len(screen.perturbations)
    tested, learned = strata.halves(screen.control, rng)
    if not separate_controls:
        learned = screen.control
    sides = [learned, tested] if separate_controls else [learned]
    levels = [own for side in sides for own in strata.split(side)]
    first, second = [], []
    for one in screen.perturbations:
        cells = rng.permutation(one.cells)
        middle = max(1, len(cells) // 2)
        first.append(cells[:middle])
        second.append(cells[middle:])
    sums = expression_sums(screen.cells, [*first, *second, *levels], screen.scored)
    controls = sums[2 * count :].reshape(len(sides), strata.levels, len(screen.scored))
    state = (controls[0].sum(axis=0) / len(learned)).astype(np.float32)
    controls /= np.asarray([len(own) for own in levels]).reshape(len(sides), strata.levels, 1)
    found = np.empty((4, count, len(screen.scored)), dtype=np.float32)
    for at, one in enumerate(screen.perturbations):
        # The halves have no cell in common, so the sum of all cells is theirs; a single cell stands for both halves.
        whole = one.cells, sums[at] + sums[count + at]
        halves = (first[at], sums[at]), (second[at], sums[count + at])
        parts = [whole, whole, halves[0], halves[1] if len(second[at]) else halves[0]]
        for place, (rows, total) in enumerate(parts):
            # The sides are in turn those of what is learned and what is tested.
            expected = strata.shares(rows) @ controls[place % len(sides)]
            found[place, at] = total / len(rows) - expected
    return Measured(found[0], found[1], found[2:], learned, state)
