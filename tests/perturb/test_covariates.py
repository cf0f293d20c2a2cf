"""Covariates: where nothing was simulated no change is measured, and what is out of balance is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scgraph
from scgraph.data import Vocabulary
from scgraph.errors import DataError
from scgraph.perturb.config import PerturbConfig
from scgraph.perturb.expression import expression_matrix
from scgraph.perturb.screen import Screen, read_screen

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.perturb.simulate import SimulatedScreen

GENES = tuple(f"GENE{at}" for at in range(40))
VOCABULARY = Vocabulary(GENES, ("",) * len(GENES))
PERTURBED = GENES[:6]


def mixed(
    shares: dict[str, float], *, each: int = 200, controls: int = 600, noise: bool = True, effect: float = 1.0
) -> ad.AnnData:
    """Cells of two types whose share of the second type is given by label; only `effect` on GENE39 in the second."""
    rng = np.random.default_rng(0)
    profiles = rng.gamma(1.0, 20.0, size=(2, len(GENES))) + 1
    labels, types = [], []
    for label, share in shares.items():
        count = controls if label == "control" else each
        labels += [label] * count
        types += [int(at < round(share * count)) for at in range(count)]
    rates = profiles[types]
    rates[(np.asarray(labels) != "control") & (np.asarray(types) == 1), 39] *= effect
    counts = (rng.poisson(rates) if noise else np.round(rates)).astype(np.float32)
    obs = pd.DataFrame({"perturbation": labels, "cell_type": np.asarray(["T cell", "B cell"])[types]})
    obs.index = obs.index.map("cell{}".format)
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=list(GENES)))


def read(adata: ad.AnnData, covariate: str | None = None, **config: object) -> Screen:
    return read_screen(adata, VOCABULARY, PerturbConfig(**config), covariate=covariate)  # type: ignore[arg-type]


UNEQUAL = {"control": 0.5, **{gene: 0.1 + 0.16 * at for at, gene in enumerate(PERTURBED)}}
EQUAL = dict.fromkeys(["control", *PERTURBED], 0.5)


def test_no_change_is_measured_where_only_the_cell_types_differ() -> None:
    """Cells of a type are all alike here, so that every change is exactly that of the proportions."""
    adata = mixed(UNEQUAL, noise=False)
    assert np.abs(read(adata).change).max() > 0.5
    assert np.abs(read(adata, "cell_type").change).max() < 1e-5


def test_what_is_left_with_a_covariate_is_noise() -> None:
    adata = mixed(UNEQUAL)
    screen = read(adata, "cell_type")
    values = expression_matrix(screen.cells).toarray()
    kinds = adata.obs["cell_type"].to_numpy()
    for one, change in zip(screen.perturbations, screen.change, strict=True):
        variance = np.zeros(len(GENES))
        for kind in np.unique(kinds):
            own = one.cells[kinds[one.cells] == kind]
            other = screen.control[kinds[screen.control] == kind]
            share = len(own) / len(one.cells)
            variance += share**2 * (values[own].var(axis=0) / len(own) + values[other].var(axis=0) / len(other))
        assert 0.6 < float(np.sqrt(np.mean(change**2 / variance))) < 1.4


def test_an_effect_in_one_type_counts_with_the_share_of_that_type() -> None:
    screen = read(mixed(UNEQUAL, noise=False, effect=4.0), "cell_type")
    found = screen.change[:, 39]
    shares = [UNEQUAL[one.name] for one in screen.perturbations]
    assert found / found[-1] == pytest.approx(np.asarray(shares) / shares[-1], rel=1e-3)
    assert found[-1] > 0.5


def test_one_level_is_the_same_as_no_covariate() -> None:
    adata = mixed(UNEQUAL)
    adata.obs["plate"] = "one"
    assert np.allclose(read(adata, "plate").change, read(adata).change, atol=1e-6)


def test_levels_without_controls_are_left_out_with_a_note() -> None:
    adata = mixed(UNEQUAL)
    kinds = adata.obs["cell_type"].to_numpy().astype(object)
    lost = np.flatnonzero((adata.obs["perturbation"] == "GENE3").to_numpy())[:50]
    kinds[lost] = "NK cell"
    few = np.flatnonzero((adata.obs["perturbation"] == "control").to_numpy())[:3]
    kinds[few] = "NK cell"
    adata.obs["cell_type"] = kinds
    screen = read(adata, "cell_type")
    assert "fewer than 10 control cells are left out, and their 53 cells: NK cell (3)" in " ".join(screen.notes)
    sizes = {one.name: len(one.cells) for one in screen.perturbations}
    assert sizes["GENE3"] == 150
    assert sizes["GENE1"] == 200
    assert len(screen.control) == 597
    assert not np.isin(lost, screen.perturbations[3].cells).any()


def test_a_covariate_that_cannot_serve_is_refused() -> None:
    adata = mixed(UNEQUAL)
    adata.obs["well"] = [f"w{at % 300}" for at in range(adata.n_obs)]
    with pytest.raises(DataError, match=r"no level of obs\['well'\] has 10 control cells"):
        read(adata, "well")
    with pytest.raises(DataError, match="cannot be the covariate too"):
        read(adata, "perturbation")
    with pytest.raises(DataError, match=r"obs has no column 'cel_type'.*cell_type"):
        read(adata, "cel_type")


def warnings(screen: Screen) -> list[str]:
    return [note for note in screen.notes if note.startswith("warning: ")]


@pytest.mark.parametrize("column", ["cell_type", "Cell Type", "louvain", "batch", "Donor.ID"])
def test_an_obvious_covariate_out_of_balance_is_said(column: str) -> None:
    adata = mixed(UNEQUAL)
    adata.obs = adata.obs.rename(columns={"cell_type": column})
    (said,) = warnings(read(adata))
    assert f"warning: {column} has other shares" in said
    assert "most in GENE0: 'B cell' 10%, of the controls 50%" in said
    assert f"covariate={column!r}" in said
    assert not warnings(read(adata, column))


def test_one_perturbation_out_of_balance_is_enough() -> None:
    (said,) = warnings(read(mixed({**EQUAL, "GENE2": 0.9, "GENE4": 0.1})))
    assert "2 of 7 comparisons" in said


def test_no_warning_where_proportions_are_alike_or_the_column_means_nothing() -> None:
    adata = mixed(EQUAL)
    rng = np.random.default_rng(1)
    adata.obs["batch"] = rng.choice([f"b{at}" for at in range(30)], adata.n_obs)
    adata.obs["guide"] = adata.obs["perturbation"]
    adata.obs["sample"] = adata.obs["perturbation"]
    assert not warnings(read(adata))
    odd = mixed(UNEQUAL)
    odd.obs = odd.obs.rename(columns={"cell_type": "my_own_column"})
    assert not warnings(read(odd))


def test_other_columns_are_looked_at_within_the_covariate() -> None:
    """A donor of its own for each type is balanced once the type is; a batch of the perturbed cells is not."""
    adata = mixed(UNEQUAL)
    adata.obs["donor"] = adata.obs["cell_type"].map({"T cell": "d1", "B cell": "d2"})
    assert len(warnings(read(adata))) == 2
    assert not warnings(read(adata, "cell_type"))
    is_control = (adata.obs["perturbation"] == "control").to_numpy()
    adata.obs["batch"] = np.where(is_control, "first", "second")
    (said,) = warnings(read(adata, "cell_type"))
    assert said.startswith("warning: batch")


def test_the_command_takes_a_covariate(simulated: SimulatedScreen, graph_model: Path, tmp_path: Path) -> None:
    adata = simulated.adata.copy()
    adata.obs["donor"] = np.where(np.arange(adata.n_obs) % 2, "a", "b")
    config = {"seeds": 1, "network": {"epochs": 2, "width": 8}, "components": 5, "control_cells": 20}
    said: list[str] = []
    result = scgraph.perturb(
        adata, graph_model, covariate="donor", config=config, out=tmp_path / "out", say=said.append
    )
    assert any("controls of the same donor" in note for note in said)
    assert any("controls of the same donor" in note for note in result.notes)
    assert '"donor"' in (tmp_path / "out" / "environment.json").read_text()
