"""The change that one treatment makes in the cells of a patient whose treated cells were never seen.

Every patient is held out in turn. The change of a patient is the mean of the treated cells minus that of the control
cells, of log1p of counts per 10,000. Control cells are divided into two halves: one describes the patient, the other is
what the treated cells are compared with, so that no error of a control mean stands on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anndata
import numpy as np
from scipy import sparse

from scgraph.data import CellStore, read_cells
from scgraph.errors import DataError
from scgraph.models import build_model
from scgraph.perturb.baselines import kernel_ridge, ridge
from scgraph.perturb.config import NetworkConfig
from scgraph.perturb.covariates import joined_levels, make_strata
from scgraph.perturb.embeddings import affected_features, control_features, gene_tables
from scgraph.perturb.expression import mean_expression
from scgraph.perturb.methods import NOTHING
from scgraph.perturb.names import find_column, find_controls
from scgraph.perturb.regressor import fit_network
from scgraph.perturb.scores import CEILING, MEAN, score_changes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from scgraph.data import Cells
    from scgraph.models import SavedModel
    from scgraph.perturb.covariates import Strata

__all__ = ["BASELINES", "RATIO", "Treated", "held_out", "ratio_change", "read_treated"]

PSEUDOBULK, RANDOM, RATIO = "pseudobulk", "random", "mean ratio"
BASELINES = (
    NOTHING,
    MEAN,
    RATIO,
    *(f"{how}+{what}" for what in (RANDOM, PSEUDOBULK) for how in ("ridge", "kernel", "nearest")),
)
LEAST_PATIENTS = 4
"""Two to learn from, one to choose on, one to test."""

LEAST_CELLS = 20
_READ_CELLS = 256


@dataclass(frozen=True, eq=False)
class Treated:
    """What was read.

    Attributes:
        cells: all cells.
        treatment: its label.
        patients: names of the patients.
        strata: of the patients.
        control: rows of the control cells.
        treated: rows of the treated cells of each patient.
    """

    cells: Cells
    treatment: str
    patients: tuple[str, ...]
    strata: Strata
    control: NDArray[np.int64]
    treated: tuple[NDArray[np.int64], ...]


def read_treated(data: Path, patient: str, perturbation: str | None = None) -> Treated:
    """Read cells of patients, treated with one thing and not.

    Args:
        data: .h5ad with counts or log-normalised values.
        patient: column of obs.
        perturbation: column of obs with the treatment; found where there is one of a usual name.

    Raises:
        DataError: there is no such column, more than one treatment, or too few patients with enough cells of both.
    """
    obs = anndata.read_h5ad(data, backed="r").obs
    column = find_column([str(name) for name in obs.columns], perturbation, str(data))
    cells = read_cells(data, label=column)
    labels = np.asarray(cells.labels).astype(str)
    found = np.unique(labels).tolist()
    controls = find_controls(found, (), lambda _: False, str(data))
    treatments = [label for label in found if label not in controls]
    if len(treatments) != 1:
        raise DataError(f"{data}: {len(treatments)} treatments ({', '.join(treatments)}), and one is needed.")
    control = np.flatnonzero(np.isin(labels, controls)).astype(np.int64)
    levels = joined_levels(obs.iloc[cells.rows], [patient], str(data))
    assert levels is not None
    strata = make_strata(len(cells), control, levels, name=patient, least=LEAST_CELLS, where=str(data))
    control = strata.usable(control)
    rows = strata.usable(np.flatnonzero(labels == treatments[0]).astype(np.int64))
    treated = tuple(rows[strata.codes[rows] == code] for code in range(strata.levels))
    if len(treated) < LEAST_PATIENTS or min(map(len, treated)) < LEAST_CELLS:
        raise DataError(
            f"{data}: at least {LEAST_PATIENTS} levels of obs[{patient!r}] with {LEAST_CELLS} treated and as many "
            "control cells are needed."
        )
    kept = {int(strata.codes[row]): str(levels[row]) for row in control.tolist()}
    return Treated(cells, treatments[0], tuple(kept[code] for code in range(len(treated))), strata, control, treated)


def held_out(found: Treated, saved: SavedModel, *, genes: int | None, seeds: int, seed: int) -> pd.DataFrame:
    """Return one row a seed, method and held-out patient with the scores of `score_changes`.

    Methods: no change; the mean change of the other patients; their mean ratio of expression, put upon the control
    cells of the patient, see `ratio_change`; the change of the nearest patient, ridge and kernel ridge regression, from
    what describes the control cells: their pseudobulk, the mean vector that the model gives them, the same untrained,
    random numbers; and the network of `scgraph perturb` on the mean vector of the patient and the genes' own
    descriptions. The ceiling compares one half of the cells with the other.

    Args:
        found: of `read_treated`.
        saved: a pretrained model.
        genes: most genes of a cell that the model reads; None for all.
        seeds: halves of the cells, one after the other.
        seed: of the first halves, of random numbers and of the untrained model.
    """
    import pandas as pd
    import torch

    from scgraph.train import embed

    values, name = found.cells.normalized(), saved.model_config.conv
    counts = values.expm1()  # per 10,000
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = build_model(len(saved.vocabulary), **saved.model_config.model_kwargs())
    models = {f"{name} untrained": untrained, name: saved.model}
    store = CellStore.from_cells(found.cells, saved.vocabulary, min_matched=0)
    vectors = {one: embed(model, store, genes=genes, device="cpu").astype(np.float64) for one, model in models.items()}
    ids = saved.vocabulary.match(found.cells).ids
    parts = []
    for number in range(seed, seed + seeds):
        rng = np.random.default_rng(number)
        compared, described = found.strata.halves(found.control, rng)
        sides = [_means(values, found.strata.split(rows)) for rows in (described, compared)]
        halves = [np.array_split(rng.permutation(rows), 2) for rows in found.treated]
        change = _means(values, found.treated) - sides[1]
        apart = [_means(values, [pair[at] for pair in halves]) - sides[at] for at in (0, 1)]
        codes = found.strata.codes[described]
        tables = {RANDOM: rng.normal(size=(len(change), 64)), PSEUDOBULK: sides[0]}
        tables |= {
            one: np.stack([rows[described[codes == code]].mean(axis=0) for code in range(len(found.treated))])
            for one, rows in vectors.items()
        }
        state = mean_expression(values, described).astype(np.float32)
        sample = np.sort(rng.choice(described, min(_READ_CELLS, len(described)), replace=False))
        read = CellStore.from_cells(found.cells.subset(sample), saved.vocabulary, min_matched=0)
        affected = {
            one: affected_features(
                gene_tables(model, "auto").affected,
                control_features(model, read, genes=genes, seed=seed, device=torch.device("cpu")),
                state,
                ids,
            )
            for one, model in models.items()
        }
        linear = [_means(counts, found.treated), _means(counts, found.strata.split(compared))]
        ratios = np.log((linear[0] + 1) / (linear[1] + 1))
        own = [described[codes == code] for code in range(len(change))]
        measured = change.astype(np.float32)
        for test in range(len(measured)):
            ratio = np.exp(np.delete(ratios, test, axis=0).mean(axis=0))
            ratio_guess = {RATIO: ratio_change(counts[own[test]], ratio)}
            guesses = ratio_guess | _guesses(measured, tables, affected, test, number)
            scored = {CEILING: (apart[0][test], apart[1])} | {one: (guess, measured) for one, guess in guesses.items()}
            for one, (guess, truth) in scored.items():
                scores = score_changes(
                    guess[None], truth[test][None], among=truth, own=np.asarray([test], dtype=np.int64)
                )
                row = {"seed": number, "model": one, "perturbation": found.patients[test], "group": "single"}
                parts.append(row | {metric: float(value[0]) for metric, value in scores.items()})
    return pd.DataFrame(parts)


def ratio_change(counts: sparse.csr_matrix, ratio: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the mean change of log1p where the expression of every gene is multiplied.

    Args:
        counts: per 10,000, of control cells, ``[n, G]``.
        ratio: of treated to control expression, ``[G]``.
    """
    treated = sparse.csr_matrix(counts.multiply(ratio[None])).log1p().mean(axis=0) - counts.log1p().mean(axis=0)
    change: NDArray[np.float32] = np.asarray(treated, dtype=np.float32).ravel()
    return change


def _means(values: sparse.csr_matrix, groups: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Mean expression of each group of cells."""
    return np.stack([mean_expression(values, rows) for rows in groups])


def _guesses(
    change: NDArray[np.float32],
    tables: dict[str, NDArray[np.float64]],
    affected: dict[str, NDArray[np.float64]],
    test: int,
    seed: int,
) -> dict[str, NDArray[np.float32]]:
    """Return what every method says of one patient; of `change` only the rows of the others are looked at."""
    from sklearn.metrics import pairwise_distances_argmin

    learn = np.delete(np.arange(len(change)), test)
    found = {NOTHING: np.zeros_like(change[0]), MEAN: change[learn].mean(axis=0)}
    for name, table in tables.items():
        centred = table - table[learn].mean(axis=0)
        x = centred / (float(np.sqrt(np.square(centred[learn]).sum(axis=1).mean())) or 1.0)
        for how, fit in {"ridge": ridge, "kernel": kernel_ridge}.items():
            found[f"{how}+{name}"] = fit(x, change, learn)[0][test]
        found[f"nearest+{name}"] = change[learn[pairwise_distances_argmin(x[[test]], x[learn])[0]]]
        if name in affected:
            chosen = np.random.default_rng([seed, test]).permutation(learn)
            parts = np.sort(chosen[1:]), chosen[:1]
            found[name] = fit_network(x, affected[name], change, *parts, NetworkConfig(), seed=seed)[0][test]
    return found
