"""Folds whose test rows hold pairs, drugs or cell lines that no training row has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.errors import DataError, setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.drugs.screen import DrugScreen

__all__ = ["DrugFold", "drug_folds", "wrong_lines"]

MANY = {"pair": "pairs", "drug": "drugs", "line": "cell lines"}


@dataclass(frozen=True)
class DrugFold:
    """Rows of the three parts, ascending and disjoint.

    Attributes:
        train: ``[n_train]``.
        validation: the network's epoch is chosen on these, ``[n_validation]``.
        test: scored once, ``[n_test]``.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def learn(self) -> NDArray[np.int64]:
        """All rows that are not tested and have nothing of what is tested."""
        return np.sort(np.concatenate([self.train, self.validation]))


def drug_folds(
    screen: DrugScreen, split: str, *, folds: int = 5, validation_share: float = 0.15, seed: int = 0
) -> list[DrugFold]:
    """Divide the rows, a pure function of the arguments.

    Pairs, drugs or lines are put in a seeded order and dealt to the folds, and a fold tests the rows that hold one of
    its own. With ``drug`` a row with one drug of the fold is tested as one with two is, and a row of drugs of two
    folds is tested in both. What is left is divided in the same way: the validation part holds pairs, drugs or lines
    that the training part has not.

    Args:
        screen: the rows.
        split: ``pair``, ``drug`` or ``line``.
        folds: how many.
        validation_share: of the pairs, drugs or lines that are left.
        seed: of the order.

    Raises:
        DataError: there are too few pairs, drugs or lines.
    """
    # Keys of a row: the numbers of what it holds, one, or two with drugs.
    keys = {"pair": screen.pair[:, None], "drug": screen.pairs, "line": screen.line[:, None]}[split]
    names = np.unique(keys)
    rng = np.random.default_rng([seed, len(names)])
    if len(names) < max(folds, 3):
        raise DataError(
            f"{len(names)} {MANY[split]} cannot be divided into {folds} folds. Give more, or fewer folds "
            f"({setting('folds', 2)})."
        )
    dealt = np.array_split(rng.permutation(names), folds)
    found = []
    for own in dealt:
        is_test = np.isin(keys, own).any(axis=1)
        rest = rng.permutation(np.setdiff1d(names, own))
        count = int(np.clip(round(validation_share * len(rest)), 1, len(rest) - 1))
        is_validation = np.isin(keys, rest[:count]).any(axis=1) & ~is_test
        parts = [np.flatnonzero(part) for part in (~is_test & ~is_validation, is_validation, is_test)]
        if not all(map(len, parts)):
            raise DataError(
                f"The {split} split leaves a part empty: {len(screen):,} rows of {len(names)} {MANY[split]} in {folds} "
                "folds. Give more combinations."
            )
        found.append(DrugFold(*parts))
    return found


def wrong_lines(lines: int, *, seed: int) -> NDArray[np.int64]:
    """For every line another one, all different: a random cycle, so that none keeps its own. ``[L]``."""
    order = np.random.default_rng([seed, lines, 1]).permutation(lines)
    wrong = np.empty(lines, dtype=np.int64)
    wrong[order] = np.roll(order, 1)
    return wrong
