"""A perturbation screen: which cells were perturbed where, and how much expression changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import Cells
from scgraph.data.files.names import examples
from scgraph.data.files.reading import check_groups, read_obs
from scgraph.data.files.stream import cells_or_stream
from scgraph.data.store.spool import SpooledCells, lay_aside
from scgraph.data.store.store import match_note
from scgraph.errors import ConfigError, DataError
from scgraph.perturb.covariates import Strata, imbalance_notes, joined_levels, make_strata
from scgraph.perturb.expression import expression_sums
from scgraph.perturb.genes import GeneNames
from scgraph.perturb.labels import EXPECTED, read_label
from scgraph.perturb.names import find_column, find_controls

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.data import Vocabulary
    from scgraph.data.network.network import GeneEdges
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
        genes: their numbers, see `GeneNames`, ascending: columns of the file, or beyond them where it lacks the gene.
        cells: rows of the cells; empty for a perturbation that was never measured.
    """

    name: str
    genes: tuple[int, ...]
    cells: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Screen:
    """What was read.

    Attributes:
        cells: all cells of the file, whose values are read when asked for.
        genes: those that can be named; `genes.ids` are their vocabulary ids, those of the file first.
        control: rows of the control cells.
        perturbations: those that can be used, by name.
        new: those that are to be predicted besides.
        scored: columns of the genes whose change is predicted, `[G]`.
        change: δ of every perturbation, against all controls, `[P, G]`.
        strata: levels of the covariates.
        state: mean log-normalised expression of the control cells, `[G]`.
        column: of obs, with the perturbations.
        control_labels: of the control cells.
        covariates: columns of obs whose levels are compared with controls of the same levels.
        match_note: how many genes of the vocabulary the file has.
        notes: what must be said aloud.
    """

    cells: SpooledCells
    genes: GeneNames
    control: NDArray[np.int64]
    perturbations: tuple[Perturbation, ...]
    new: tuple[Perturbation, ...]
    scored: NDArray[np.int64]
    change: NDArray[np.float32]
    strata: Strata
    state: NDArray[np.float32]
    column: str
    control_labels: tuple[str, ...]
    covariates: tuple[str, ...]
    match_note: str
    notes: tuple[str, ...]

    def gene_names(self) -> list[str]:
        """Return the symbol, or else the Ensembl id, of every gene whose change is predicted."""
        return [self.genes.name(int(column)) for column in self.scored]

    @property
    def ids(self) -> NDArray[np.int32]:
        """Vocabulary id of every gene that can be named, 0 where the model does not know it."""
        return self.genes.ids

    def targets(self) -> NDArray[np.bool_]:
        """Tell which genes each perturbation perturbs, of those whose change is predicted, `[P, G]`."""
        return np.asarray([np.isin(self.scored, one.genes) for one in self.perturbations])


def read_screen(
    data: str | Path | AnnData,
    vocabulary: Vocabulary,
    config: PerturbConfig,
    *,
    perturbation: str | None = None,
    control: str | Sequence[str] | None = None,
    covariate: str | Sequence[str] | None = None,
    network: GeneEdges | None = None,
    layer: str | None = None,
    values: str | None = None,
) -> Screen:
    """Read a screen and measure the change of every perturbation.

    ``δ_p = mean of the cells of p - mean of the control cells``, both of log1p of counts per 10,000. With covariates
    whose levels (of several: combinations of levels) are l, the change is taken within each:
    ``δ_p = Σ_l (n_pl / n_p) (mean of the cells of p in l - mean of the control cells in l)``; levels with fewer than
    `min_cells` controls are left out with their cells.

    Labels that name the same genes are one perturbation. A perturbed gene need not be measured in the file: the model
    or the network must know it. Left out, with a note, are labels that name a gene neither knows, more than two genes,
    or fewer than `min_cells` cells, and labels that are in no known form.

    A file is read twice, and a block at a time: once to know what is in it, and once to lay its values aside, on the
    disk where they are many; see `scgraph.data.store.spool.spool`.

    Args:
        data: cells, as `scgraph.data.read_cells` takes them.
        vocabulary: the genes of the model.
        config: which perturbations and genes count.
        perturbation: column of obs; found where it has a usual name, see `scgraph.perturb.names.COLUMNS`.
        control: labels of the control cells; found where they look like it.
        covariate: columns of obs, such as the cell type, that are to be the same in perturbed cells and their controls.
        network: of the user, whose genes may be perturbed too.
        layer: layer to read instead of X.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.

    Raises:
        DataError: the file cannot be read, has no controls, none in any level of the covariate, or too few
            perturbations of known genes are left.
        OutputError: the disk of temporary files cannot hold the values.
        ConfigError: a perturbation to predict names a gene that the file or the model does not know.
    """
    where = str(data) if isinstance(data, str | Path) else "adata"
    obs = read_obs(data, layer)
    column = find_column([str(name) for name in obs.columns], perturbation, where)
    covariates = _names(covariate)
    if column in covariates:
        raise DataError(f"{where}: obs[{column!r}] names the perturbations and cannot be the covariate too.")
    for covariate_column in covariates:
        check_groups(obs, None, covariate_column, where)
    source = cells_or_stream(data, layer=layer, values=values, label=column)
    # All that can be refused is refused before values are laid aside: the file would be read once more for nothing.
    known = source if isinstance(source, Cells) else source.without_values()
    assert known.labels is not None
    labels = np.asarray(known.labels).astype(str)
    measured = GeneNames(known)
    control_labels = find_controls(np.unique(labels).tolist(), _names(control), measured.is_symbol, where)
    shown = control_labels[0]
    names, codes = np.unique(np.where(np.isin(labels, control_labels), shown, labels), return_inverse=True)
    rows = [np.flatnonzero(codes == code).astype(np.int64) for code in range(len(names))]
    controls = rows[names.tolist().index(shown)]
    if len(controls) < config.min_cells:
        raise DataError(
            f"{where}: {len(controls)} control cells ({shown!r}), and at least {config.min_cells} are needed. "
            "Give more, or lower min_cells."
        )
    levels = joined_levels(obs.iloc[known.rows], covariates, where)
    joined, least = " and ".join(covariates), config.min_cells
    strata = make_strata(len(known), controls, levels, name=joined, least=least, where=where)
    groups = obs.iloc[:, [str(name) for name in obs.columns].index(column)].astype(str).to_numpy().astype(str)
    groups = np.where(np.isin(groups, control_labels), shown, groups)
    warned = imbalance_notes(obs, groups, shown, least=config.min_cells, chosen=covariates)
    controls, rows = strata.usable(controls), [strata.usable(own) for own in rows]
    match = vocabulary.require(source, min_matched=config.min_matched)
    genes = GeneNames(known, match.ids, vocabulary, network)
    labelled = {name: own for name, own in zip(names.tolist(), rows, strict=True) if name != shown}
    found, notes = _perturbations(genes, labelled, control_labels, config, where)
    new = _new(genes, config.predict, control_labels)
    cells = lay_aside(source)
    by_level = strata.split(controls)
    sums = expression_sums(cells, by_level)
    state = sums.sum(axis=0) / len(controls)
    scored = _scored(state, config.most_expressed)
    means = sums[:, scored] / np.asarray([[len(own)] for own in by_level])
    sums = expression_sums(cells, [one.cells for one in found], scored)
    change = np.empty((len(found), len(scored)), dtype=np.float32)
    for at, one in enumerate(found):
        change[at] = sums[at] / len(one.cells) - strata.shares(one.cells) @ means
    said = (
        f"{len(found)} perturbations of obs[{column!r}] ({sum(len(one.genes) > 1 for one in found)} of two genes), "
        f"{sum(len(one.cells) for one in found):,} cells, against {len(controls):,} controls "
        f"({examples(control_labels, 3)}{f', {len(control_labels)} labels' if len(control_labels) > 3 else ''})"
    )
    perturbed = {gene for one in found for gene in one.genes}
    if unmeasured := sorted(genes.name(gene) for gene in perturbed if gene >= genes.measured):
        notes.append(
            f"{len(unmeasured)} of {len(perturbed)} perturbed genes are not measured in the file, only known to the "
            f"model{' or the network' if network is not None else ''}: {_some(unmeasured)}"
        )
    if network is not None:
        strangers = sorted(genes.name(gene) for gene in perturbed if not genes.ids[gene])
        if strangers:
            notes.append(f"the model does not know {_some(strangers)}: it describes them as the average gene")
        assert genes.network is not None
        notes += genes.network.notes[:2]
    return Screen(
        cells=cells,
        genes=genes,
        control=controls,
        perturbations=found,
        new=new,
        scored=scored,
        change=change,
        strata=strata,
        state=state[scored].astype(np.float32),
        column=column,
        control_labels=control_labels,
        covariates=covariates,
        match_note=match_note(match, 0),
        notes=(*known.notes, said, *strata.notes, *notes, *warned),
    )


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def _perturbations(
    genes: GeneNames,
    labelled: dict[str, NDArray[np.int64]],
    controls: Collection[str],
    config: PerturbConfig,
    where: str,
) -> tuple[tuple[Perturbation, ...], list[str]]:
    left: dict[str, list[str]] = {"unknown": [], "foreign": [], "many": [], "ambiguous": []}
    formed: list[str] = []
    grouped: dict[tuple[int, ...], list[str]] = {}
    for label in labelled:
        read = read_label(label, controls, genes)
        unseen = [genes.name(gene) for gene in read.genes if not genes.is_known(gene)]
        if read.problem == "unknown":
            left["unknown"] += read.unknown
        elif read.problem:
            left[read.problem].append(label)
        elif unseen:
            left["foreign"] += unseen
        else:
            grouped.setdefault(read.genes, []).append(label)
            if read.form:
                formed.append(f"{label!r} as {_joined(read.genes, genes)}")
    notes = _left_out(left, genes)
    if not grouped:
        kind = " ".join(notes) or "There is no label besides the control."
        raise DataError(
            f"{where}: none of the {len(labelled)} perturbations names a gene that the model knows. {kind} {EXPECTED}"
        )
    if formed:
        notes.append(f"{len(formed)} labels are read as guides or pairs of genes: {_some(formed, 3)}")
    merged = [labels for labels in grouped.values() if len(labels) > 1]
    if merged:
        shown = "; ".join(" and ".join(repr(one) for one in labels[:3]) for labels in merged[:3])
        notes.append(f"{len(merged)} perturbations have several labels, taken as one ({shown})")
    found, few = [], []
    for numbers, labels in grouped.items():
        name = _joined(numbers, genes)
        own = np.sort(np.concatenate([labelled[label] for label in labels]))
        if len(own) < config.min_cells:
            few.append(f"{name} ({len(own)})")
        else:
            found.append(Perturbation(name, numbers, own))
    if few:
        notes.append(f"{len(few)} perturbations with fewer than {config.min_cells} cells are left out: {_some(few)}")
    if len(found) < LEAST_PERTURBATIONS:
        raise DataError(
            f"{where}: {len(found)} perturbation{'s' * (len(found) != 1)} can be used, and at least "
            f"{LEAST_PERTURBATIONS} are needed to learn from some and test on others. {' '.join(notes)}".rstrip()
        )
    return tuple(sorted(found, key=lambda one: one.name)), notes


def _left_out(left: dict[str, list[str]], genes: GeneNames) -> list[str]:
    names = {kind: list(dict.fromkeys(found)) for kind, found in left.items()}
    lacking = (
        "neither in the vocabulary of the model nor in the network"
        if genes.network
        else ("not in the vocabulary of the model")
    )
    notes = []
    strangers = [name for name in names["unknown"] if genes.is_symbol(name)]
    if names["foreign"] or strangers:
        notes.append(f"left out, {lacking}: {_some([*names['foreign'], *strangers])}.")
    if others := [name for name in names["unknown"] if name not in strangers]:
        near = [other for name in others if (other := genes.in_other_case(name))]
        hint = f" In another case there is {_some(near)}." if near else ""
        notes.append(f"left out, no gene that is known: {_some(others)}.{hint}")
    if names["many"]:
        notes.append(f"left out, more than two genes: {_some(names['many'])}.")
    if names["ambiguous"]:
        notes.append(f"left out, more than one pair of genes can be meant: {_some(names['ambiguous'])}. {EXPECTED}")
    return notes


def _new(genes: GeneNames, asked: tuple[str, ...], controls: Collection[str]) -> tuple[Perturbation, ...]:
    found = []
    for text in asked:
        read = read_label(text, controls, genes)
        if read.problem == "many":
            raise ConfigError(f"predict: {text!r} names more than two genes.")
        if read.problem:
            raise ConfigError(f"predict: {_some(list(read.unknown))} of {text!r} is no gene that is known. {EXPECTED}")
        unseen = [genes.name(gene) for gene in read.genes if not genes.is_known(gene)]
        if unseen:
            raise ConfigError(f"predict: {_some(unseen)} of {text!r} is not in the vocabulary of the model.")
        found.append(Perturbation(_joined(read.genes, genes), read.genes, np.empty(0, dtype=np.int64)))
    return tuple(found)


def _scored(state: NDArray[np.float64], most: int | None) -> NDArray[np.int64]:
    if most is None or most >= len(state):
        return np.arange(len(state), dtype=np.int64)
    return np.sort(np.argsort(-state, kind="stable")[:most]).astype(np.int64)


def _joined(numbers: Iterable[int], genes: GeneNames) -> str:
    return "+".join(genes.name(number) for number in numbers)


def _some(names: list[str], most: int = _SHOWN) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
