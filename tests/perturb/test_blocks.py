"""A screen is read in blocks: what is measured is what the plain form measures, and memory is bounded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scgraph
from scgraph.data import Vocabulary, read_cells
from scgraph.data.store.column import DiskColumn
from scgraph.data.store.spool import SpooledCells, SpooledMatrix
from scgraph.errors import ConfigError, DataError, OutputError
from scgraph.perturb.config import PerturbConfig
from scgraph.perturb.expression import mean_expression
from scgraph.perturb.measure import Measured, measure
from scgraph.perturb.screen import Screen, read_screen
from tests.perturb.conftest import BLOCK
from tests.perturb.forms import MEASURED, PATHWAY, labelled_screen
from tests.perturb.test_run import BRIEF

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from scipy import sparse

    from scgraph.perturb.simulate import SimulatedScreen

VOCABULARY = Vocabulary((*MEASURED, *PATHWAY), ("",) * 18)


def two_lines() -> ad.AnnData:
    """Cells of two cell lines, and of a third that has no controls; a control without a count."""
    adata = labelled_screen(["control", *PATHWAY, "STAT1+JAK2"], each=31)
    adata.X[4] = 0
    line = np.random.default_rng(3).choice(["A172", "T98G"], adata.n_obs).astype(object)
    line[-5:] = "U87"
    adata.obs["cell_line"] = line
    return adata


@pytest.fixture
def lines(tmp_path: Path, laid_on_the_disk: None) -> Path:
    two_lines().write_h5ad(tmp_path / "lines.h5ad")
    return tmp_path / "lines.h5ad"


def plain_change(
    screen: Screen, values: sparse.csr_matrix, rows: NDArray[np.int64], controls: NDArray[np.int64]
) -> NDArray[np.float64]:
    """``Σ_l (n_l / n) (mean of the cells in l - mean of the controls in l)``, as it is written."""
    total = np.zeros(values.shape[1])
    for level in range(screen.strata.levels):
        own, other = rows[screen.strata.codes[rows] == level], controls[screen.strata.codes[controls] == level]
        if len(own):
            share = len(own) / len(rows)
            total += share * (mean_expression(values, own) - mean_expression(values, other))
    return total[screen.scored]


def plain_measure(screen: Screen, values: sparse.csr_matrix, *, seed: int, separate_controls: bool) -> Measured:
    """`measure` on a matrix in memory, one perturbation after the other."""
    rng = np.random.default_rng(seed)
    tested, learned = screen.strata.halves(screen.control, rng)
    if not separate_controls:
        tested = learned = screen.control
    found: list[list[NDArray[np.float64]]] = [[], [], [], []]
    for one in screen.perturbations:
        cells = rng.permutation(one.cells)
        middle = max(1, len(cells) // 2)
        parts = [one.cells, one.cells, cells[:middle], cells[middle:] if len(cells) > 1 else cells]
        for place, (rows, controls) in enumerate(zip(parts, [learned, tested] * 2, strict=True)):
            found[place].append(plain_change(screen, values, rows, controls))
    changes = np.asarray(found, dtype=np.float32)
    state = mean_expression(values, learned)[screen.scored].astype(np.float32)
    return Measured(changes[0], changes[1], changes[2:], learned, state)


@pytest.mark.parametrize("covariate", [None, "cell_line"])
@pytest.mark.parametrize("most", [None, 5])
def test_changes_are_those_of_the_plain_form(lines: Path, covariate: str | None, most: int | None) -> None:
    config = PerturbConfig(min_cells=5, most_expressed=most)
    screen = read_screen(lines, VOCABULARY, config, covariate=covariate)
    assert isinstance(screen.cells.matrix.values, DiskColumn)
    assert len(list(screen.cells.blocks())) > 5
    assert len(screen.control) == 30
    values = read_cells(lines).normalized()
    assert screen.match_note == str(VOCABULARY.require(read_cells(lines), min_matched=0))
    assert "(12 of 12 of the file, 100.0% of its values)" in screen.match_note
    state = mean_expression(values, screen.control)
    np.testing.assert_allclose(screen.state, state[screen.scored], rtol=1e-6)
    assert sorted(screen.scored) == sorted(np.argsort(-state)[:most])
    assert screen.strata.levels == (2 if covariate else 1)
    for one, change in zip(screen.perturbations, screen.change, strict=True):
        expected = plain_change(screen, values, one.cells, screen.control)
        np.testing.assert_allclose(change, expected, rtol=1e-5, atol=1e-6)
    for separate in (True, False):
        for seed in (0, 1):
            found = measure(screen, seed=seed, separate_controls=separate)
            plain = plain_measure(screen, values, seed=seed, separate_controls=separate)
            assert np.array_equal(found.controls, plain.controls)
            for name in ("learned", "truth", "halves", "state"):
                one, other = getattr(found, name), getattr(plain, name)
                assert one.dtype == np.float32
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_single_cell_stands_for_both_halves(tmp_path: Path, laid_on_the_disk: None) -> None:
    adata = labelled_screen(["control", *PATHWAY], each=12)
    adata = adata[np.r_[0:13, 24 : adata.n_obs]].copy()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    screen = read_screen(tmp_path / "cells.h5ad", VOCABULARY, PerturbConfig(min_cells=1))
    (alone,) = [at for at, one in enumerate(screen.perturbations) if len(one.cells) == 1]
    found = measure(screen, seed=0, separate_controls=False)
    assert np.array_equal(found.halves[0][alone], found.halves[1][alone])
    assert np.array_equal(found.halves[0][alone], found.learned[alone])
    plain = plain_measure(screen, read_cells(tmp_path / "cells.h5ad").normalized(), seed=0, separate_controls=False)
    np.testing.assert_allclose(found.halves, plain.halves, rtol=1e-5, atol=1e-6)


def test_files_and_objects_give_the_same_run(
    simulated: SimulatedScreen,
    screen_file: Path,
    graph_model: Path,
    tmp_path: Path,
    laid_on_the_disk: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the disk in blocks, backed by a file, and in memory: the same words, and the same numbers."""
    for name in ("png", "image_bytes"):  # pictures take most of a run
        monkeypatch.setattr(f"scgraph.perturb.run.{name}", lambda _: b"")
    sources = {"file": screen_file, "backed": ad.read_h5ad(screen_file, backed="r"), "memory": simulated.adata}
    said: dict[str, list[str]] = {name: [] for name in sources}
    found, origin = {}, {}
    for name, source in sources.items():
        out = tmp_path / name
        found[name] = scgraph.perturb(source, graph_model, config=BRIEF, out=out, say=said[name].append)
        origin[name] = json.loads((out / "environment.json").read_text())["data"]
    assert said["file"] == said["backed"] == said["memory"]
    assert origin["backed"] == origin["memory"]
    assert {**origin["file"], "sha256": origin["memory"]["sha256"]} == origin["memory"]
    for name in ("backed", "memory"):
        pd.testing.assert_frame_equal(found[name].results, found["file"].results)
        assert np.array_equal(found[name].predictions.X, found["file"].predictions.X)


def test_no_more_than_a_block_is_read_at_once(
    screen_file: Path, graph_model: Path, monkeypatch: pytest.MonkeyPatch, laid_on_the_disk: None
) -> None:
    """Of 1,450 cells, in a whole run; components are fitted on a sample, which is held."""
    monkeypatch.setattr("scgraph.perturb.embeddings.MOST_CELLS", 40)
    read: list[int] = []
    whole = SpooledMatrix.read

    def noted(matrix: SpooledMatrix) -> sparse.csr_matrix:
        read.append(int(matrix.lengths.sum()))
        return whole(matrix)

    monkeypatch.setattr(SpooledMatrix, "read", noted)
    monkeypatch.setattr(SpooledCells, "of", lambda _: pytest.fail("all values are in memory"))
    scgraph.perturb(screen_file, graph_model, config=BRIEF | {"control_cells": 5})
    total = len(read_cells(screen_file).matrix.data)
    assert total > 20 * BLOCK
    assert max(read) <= BLOCK
    # The controls once, the perturbations once, and both for the one seed; the samples besides.
    assert 1.9 * total < sum(read) < 2.1 * total


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(
    screen_file: Path, graph_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, laid_on_the_disk: None
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(
        OutputError, match=f"{tmp_path / 'scratch'}: the cells of {screen_file} are laid aside .* TMPDIR"
    ):
        scgraph.perturb(screen_file, graph_model, config=BRIEF, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def too_few(adata: ad.AnnData) -> ad.AnnData:
    return adata[adata.obs["perturbation"].isin(["control", "STAT1", "MYC"])].copy()


def foreign(adata: ad.AnnData) -> ad.AnnData:
    adata.var_names = [f"OTHER{at}" for at in range(adata.n_vars)]
    return adata


def no_controls(adata: ad.AnnData) -> ad.AnnData:
    return adata[adata.obs["perturbation"] != "control"].copy()


def one_control(adata: ad.AnnData) -> ad.AnnData:
    return adata[30:].copy()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_controls, "no label looks like a control"),
        (one_control, r"1 control cells \('control'\), and at least 10"),
        (too_few, "2 perturbations can be used, and at least 5"),
        (foreign, "only 0 of 18 genes matched"),
    ],
)
def test_a_file_is_refused_before_its_values_are_laid_aside(
    spoil: object, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(spoil)
    spoil(two_lines()).write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr("scgraph.perturb.screen.lay_aside", lambda _: pytest.fail("values are laid aside for nothing"))
    with pytest.raises(DataError, match=said) as found:
        read_screen(tmp_path / "cells.h5ad", VOCABULARY, PerturbConfig())
    with pytest.raises(DataError) as of_object:
        read_screen(ad.read_h5ad(tmp_path / "cells.h5ad"), VOCABULARY, PerturbConfig())
    assert str(found.value).replace(str(tmp_path / "cells.h5ad"), "adata") == str(of_object.value)


def test_settings_that_do_not_fit_are_refused_before_too(lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scgraph.perturb.screen.lay_aside", lambda _: pytest.fail("values are laid aside for nothing"))
    with pytest.raises(DataError, match="no level of obs"):
        read_screen(lines, VOCABULARY, PerturbConfig(min_cells=30), covariate="cell_line")
    with pytest.raises(ConfigError, match="TP53 of 'TP53' is no gene"):
        read_screen(lines, VOCABULARY, PerturbConfig(predict=("TP53",)))
