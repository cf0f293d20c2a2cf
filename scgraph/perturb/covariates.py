"""Covariates of a screen: controls of the same cell type, donor or batch, and which columns ask for that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.files.checks import categories
from scgraph.errors import DataError, argument

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["COVARIATES", "Strata", "imbalance_notes", "joined_levels", "make_strata"]

COVARIATES = (
    "cell_type",
    "cell_types",
    "cell_type_coarse",
    "cell_type_fine",
    "cell_line",
    "annotation",
    "cluster",
    "clusters",
    "seurat_clusters",
    "louvain",
    "leiden",
    "batch",
    "batch_id",
    "gem_group",
    "gemgroup",
    "lane",
    "library",
    "plate",
    "replicate",
    "sample",
    "sample_id",
    "donor",
    "donor_id",
    "patient",
    "patient_id",
    "dose",
    "dose_value",
    "concentration",
    "time",
    "timepoint",
    "individual",
    "subject",
    "tissue",
    "sex",
    "phase",
)
"""Columns of obs that are looked at without being asked for, in any case, dots and underscores left aside."""

LEAST_EXPECTED = 5.0
"""Levels with a smaller expected count are taken together: the χ² distribution does not hold for them."""

SIGNIFICANCE = 0.001
LEAST_SHIFT = 0.1
"""Share of the cells that stand in other levels; with many cells a smaller shift is significant and does not matter."""

MOST_LEVELS = 200
_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Strata:
    """Levels of a covariate that have controls.

    Attributes:
        codes: level of every cell, -1 where its level has too few controls, `[n]`.
        levels: their number L.
        notes: what must be said aloud.
    """

    codes: NDArray[np.int64]
    levels: int
    notes: tuple[str, ...] = ()

    def usable(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the cells of `rows` whose level has controls."""
        kept: NDArray[np.int64] = rows[self.codes[rows] >= 0]
        return kept

    def shares(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Shares of the levels among `rows`, `[L]`."""
        found: NDArray[np.float64] = np.bincount(self.codes[rows], minlength=self.levels) / len(rows)
        return found

    def split(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Divide cells by their level, L groups; cells of no level are in none."""
        return [rows[self.codes[rows] == level] for level in range(self.levels)]

    def halves(
        self, controls: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Divide control cells into two halves of every level; a level of one cell stands in both."""
        parts: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
        for level in self.split(controls):
            own = rng.permutation(level)
            middle = len(own) // 2
            parts[0].append(own[:middle] if middle else own)
            parts[1].append(own[middle:])
        return np.sort(np.concatenate(parts[0])), np.sort(np.concatenate(parts[1]))


def joined_levels(obs: pd.DataFrame, columns: Sequence[str], where: str) -> pd.Categorical | None:
    """Return the level of every cell, of several columns the combination of their levels; None without columns.

    Args:
        obs: table of the cells.
        columns: of obs.
        where: source, for messages.

    Raises:
        DataError: a column is missing or says nothing for some cells.
    """
    import pandas as pd

    found = [categories(obs, column, where, numbers=True) for column in columns]
    if len(found) < 2:
        return found[0] if found else None
    texts = [np.asarray(one).astype(str).tolist() for one in found]
    return pd.Categorical([", ".join(levels) for levels in zip(*texts, strict=True)])


def make_strata(
    cells: int,
    controls: NDArray[np.int64],
    covariate: pd.Categorical | None,
    *,
    name: str,
    least: int,
    where: str,
) -> Strata:
    """Find the levels of a covariate, where there is one, that have enough control cells.

    Args:
        cells: number n of all cells.
        controls: rows of the control cells.
        covariate: level of every cell, None for one level.
        name: column of obs, for messages.
        least: control cells that a level needs; levels with fewer are left out.
        where: source, for messages.

    Raises:
        DataError: no level has so many controls.
    """
    if covariate is None:
        return Strata(np.zeros(cells, dtype=np.int64), 1)
    codes = np.asarray(covariate.codes, dtype=np.int64)
    counts = np.bincount(codes[controls], minlength=len(covariate.categories))
    kept = np.flatnonzero(counts >= least)
    shown = [f"{level} ({count})" for level, count in zip(covariate.categories, counts, strict=True)]
    if not len(kept):
        raise DataError(
            f"{where}: no level of obs[{name!r}] has {least} control cells: {_some(shown)}. Choose a covariate with "
            "fewer levels, or lower min_cells."
        )
    notes = [
        f"each perturbed group is compared with controls of the same {name}, in the shares that its own cells have "
        f"({len(kept)} levels)"
    ]
    few = np.flatnonzero(counts < least)
    if len(few):
        lost = int(np.isin(codes, few).sum())
        notes.append(
            f"{len(few)} levels of {name} with fewer than {least} control cells are left out, and their {lost:,} "
            f"cells: {_some([shown[at] for at in few])}"
        )
    new = np.full(len(covariate.categories), -1, dtype=np.int64)
    new[kept] = np.arange(len(kept))
    return Strata(new[codes], len(kept), tuple(notes))


def imbalance_notes(
    obs: pd.DataFrame, groups: Sequence[str] | NDArray[np.str_], control: str, *, least: int, chosen: Sequence[str] = ()
) -> list[str]:
    """Warn of usual covariates whose levels have other shares among perturbed cells than among controls.

    For each perturbed label, and for all of them together, the χ² test of independence on the table (control,
    perturbed) × levels, summed over the levels of the covariate that was chosen already. A column is named where a
    p-value, times the number of tests, is below .001 and at least a tenth of these cells would have to change the level
    to have the shares of the controls.

    Args:
        obs: table of the cells.
        groups: label of every cell.
        control: label of the controls.
        least: labels with fewer cells are not looked at.
        chosen: covariates that are taken into account already.
    """
    labels = np.asarray(groups).astype(str)
    columns = [str(name) for name in obs.columns]
    within = np.zeros(len(labels), dtype=np.int64)
    for name in chosen:
        codes, levels = _codes(obs.iloc[:, columns.index(name)])
        within = np.unique(within * len(levels) + codes, return_inverse=True)[1].astype(np.int64)
    names, of_cell = np.unique(labels, return_inverse=True)
    enough = [at for at, name in enumerate(names) if name != control and np.sum(of_cell == at) >= least]
    is_control = labels == control
    sides = [~is_control, *(of_cell == at for at in enough)]
    titles = ["all perturbed cells", *(str(names[at]) for at in enough)]
    usual = {_plain(name) for name in COVARIATES}
    notes = []
    for place, column in enumerate(columns):
        if column in chosen or _plain(column) not in usual:
            continue
        codes, levels = _codes(obs.iloc[:, place])
        if not 1 < len(levels) <= MOST_LEVELS or np.array_equal(levels[codes], labels):
            continue
        found = [_shift(codes, len(levels), is_control, side, within) for side in sides]
        hit = [at for at, (p, moved) in enumerate(found) if p * len(found) < SIGNIFICANCE and moved >= LEAST_SHIFT]
        if not hit:
            continue
        worst = max(hit, key=lambda at: found[at][1])
        level, shares = _largest(codes, len(levels), is_control, sides[worst])
        notes.append(
            f"warning: {column} has other shares among controls and perturbed cells (χ² test, {len(hit)} of "
            f"{len(found)} comparisons; most in {titles[worst]}: {str(levels[level])!r} {shares[1]:.0%}, of the "
            f"controls {shares[0]:.0%}). What differs between levels is then taken for a change; "
            f"{argument('covariate', column)} compares with controls of the same level, unless the levels "
            "are themselves what the perturbation changes"
        )
    return notes


def _shift(
    codes: NDArray[np.int64],
    levels: int,
    control: NDArray[np.bool_],
    other: NDArray[np.bool_],
    within: NDArray[np.int64],
) -> tuple[float, float]:
    """p-value of the χ² test, and the share of the cells of `other` that would have to change the level."""
    from scipy import stats

    statistic, freedom, moved, cells = 0.0, 0, 0.0, 0
    for stratum in np.unique(within[other]):
        here = within == stratum
        table = np.stack([np.bincount(codes[side & here], minlength=levels) for side in (control, other)])
        if not table.sum(axis=1).all():
            continue
        table = _pooled(table)
        count = int(table[1].sum())
        shares = table / table.sum(axis=1, keepdims=True)
        moved, cells = moved + count * float(np.abs(shares[0] - shares[1]).sum() / 2), cells + count
        if table.shape[1] > 1:
            tested = stats.chi2_contingency(table, correction=False)
            statistic, freedom = statistic + float(tested.statistic), freedom + int(tested.dof)
    if not freedom:
        return 1.0, 0.0
    return float(stats.chi2.sf(statistic, freedom)), moved / cells


def _pooled(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave empty levels out, and take those with small expected counts together."""
    table = table[:, table.sum(axis=0) > 0]
    expected = table.sum(axis=0) * (table.sum(axis=1).min() / table.sum())
    rare = expected < LEAST_EXPECTED
    if rare.sum() > 1:
        table = np.concatenate([table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)], axis=1)
    return table


def _largest(
    codes: NDArray[np.int64], levels: int, control: NDArray[np.bool_], other: NDArray[np.bool_]
) -> tuple[int, tuple[float, float]]:
    """The level whose share differs most, and its share among controls and others."""
    shares = [np.bincount(codes[side], minlength=levels) / max(1, side.sum()) for side in (control, other)]
    at = int(np.argmax(np.abs(shares[0] - shares[1])))
    return at, (float(shares[0][at]), float(shares[1][at]))


def _codes(column: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    levels, codes = np.unique(column.astype(str).to_numpy().astype(str), return_inverse=True)
    return codes.astype(np.int64), levels


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
