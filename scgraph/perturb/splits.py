"""Train, validation and test perturbations, so that the test part holds genes that no training perturbation has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["GROUPS", "MOST_ONE_OUT", "PerturbationSplit", "group_of", "leave_one_out", "split_perturbations"]

GROUPS = ("single", "double, 2/2 seen", "double, 1/2 seen", "double, 0/2 seen")
"""Kinds of test perturbations, by how many genes of a double stand in a perturbation that is not tested."""

DRAWS = 64
MOST_ONE_OUT = 40
"""Of more perturbations a share is tested at once, where the settings leave it open."""

LEAST_TRAIN = 2


@dataclass(frozen=True)
class PerturbationSplit:
    """Indices of the three parts, ascending and disjoint.

    Attributes:
        train: `[n_train]`.
        validation: choices are made on these, `[n_validation]`.
        test: scored once, `[n_test]`.
        groups: one of `GROUPS` for each of `test`.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    groups: tuple[str, ...]

    def how(self) -> str:
        """Say the sizes."""
        kinds = ", ".join(f"{self.groups.count(group)} {group}" for group in GROUPS if group in self.groups)
        return (
            f"{len(self.train)} / {len(self.validation)} / {len(self.test)} perturbations to train / validation / "
            f"test ({kinds})"
        )


def split_perturbations(
    genes: Sequence[tuple[int, ...]], *, seed: int, test_share: float = 0.25, validation_share: float = 0.15
) -> PerturbationSplit:
    """Divide perturbations by genes, a pure function of the arguments.

    A share of the perturbed genes is drawn for the test part: every perturbation that holds one of them goes there, and
    of the doubles of two other genes the same share. Of what is left the validation part is drawn in the same way. So
    a test perturbation is a single gene never perturbed in training, or a double of which training has seen 0, 1 or 2
    genes. The first of some seeded draws is taken that leaves no part empty.

    Source: the "simulation" split of GEARS (Roohani et al. 2024, Nature Biotechnology 42:927).

    Args:
        genes: perturbed genes, one or two a perturbation.
        seed: chooses among the possible splits.
        test_share: of the perturbed genes.
        validation_share: of the perturbed genes.

    Raises:
        DataError: every draw leaves a part empty.
    """
    rng = np.random.default_rng(seed)
    names = np.unique(np.concatenate([np.asarray(one) for one in genes]))
    n_test = int(np.clip(round(test_share * len(names)), 1, max(1, len(names) - 2)))
    n_validation = int(np.clip(round(validation_share * len(names)), 1, max(1, len(names) - n_test - 1)))
    for _ in range(DRAWS):
        order = rng.permutation(names)
        part = np.zeros(len(genes), dtype=np.int64)
        shares = (test_share, validation_share / (1 - test_share))
        hidden = (order[:n_test], order[n_test : n_test + n_validation])
        for number, share, own in zip((2, 1), shares, hidden, strict=True):
            _assign(part, genes, {int(gene) for gene in own}, number, share, rng)
        train, validation, test = (np.flatnonzero(part == number).astype(np.int64) for number in range(3))
        if len(train) >= LEAST_TRAIN and len(validation) and len(test):
            seen = {gene for at in np.flatnonzero(part < 2).tolist() for gene in genes[at]}
            groups = tuple(group_of(genes[at], seen) for at in test.tolist())
            return PerturbationSplit(train, validation, test, groups)
    raise DataError(
        f"{len(genes)} perturbations of {len(names)} genes cannot be divided into train, validation and test so that "
        "some genes are new in the test part. Give more perturbations, of more genes."
    )


def leave_one_out(
    genes: Sequence[tuple[int, ...]], *, seed: int, validation_share: float = 0.15
) -> list[PerturbationSplit]:
    """Test every perturbation by itself, a pure function of the arguments.

    Where the single perturbation of a gene is tested, no double that holds the gene is learned from. A double is tested
    up to four times: with all other perturbations, without those that hold the one gene, the other, or either, as far
    as these differ; its group says how many of its genes are seen. A share of what is left is the validation part.

    Args:
        genes: perturbed genes, one or two a perturbation.
        seed: of the validation parts.
        validation_share: of the perturbations that are left.

    Raises:
        DataError: nothing is left to learn from, whichever is tested.
    """
    rng = np.random.default_rng(seed)
    found = []
    for at, own in enumerate(genes):
        hidden: list[tuple[int, ...]] = [own] if len(own) == 1 else [(), own[:1], own[1:], own]
        left: dict[tuple[int, ...], None] = {}
        for names in hidden:
            kept = (other for other in range(len(genes)) if other != at and not set(names).intersection(genes[other]))
            left.setdefault(tuple(kept))
        for kept_rows in left:
            if len(kept_rows) <= LEAST_TRAIN:
                continue
            order = rng.permutation(np.asarray(kept_rows, dtype=np.int64))
            count = int(np.clip(round(validation_share * len(order)), 1, len(order) - LEAST_TRAIN))
            seen = {gene for other in kept_rows for gene in genes[other]}
            parts = np.sort(order[count:]), np.sort(order[:count])
            found.append(PerturbationSplit(*parts, np.asarray([at]), (group_of(own, seen),)))
    if not found:
        raise DataError(f"{len(genes)} perturbations: nothing is left to learn from when one is tested. Give more.")
    return found


def group_of(genes: tuple[int, ...], seen: set[int]) -> str:
    """Return the one of `GROUPS` that a perturbation belongs to."""
    return GROUPS[0] if len(genes) == 1 else GROUPS[3 - sum(gene in seen for gene in genes)]


def _assign(
    part: NDArray[np.int64],
    genes: Sequence[tuple[int, ...]],
    hidden: set[int],
    number: int,
    share: float,
    rng: np.random.Generator,
) -> None:
    free = np.flatnonzero(part == 0).tolist()
    held = [at for at in free if hidden.intersection(genes[at])]
    others = rng.permutation([at for at in free if at not in held and len(genes[at]) > 1]).astype(np.int64)
    part[held] = number
    part[others[: round(share * len(others))]] = number
