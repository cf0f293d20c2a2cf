"""Train, validation and test parts of a labelled set, fixed before anything is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Split", "make_split"]

PARTS = ("train", "validation", "test")
BATCH_DRAWS = 64
SLACK = 0.1
"""How far, summed over the parts, shares may lie from those of the best batch split, so that seeds differ."""
SHOWN = 4


@dataclass(frozen=True)
class Split:
    """Row indices of the three parts: ascending, disjoint, together every row.

    Attributes:
        train: rows anything may be fitted on, `[n_train]`.
        validation: rows that choices are made on, `[n_validation]`.
        test: rows that are scored once, `[n_test]`.
        how: one sentence that says how the parts were made, for the report.
        kind: `"random"` or `"batch"`.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    how: str
    kind: str


def make_split(
    labels: ArrayLike,
    *,
    batches: ArrayLike | None = None,
    seed: int,
    fractions: tuple[float, float, float] = (0.6, 0.1, 0.3),
) -> Split:
    """Divide cells into train, validation and test, a pure function of the arguments.

    Without `batches` the cells are drawn at random within each class; every class gets at least one
    cell in train and one in test. With `batches` a batch goes to one part as a whole: of a fixed number
    of seeded orders the first is taken that leaves no test class without train cells and whose sizes come
    close to `fractions` (within 0.1 of the closest, summed over the parts): with few batches the closest
    alone would be the same for every seed.

    Args:
        labels: class of every cell, `[n]`, none missing.
        batches: donor or batch of every cell, `[n]`, none missing.
        seed: chooses among the possible splits.
        fractions: shares of train, validation and test; positive, sum 1.

    Raises:
        ConfigError: the fractions are not positive or do not add up to 1.
        DataError: a missing label or batch, fewer than two classes, a class of one cell (random split), fewer than
            three batches, or a class that no batch split can put into train when it is in test.
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ConfigError(f"Split fractions {fractions}: train, validation and test must be positive and add up to 1.")
    class_names, codes = _codes(labels, "label")
    if len(class_names) < 2:
        only = repr(class_names[0]) if class_names else "none"
        raise DataError(
            f"The labels hold one class only ({only}): nothing can be told apart. Name another label column."
        )
    if batches is None:
        part = _random_parts(class_names, codes, fractions, seed)
        how = "random, stratified by class"
        kind = "random"
    else:
        batch_names, batch_codes = _codes(batches, "batch")
        if len(batch_codes) != len(codes):
            raise DataError(f"{len(batch_codes)} batches were given for {len(codes)} labels.")
        part, how = _batch_parts(class_names, codes, batch_names, batch_codes, fractions, seed)
        kind = "batch"
    train, validation, test = (np.flatnonzero(part == p).astype(np.int64) for p in range(3))
    sizes = f"{len(train):,} / {len(validation):,} / {len(test):,} cells to train / validation / test"
    unscored = sorted(set(range(len(class_names))) - set(codes[test].tolist()))
    tail = f"; not in test, so not scored: {_some([class_names[c] for c in unscored])}" if unscored else ""
    return Split(train, validation, test, f"{how}: {sizes}{tail}", kind)


def _codes(values: ArrayLike, what: str) -> tuple[list[str], NDArray[np.int64]]:
    """Names in sorted order and the code of every cell, for arrays, lists and categoricals alike."""
    import pandas as pd

    series = pd.Series(np.asarray(values))
    missing = np.flatnonzero(series.isna().to_numpy())
    if len(missing):
        raise DataError(
            f"{len(missing):,} of {len(series):,} cells have no {what} (the first is cell number {missing[0]:,}, "
            f"counted from 0). Fill them in or leave these cells out."
        )
    names, codes = np.unique(series.astype(str).to_numpy(dtype=str), return_inverse=True)
    return [str(name) for name in names], codes.astype(np.int64)


def _random_parts(
    class_names: list[str], codes: NDArray[np.int64], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    counts = np.bincount(codes, minlength=len(class_names))
    single = [name for name, count in zip(class_names, counts, strict=True) if count < 2]
    if single:
        raise DataError(
            f"{len(single)} of {len(class_names)} classes have a single cell ({_some(single)}), which cannot be both "
            "learned and tested. Leave these cells out, or merge the class with another."
        )
    # scikit-learn's stratified splitters refuse a class whose remainder is one cell; quotas do not.
    test = np.clip(_quota(counts, fractions[2]), 1, counts - 1)
    validation = np.clip(_quota(counts, fractions[1]), 0, counts - test - 1)
    rng = np.random.default_rng(seed)
    part = np.zeros(len(codes), dtype=np.int64)
    for k in range(len(class_names)):
        rows = rng.permutation(np.flatnonzero(codes == k))
        part[rows[: test[k]]] = 2
        part[rows[test[k] : test[k] + validation[k]]] = 1
    if not (part == 1).any():
        raise DataError(f"{len(codes)} cells are too few for a validation part of {fractions[1]:.0%}.")
    return part


def _quota(counts: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Share of every class, rounded so that the total is right (largest remainders first)."""
    exact = counts * fraction
    quota: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    short = round(float(counts.sum()) * fraction) - int(quota.sum())
    quota[np.argsort(quota - exact, kind="stable")[:short]] += 1
    return quota


def _batch_parts(
    class_names: list[str],
    codes: NDArray[np.int64],
    batch_names: list[str],
    batch_codes: NDArray[np.int64],
    fractions: Sequence[float],
    seed: int,
) -> tuple[NDArray[np.int64], str]:
    n_batches = len(batch_names)
    if n_batches < 3:
        raise DataError(
            f"A split by batch needs at least 3 batches (train, validation, test); there are {n_batches} "
            f"({_some(batch_names)}). Name a finer column, or leave the batch column out for a random split."
        )
    table = np.zeros((n_batches, len(class_names)), dtype=np.int64)
    np.add.at(table, (batch_codes, codes), 1)
    rng = np.random.default_rng(seed)
    drawn: list[tuple[int, float, NDArray[np.int64]]] = []
    for _ in range(BATCH_DRAWS):
        assignment = _fill(rng.permutation(n_batches), table.sum(1), fractions)
        unseen = _unseen(table, assignment)
        shares = np.bincount(assignment, weights=table.sum(1), minlength=3) / len(codes)
        drawn.append((len(unseen), float(np.abs(shares - np.asarray(fractions)).sum()), assignment))
    n_unseen, closest = min((missed, distance) for missed, distance, _ in drawn)
    assignment = next(a for missed, distance, a in drawn if missed == n_unseen and distance <= closest + SLACK)
    if n_unseen:
        unseen = _unseen(table, assignment)
        where = "; ".join(
            f"{class_names[k]!r} only in {_some([batch_names[b] for b in np.flatnonzero(table[:, k])])}"
            for k in unseen[:SHOWN]
        )
        raise DataError(
            f"Split by batch: {len(unseen)} of {len(class_names)} classes would be in the test part without a cell in "
            f"the train part ({where}; {BATCH_DRAWS} assignments tried). Leave these classes out, merge them with "
            "others, name another batch column, or leave the batch column out for a random split."
        )
    named = [[batch_names[b] for b in np.flatnonzero(assignment == p)] for p in range(3)]
    listed = ", ".join(f"{part} {_some(names, 12)}" for part, names in zip(PARTS, named, strict=True))
    return assignment[batch_codes], f"whole batches ({listed})"


def _fill(order: NDArray[np.int64], sizes: NDArray[np.int64], fractions: Sequence[float]) -> NDArray[np.int64]:
    """Give batches in this order to test, then validation, each until one more would move it from its share."""
    assignment = np.zeros(len(order), dtype=np.int64)
    total, position = int(sizes.sum()), 0
    for part, left_over in ((2, 2), (1, 1)):
        wanted, filled = fractions[part] * total, 0
        while position < len(order) - left_over:
            size = int(sizes[order[position]])
            if filled and abs(filled + size - wanted) >= abs(filled - wanted):
                break
            assignment[order[position]] = part
            filled += size
            position += 1
    return assignment


def _unseen(table: NDArray[np.int64], assignment: NDArray[np.int64]) -> list[int]:
    """Classes with cells in test and none in train."""
    in_test = table[assignment == 2].sum(0) > 0
    in_train = table[assignment == 0].sum(0) > 0
    return [int(k) for k in np.flatnonzero(in_test & ~in_train)]


def _some(names: Sequence[Any], shown: int = SHOWN) -> str:
    text = ", ".join(repr(str(name)) for name in names[:shown])
    return text if len(names) <= shown else f"{text} and {len(names) - shown} more"
