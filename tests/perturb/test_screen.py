"""Reading a screen: what changes are measured, what is left out, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scgraph.data import Vocabulary, read_network
from scgraph.errors import ConfigError, DataError
from scgraph.perturb.config import PerturbConfig
from scgraph.perturb.screen import Screen, read_screen
from tests.forms import write_zarr
from tests.perturb.forms import MEASURED, PATHWAY, labelled_screen, write_edges

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scgraph.perturb.simulate import SimulatedScreen

GENES = tuple(f"GENE{at}" for at in range(12))
VOCABULARY = Vocabulary(GENES, ("",) * 12)
LABELS = ["control", "GENE1", "GENE2", "GENE3", "GENE4", "GENE5", "GENE1_GENE2"]


def make(labels: list[str] | None = None, *, column: str = "perturbation", each: int = 12) -> ad.AnnData:
    names = labels or LABELS
    counts = np.random.default_rng(0).poisson(3.0, size=(len(names) * each, 12)).astype(np.float32) + 1
    obs = pd.DataFrame({column: np.repeat(names, each)}, index=[f"c{at}" for at in range(len(counts))])
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=list(GENES)))


def read(adata: ad.AnnData, **config: object) -> Screen:
    return read_screen(adata, VOCABULARY, PerturbConfig(**config))  # type: ignore[arg-type]


def test_change_is_the_difference_of_means_of_log_values() -> None:
    adata = make()
    counts = np.asarray(adata.X, dtype=float)
    logged = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    screen = read(adata)
    state = logged[:12].mean(axis=0)
    assert [one.name for one in screen.perturbations] == ["GENE1", "GENE1+GENE2", "GENE2", "GENE3", "GENE4", "GENE5"]
    assert np.allclose(screen.state, state, atol=1e-5)
    for one, label in zip(screen.perturbations, ["GENE1", "GENE1_GENE2"], strict=False):
        rows = (adata.obs["perturbation"] == label).to_numpy()
        assert np.array_equal(one.cells, np.flatnonzero(rows))
    assert np.allclose(screen.change[1], logged[72:].mean(axis=0) - state, atol=1e-5)
    assert screen.targets()[1].nonzero()[0].tolist() == [1, 2]
    logs = adata.copy()
    logs.X = logged.astype(np.float32)
    assert np.allclose(read(logs).change, screen.change, atol=1e-4)
    assert "log1p" in " ".join(read(logs).notes)


def test_a_zarr_and_a_lazy_object_give_the_same(tmp_path: Path) -> None:
    adata = make()
    path = write_zarr(tmp_path / "screen.zarr", adata)
    expected = read(adata)
    for source in (path, ad.experimental.read_lazy(path)):
        found = read_screen(source, VOCABULARY, PerturbConfig())
        assert np.array_equal(found.change, expected.change)


def test_both_layouts_and_ensembl_ids_give_the_same(simulated: SimulatedScreen, tmp_path: Path) -> None:
    adata = simulated.adata.copy()
    vocabulary = Vocabulary(tuple(adata.var_names), ("",) * adata.n_vars)
    expected = read_screen(adata, vocabulary, PerturbConfig())
    both = {label: label.replace("_", "+") for label in adata.obs["perturbation"].cat.categories}
    named = adata.obs["perturbation"].astype(str).map(both)
    gears = ["ctrl" if label == "control" else label if "+" in label else f"{label}+ctrl" for label in named]
    adata.obs = pd.DataFrame({"condition": pd.Categorical(gears)}, index=adata.obs_names)
    adata.var = pd.DataFrame({"gene_name": list(adata.var_names)}, index=[f"ENSG{at:011d}" for at in range(80)])
    adata.write_h5ad(tmp_path / "gears.h5ad")
    found = read_screen(tmp_path / "gears.h5ad", vocabulary, PerturbConfig())
    assert found.column == "condition"
    assert found.control_labels == ("ctrl",)
    assert [one.name for one in found.perturbations] == [one.name for one in expected.perturbations]
    assert sum("+" in one.name for one in found.perturbations) == 12
    assert np.array_equal(found.change, expected.change)


def test_labels_of_the_same_genes_are_one_perturbation() -> None:
    screen = read(make([*LABELS, "GENE2+GENE1", "GENE3+ctrl"]))
    sizes = {one.name: len(one.cells) for one in screen.perturbations}
    assert sizes["GENE1+GENE2"] == sizes["GENE3"] == 24
    assert "2 perturbations have several labels" in " ".join(screen.notes)


def test_what_is_left_out_is_said() -> None:
    adata = make([*LABELS, "TP53", "gene7", "GENE1+GENE2+GENE3", "GENE11"])
    few = make(["GENE9"], each=3)
    few.obs_names = ["x", "y", "z"]
    known = Vocabulary(GENES[:11], ("",) * 11)
    screen = read_screen(ad.concat([adata, few]), known, PerturbConfig())
    said = " ".join(screen.notes)
    assert len(screen.perturbations) == 6
    assert "no gene that is known: TP53, gene7. In another case there is GENE7." in said
    assert "not in the vocabulary of the model: GENE11." in said
    assert "more than two genes: GENE1+GENE2+GENE3." in said
    assert "1 perturbations with fewer than 10 cells are left out: GENE9 (3)" in said
    assert screen.ids[11] == 0
    assert screen.change.shape == (6, 12)


def test_only_the_most_expressed_genes_are_scored_when_asked() -> None:
    adata = make()
    adata.X[:, 4] += 50
    screen = read(adata, most_expressed=3)
    assert 4 in screen.scored
    assert screen.change.shape == (6, 3)


def drop_control(adata: ad.AnnData) -> ad.AnnData:
    return adata[adata.obs["perturbation"] != "control"].copy()


def relabel(old: str, new: str | float | None) -> Callable[[ad.AnnData], ad.AnnData]:
    def change(adata: ad.AnnData) -> ad.AnnData:
        labels = adata.obs["perturbation"].astype(object)
        adata.obs["perturbation"] = labels.where(labels != old, new)
        return adata

    return change


def foreign(adata: ad.AnnData) -> ad.AnnData:
    adata.var_names = [f"OTHER{at}" for at in range(12)]
    return adata


def scaled(adata: ad.AnnData) -> ad.AnnData:
    adata.X = adata.X - adata.X.mean(axis=0)
    return adata


def estimated(adata: ad.AnnData) -> ad.AnnData:
    adata.X = adata.X * np.random.default_rng(0).uniform(0.5, 1, size=adata.X.shape)
    return adata


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (drop_control, "no label looks like a control"),
        (relabel("GENE5", "mock"), "several labels may be the control.*'control', 'mock'"),
        (relabel("GENE1", None), r"obs\['perturbation'\] says nothing for 12 of 84 cells"),
        (lambda adata: adata[:24].copy(), "1 perturbation can be used, and at least 5"),
        (lambda adata: adata[:12].copy(), "one class only"),
        (lambda adata: adata[5:].copy(), r"7 control cells \('control'\), and at least 10"),
        (lambda adata: adata[np.r_[0:12, 12:84:3]].copy(), "0 perturbations can be used.*fewer than 10 cells.*GENE1"),
        (foreign, "only 0 of 12 genes matched"),
        (scaled, "negative"),
        (estimated, "nothing shows their scale.*with values: linear"),
        (
            lambda adata: make(["control", "stim", "IFNB"]),
            "none of the 2 perturbations names a gene.*IFNB, stim.*A label is GENE, GENE1",
        ),
        (lambda adata: make([f"P{at}" for at in range(7)], column="who"), "Name the column .*with perturbation.*who"),
        (lambda adata: "cells", "there is no such file"),
        (lambda adata: 7, "AnnData object is needed, not int"),
    ],
)
def test_bad_input_gets_one_message(spoil: Callable[[ad.AnnData], ad.AnnData], said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        read(spoil(make()))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("TP53", "TP53 of 'TP53' is no gene"),
        ("GENE1+GENE2+GENE3", "more than two"),
        ("GENE11", "not in the vocabulary"),
    ],
)
def test_what_cannot_be_predicted_is_refused(asked: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"predict: .*{said}"):
        read_screen(make(), Vocabulary(GENES[:11], ("",) * 11), PerturbConfig(predict=(asked,)))


def test_stimulated_cells_are_no_gene_perturbations(shared_data: Path) -> None:
    """Real cells with a column `condition` (ctrl, stim) and nothing that could be predicted from genes."""
    from scgraph.data import read_cells

    path = shared_data / "kang_pbmc_subset.h5ad"
    vocabulary = Vocabulary.from_cells([read_cells(path)])
    with pytest.raises(DataError, match=r"none of the 1 perturbations names a gene.*stim"):
        read_screen(path, vocabulary, PerturbConfig())


def test_perturbed_genes_need_not_be_measured(tmp_path: Path) -> None:
    """As in norman2019 and mcfaline2023: the file holds other genes than those that were hit."""
    adata = labelled_screen(["NT_1", "NT_2", *PATHWAY, "STAT1+JAK2", "CBL_IRF1"])
    vocabulary = Vocabulary((*MEASURED, *PATHWAY[:5]), ("",) * 17)
    screen = read_screen(adata, vocabulary, PerturbConfig())
    names = ["IFNGR1", "IRF1", "JAK2", "JAK2+STAT1", "SPI1", "STAT1"]
    assert sorted("+".join(sorted(one.name.split("+"))) for one in screen.perturbations) == names
    said = " ".join(screen.notes)
    assert screen.change.shape == (6, len(MEASURED))
    assert len(screen.control) == 24
    assert "2 labels" not in said
    assert "('NT_1', 'NT_2')" in said
    assert "5 of 5 perturbed genes are not measured in the file" in said
    assert "not in the vocabulary of the model: MYC" in said
    assert not screen.targets().any()

    network = read_network(write_edges(tmp_path, [("MYC", "LYZ"), ("CBL", "CD3D"), ("STAT1", "IRF1")]))
    more = read_screen(adata, vocabulary, PerturbConfig(), network=network)
    assert len(more.perturbations) == 8
    assert "the model does not know CBL, MYC" in " ".join(more.notes)
    assert "1 labels are read as guides or pairs of genes: 'CBL_IRF1' as IRF1+CBL" in " ".join(more.notes)


def test_guides_of_a_gene_are_one_perturbation() -> None:
    labels = [f"{gene}_{guide}" for gene in PATHWAY for guide in (1, 2)]
    screen = read_screen(
        labelled_screen(["non-targeting_00001", "non-targeting_00002", *labels], column="guide_id", each=6),
        Vocabulary((*MEASURED, *PATHWAY), ("",) * 18),
        PerturbConfig(),
    )
    assert [one.name for one in screen.perturbations] == sorted(PATHWAY)
    assert {len(one.cells) for one in screen.perturbations} == {12}
    said = " ".join(screen.notes)
    assert "12 labels are read as guides or pairs of genes: 'IFNGR1_1' as IFNGR1" in said
    assert "6 perturbations have several labels, taken as one ('IFNGR1_1' and 'IFNGR1_2'" in said


def test_changes_are_taken_within_several_covariates() -> None:
    """Twice the counts of a gene in one line and half in a dose: no change where these shares differ."""
    adata = labelled_screen(["control", *PATHWAY], each=40)
    counts = np.full(adata.shape, 10.0, dtype=np.float32)
    line = np.arange(adata.n_obs) % 40 >= np.repeat([20, *range(10, 34, 4)], 40)
    dose = np.arange(adata.n_obs) % 2 == 0
    counts[line, 0] *= 4
    counts[dose, 1] *= 2
    adata.X = counts
    adata.obs["cell_line"], adata.obs["dose"] = np.where(line, "A172", "T98G"), np.where(dose, "0.1", "1.0")
    vocabulary = Vocabulary((*MEASURED, *PATHWAY), ("",) * 18)
    both = read_screen(adata, vocabulary, PerturbConfig(min_cells=5), covariate=["cell_line", "dose"])
    assert np.abs(both.change).max() < 1e-5
    assert "controls of the same cell_line and dose" in " ".join(both.notes)
    assert "(4 levels)" in " ".join(both.notes)
    one = read_screen(adata, vocabulary, PerturbConfig(min_cells=5), covariate="dose")
    assert np.abs(one.change).max() > 0.1
