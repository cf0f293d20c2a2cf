"""The change of a treatment by held-out patient: what is known of a patient, and what must not be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from benchmarks.perturbation.state import BASELINES, _guesses, held_out, ratio_change, read_treated
from scgraph.errors import DataError
from tests.genes.helpers import ENSEMBL, NAMES, planted, small_config

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path


def treated_cells(patients: int = 4, each: int = 40, treatments: tuple[str, ...] = ("drug",)) -> ad.AnnData:
    """Patients of two kinds, told by 20 genes of their control cells; the drug raises other genes in each kind."""
    rng = np.random.default_rng(0)
    counts, obs = [], []
    for patient in range(patients):
        kind = patient % 2
        for label in ("control", *treatments):
            rate = np.full(len(NAMES), 4.0)
            rate[10 * kind : 10 * kind + 10] *= 5
            if label != "control":
                rate[20:25] *= 3
                rate[30 + 10 * kind : 40 + 10 * kind] *= 4
            counts.append(rng.poisson(rate, size=(each, len(NAMES))))
            obs += [(f"P{patient}", label)] * each
    table = pd.DataFrame(obs, columns=["patient", "perturbation"], index=[f"c{at}" for at in range(len(obs))])
    return ad.AnnData(
        np.concatenate(counts).astype(np.float32), table, pd.DataFrame({"gene_ids": ENSEMBL}, index=NAMES)
    )


def test_who_is_like_the_patient_tells_the_change(tmp_path: Path) -> None:
    treated_cells().write_h5ad(tmp_path / "cells.h5ad")
    found = held_out(
        read_treated(tmp_path / "cells.h5ad", "patient"),
        planted(tmp_path / "m", small_config()),
        genes=None,
        seeds=1,
        seed=0,
    )
    assert set(found["perturbation"]) == {f"P{at}" for at in range(4)}
    assert found["model"].iloc[-1] == "gnn"  # the page names the last
    assert set(BASELINES) | {"gnn", "gnn untrained", "split half (ceiling)"} <= {*found["model"]}
    means = found.groupby("model")["pearson"].mean()
    assert means["split half (ceiling)"] > 0.8
    assert means["nearest+pseudobulk"] > means["mean change"] + 0.1
    assert means["kernel+pseudobulk"] > means["mean change"] + 0.1
    assert means["no change"] == 0
    assert means["mean change"] < 0.8


def test_the_held_out_patient_tells_nothing_of_its_own_change() -> None:
    rng = np.random.default_rng(0)
    change = rng.normal(size=(5, 30)).astype(np.float32)
    tables, affected = (
        {"pseudobulk": rng.normal(size=(5, 30)), "gnn": rng.normal(size=(5, 8))},
        {"gnn": rng.normal(size=(30, 4))},
    )
    before = _guesses(change, tables, affected, 2, 0)
    change[2] = 100
    after = _guesses(change, tables, affected, 2, 0)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_ratio_is_put_upon_every_cell() -> None:
    counts = np.asarray([[0.0, 3, 8], [1, 0, 2]])
    found = ratio_change(sparse.csr_matrix(counts), np.asarray([2.0, 1, 0.5]))
    assert np.allclose(found, (np.log1p(counts * [2, 1, 0.5]) - np.log1p(counts)).mean(axis=0))


def test_what_cannot_be_held_out(tmp_path: Path) -> None:
    treated_cells(treatments=("drug", "other")).write_h5ad(tmp_path / "two.h5ad")
    with pytest.raises(DataError, match=r"2 treatments \(drug, other\), and one is needed"):
        read_treated(tmp_path / "two.h5ad", "patient")
    treated_cells(patients=3).write_h5ad(tmp_path / "few.h5ad")
    with pytest.raises(DataError, match="at least 4 levels"):
        read_treated(tmp_path / "few.h5ad", "patient")


@pytest.mark.slow
def test_the_command(script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    treated_cells().write_h5ad(tmp_path / "cells.h5ad")
    words = ["--data", "cells.h5ad", "--patient", "patient", "--out", "out", "--seeds", "1", "--steps", "2"]
    done = script("perturbation", "state", *words)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "table.md").read_text()
    assert "drug in 4 patients, 160 treated and 160 control cells" in page
    assert "| mean change |" in page
    assert set(pd.read_csv(tmp_path / "out" / "summary.csv")["perturbations"]) == {4}
