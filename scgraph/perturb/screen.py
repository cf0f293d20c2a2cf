"""A perturbation screen: which cells were perturbed where, and how much expression changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import read_cells
from scgraph.data.files.forms import open_cells
from scgraph.data.files.objects import open_object
from scgraph.data.files.stored import damage
from scgraph.data.store.store import match_note
from scgraph.errors import ConfigError, DataError
from scgraph.perturb.covariates import imbalance_notes, make_strata, mean_expression
from scgraph.perturb.names import GeneNames, find_column, find_control, read_label

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray
    from scipy import sparse

    from scgraph.data import Cells, Vocabulary
    from scgraph.perturb.config import PerturbConfig

__all__ = ["LEAST_PERTURBATIONS", "Perturbation", "Screen", "read_screen"]

LEAST_PERTURBATIONS = 5
"""Three to learn from, one to choose on, one to test."""

_SHOWN = 12


@dataclass(frozen=True)
class Perturbation:
    """One or two perturbed genes.

    Attributes:
        name: gene names joined by a plus.
        genes: their columns in the file, ascending.
        cells: rows of the cells; empty for a perturbation that was never measured.
    """

    name: str
    genes: tuple[int, ...]
    cells: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Screen:
    """What was read.

    Attributes:
        cells: all cells of the file.
        values: their log-normalised expression, `[n, n_genes]`.
        ids: vocabulary id of every gene of the file, 0 where the model does not know it, `[n_genes]`.
        control: rows of the control cells.
        perturbations: those that can be used, by name.
        new: those that are to be predicted besides.
        scored: columns of the genes whose change is predicted, `[G]`.
        change: δ of every perturbation, `[P, G]`.
        state: mean log-normalised expression of the control cells, `[G]`.
        column: of obs, with the perturbations.
        control_label: of the control cells.
        covariate: column of obs whose levels are compared with controls of the same level, None for none.
        match_note: how many genes of the vocabulary the file has.
        notes: what must be said aloud.
    """

    cells: Cells
    values: sparse.csr_matrix
    ids: NDArray[np.int32]
    control: NDArray[np.int64]
    perturbations: tuple[Perturbation, ...]
    new: tuple[Perturbation, ...]
    scored: NDArray[np.int64]
    change: NDArray[np.float32]
    state: NDArray[np.float32]
    column: str
    control_label: str
    covariate: str | None
    match_note: str
    notes: tuple[str, ...]

    def gene_names(self) -> list[str]:
        """Return the symbol, or else the Ensembl id, of every gene whose change is predicted."""
        return [_gene_name(self.cells, int(column)) for column in self.scored]

    def targets(self) -> NDArray[np.bool_]:
        """Tell which genes each perturbation perturbs, of those whose change is predicted, `[P, G]`."""
        return np.asarray([np.isin(self.scored, one.genes) for one in self.perturbations])


def read_screen(
    data: str | Path | AnnData,
    vocabulary: Vocabulary,
    config: PerturbConfig,
    *,
    perturbation: str | None = None,
    control: str | None = None,
    covariate: str | None = None,
    layer: str | None = None,
    values: str | None = None,
) -> Screen:
    """Read a screen and measure the change of every perturbation.

    ``δ_p = mean of the cells of p - mean of the control cells``, both of log1p of counts per 10,000. With a covariate
    of levels l, ``δ_p = Σ_l (n_pl / n_p) (mean of the cells of p in l - mean of the control cells in l)``; levels with
    fewer than `min_cells` controls are left out with their cells.

    Labels that name the same genes are one perturbation. Left out, with a note, are labels that name a gene the file
    or the model does not know, more than two genes, or fewer than `min_cells` cells.

    Args:
        data: cells, as `scgraph.data.read_cells` takes them.
        vocabulary: the genes of the model.
        config: which perturbations and genes count.
        perturbation: column of obs; found where it is one of the usual two.
        control: label of the control cells; found where exactly one looks like it.
        covariate: column of obs, such as the cell type, that is to be the same in perturbed cells and their controls.
        layer: layer to read instead of X.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.

    Raises:
        DataError: the file cannot be read, has no controls, none in any level of the covariate, or too few
            perturbations of known genes are left.
        ConfigError: a perturbation to predict names a gene that the file or the model does not know.
    """
    where = str(data) if isinstance(data, str | Path) else "adata"
    obs = _obs(data, layer)
    column = find_column([str(name) for name in obs.columns], perturbation, where)
    if covariate == column:
        raise DataError(f"{where}: obs[{column!r}] names the perturbations and cannot be the covariate too.")
    cells = read_cells(data, layer=layer, values=values, label=column, batch_key=covariate)
    assert cells.labels is not None
    labels = np.asarray(cells.labels).astype(str)
    names, codes = np.unique(labels, return_inverse=True)
    control_label = find_control(names.tolist(), control, where)
    rows = [np.flatnonzero(codes == code).astype(np.int64) for code in range(len(names))]
    controls = rows[names.tolist().index(control_label)]
    if len(controls) < config.min_cells:
        raise DataError(
            f"{where}: {len(controls)} control cells ({control_label!r}), and at least {config.min_cells} are needed. "
            "Give more, or lower min_cells."
        )
    logged = cells.normalized()
    strata = make_strata(logged, controls, cells.batches, name=str(covariate), least=config.min_cells, where=where)
    groups = obs.iloc[:, [str(name) for name in obs.columns].index(column)].astype(str).to_numpy().astype(str)
    warned = imbalance_notes(obs, groups, control_label, least=config.min_cells, chosen=covariate)
    controls, rows = strata.usable(controls), [strata.usable(own) for own in rows]
    match = vocabulary.require(cells, min_matched=config.min_matched)
    labelled = {name: own for name, own in zip(names.tolist(), rows, strict=True) if name != control_label}
    found, notes = _perturbations(cells, labelled, control_label, match.ids, config, where)
    new = _new(cells, config.predict, control_label, match.ids)
    state = mean_expression(logged, controls)
    scored = _scored(state, config.most_expressed)
    change = np.empty((len(found), len(scored)), dtype=np.float32)
    for at, one in enumerate(found):
        change[at] = (mean_expression(logged, one.cells) - strata.expected(one.cells))[scored]
    said = (
        f"{len(found)} perturbations of obs[{column!r}] ({sum(len(one.genes) > 1 for one in found)} of two genes), "
        f"{sum(len(one.cells) for one in found):,} cells, against {len(controls):,} controls ({control_label!r})"
    )
    return Screen(
        cells=cells,
        values=logged,
        ids=match.ids,
        control=controls,
        perturbations=found,
        new=new,
        scored=scored,
        change=change,
        state=state[scored].astype(np.float32),
        column=column,
        control_label=control_label,
        covariate=covariate,
        match_note=match_note(match, 0),
        notes=(*cells.notes, said, *strata.notes, *notes, *warned),
    )


def _obs(data: str | Path | AnnData, layer: str | None) -> pd.DataFrame:
    """Return the table of the cells, without reading the matrix of a file."""
    if not isinstance(data, str | Path):
        return open_object(data, "adata", layer).tables()[0]
    with open_cells(Path(data), layer) as opened, damage(opened.where):
        table: pd.DataFrame = opened.tables()[0]
    return table


def _perturbations(
    cells: Cells,
    labelled: dict[str, NDArray[np.int64]],
    control: str,
    ids: NDArray[np.int32],
    config: PerturbConfig,
    where: str,
) -> tuple[tuple[Perturbation, ...], list[str]]:
    genes = GeneNames(cells)
    absent: dict[str, None] = {}
    foreign: dict[str, None] = {}
    many: list[str] = []
    grouped: dict[tuple[int, ...], list[str]] = {}
    for label in labelled:
        read = read_label(label, control, genes)
        unseen = [_gene_name(cells, gene) for gene in read.genes if not ids[gene]]
        absent.update(dict.fromkeys(read.unknown))
        foreign.update(dict.fromkeys(unseen))
        if read.problem == "many":
            many.append(label)
        elif not read.problem and not unseen:
            grouped.setdefault(read.genes, []).append(label)
    notes = _left_out(absent, foreign, many, genes)
    if not grouped:
        kind = " ".join(notes) or "There is no label besides the control."
        raise DataError(
            f"{where}: none of the {len(labelled)} perturbations names a gene that the file and the model know. {kind}"
        )
    merged = [labels for labels in grouped.values() if len(labels) > 1]
    if merged:
        shown = "; ".join(" and ".join(repr(one) for one in labels) for labels in merged[:3])
        notes.append(f"{len(merged)} perturbations have several labels, taken as one ({shown})")
    found, few = [], []
    for columns, labels in grouped.items():
        name = "+".join(_gene_name(cells, gene) for gene in columns)
        own = np.sort(np.concatenate([labelled[label] for label in labels]))
        if len(own) < config.min_cells:
            few.append(f"{name} ({len(own)})")
        else:
            found.append(Perturbation(name, columns, own))
    if few:
        notes.append(f"{len(few)} perturbations with fewer than {config.min_cells} cells are left out: {_some(few)}")
    if len(found) < LEAST_PERTURBATIONS:
        raise DataError(
            f"{where}: {len(found)} perturbation{'s' * (len(found) != 1)} can be used, and at least "
            f"{LEAST_PERTURBATIONS} are needed to learn from some and test on others. {' '.join(notes)}".rstrip()
        )
    return tuple(sorted(found, key=lambda one: one.name)), notes


def _left_out(absent: Iterable[str], foreign: Iterable[str], many: list[str], genes: GeneNames) -> list[str]:
    notes = []
    if names := list(absent):
        near = [other for name in names if (other := genes.in_other_case(name))]
        hint = f" In another case the file has {_some(near)}." if near else ""
        notes.append(f"left out, no gene of the file: {_some(names)}.{hint}")
    if names := list(foreign):
        notes.append(f"left out, not in the vocabulary of the model: {_some(names)}.")
    if many:
        notes.append(f"left out, more than two genes: {_some(many)}.")
    return notes


def _new(cells: Cells, asked: tuple[str, ...], control: str, ids: NDArray[np.int32]) -> tuple[Perturbation, ...]:
    genes = GeneNames(cells)
    found = []
    for text in asked:
        read = read_label(text, control, genes)
        if read.problem == "many":
            raise ConfigError(f"predict: {text!r} names more than two genes.")
        if read.problem:
            raise ConfigError(f"predict: {_some(list(read.unknown))} of {text!r} is no gene of the file.")
        unseen = [_gene_name(cells, gene) for gene in read.genes if not ids[gene]]
        if unseen:
            raise ConfigError(f"predict: {_some(unseen)} of {text!r} is not in the vocabulary of the model.")
        name = "+".join(_gene_name(cells, gene) for gene in read.genes)
        found.append(Perturbation(name, read.genes, np.empty(0, dtype=np.int64)))
    return tuple(found)


def _scored(state: NDArray[np.float64], most: int | None) -> NDArray[np.int64]:
    if most is None or most >= len(state):
        return np.arange(len(state), dtype=np.int64)
    return np.sort(np.argsort(-state, kind="stable")[:most]).astype(np.int64)


def _gene_name(cells: Cells, column: int) -> str:
    return str(cells.symbols[column] or cells.ensembl[column])


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
