"""A bench with a batch column: whole batches in a part, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import scgraph
from scgraph.bench.plan import plan_bench
from scgraph.cli import main
from scgraph.config_files import as_bench_config
from scgraph.data.sets.corpus import NO_CORPUS, read_corpus
from scgraph.data.sets.labelled import read_probe_sets, split_of
from scgraph.models.settings import settings_by_model
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.data.sets.labelled import ProbeSet


def test_batches_stay_whole(cells_file: Path) -> None:
    result = scgraph.bench(["none"], [cells_file], config=QUICK, batch_key="donor")
    assert result.results["split"].unique().tolist() == ["batch"]
    assert any("donor" in note or "batch" in note for note in result.notes)


def test_a_set_without_the_batch_column_is_named(
    cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adata = make_cells(seed=1)
    del adata.obs["donor"]
    adata.write_h5ad(tmp_path / "other.h5ad")
    command = ["bench", "--models", "none", "--batch-key", "donor"]
    command += ["--data", str(cells_file), "--data", str(tmp_path / "other.h5ad"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    said = " ".join(err.split())
    assert "other.h5ad: obs has no column 'donor'. Columns: cell_type. A batch column divides every set" in said
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_seeds_that_share_a_split_are_told(tmp_path: Path) -> None:
    adata = make_cells()
    adata.obs["donor"] = [f"d{i // 3 % 3}" for i in range(90)]
    adata.obs["donor"] = np.where(np.arange(90) < 80, "large", adata.obs["donor"])
    result = scgraph.bench(["none"], [adata], config=QUICK | {"seeds": 3}, batch_key="donor")
    assert any("the 3 seeds divide the cells in" in note for note in result.notes)
    result = scgraph.bench(["none"], [make_cells()], config=QUICK | {"seeds": 2})
    assert not any("seeds divide the cells" in note for note in result.notes)


def check_batches_divide(probe: ProbeSet) -> None:
    """No batch stands on both sides, no class is tested that was not learned, and a seed changes the test part."""
    batches = np.asarray(probe.cells.batches).astype(str)
    tested = set()
    for seed in range(5):
        split = split_of(probe, as_bench_config({}), seed=seed)
        parts = [set(batches[rows]) for rows in (split.train, split.validation, split.test)]
        assert not parts[0] & parts[1]
        assert not parts[2] & (parts[0] | parts[1])
        assert set(probe.codes[split.test]) <= set(probe.codes[split.train])
        tested.add(frozenset(parts[2]))
    assert len(tested) > 1


def test_batches_of_unequal_size_and_content_are_divided() -> None:
    """Eleven batches of 6 to 60 cells, a class in few of them, another one in a single batch of two cells."""
    rng = np.random.default_rng(0)
    adata = make_cells(360)
    adata.obs["donor"] = rng.choice([f"d{at}" for at in range(11)], size=360, p=np.arange(1, 12) / 66)
    donor = adata.obs["donor"].to_numpy()
    kinds = adata.obs["cell_type"].to_numpy(copy=True)
    kinds[np.isin(donor, ["d3", "d9", "d10"]) & (np.arange(360) % 2 == 0)] = "of three donors"
    kinds[np.flatnonzero(donor == "d5")[:2]] = "rare"
    adata.obs["cell_type"] = kinds
    probe = read_probe_sets([adata], batch_key="donor", drop_classes_below=3)[0]
    assert set(probe.classes) == {"type 0", "type 1", "type 2", "of three donors"}
    check_batches_divide(probe)


@pytest.mark.parametrize(
    ("name", "least"), [("kang_pbmc_subset", 0), ("pbmc_tonsil_ligrec", 0), ("pbmc_multistudy", 3)]
)
def test_real_sets_divide_by_batch(shared_data: Path, name: str, least: int) -> None:
    sets = read_probe_sets([shared_data / f"{name}.h5ad"], batch_key="batch", drop_classes_below=least)
    check_batches_divide(sets[0])


@pytest.mark.parametrize(
    ("cells", "settings", "corpus", "told"),
    [
        (120, {}, False, "is corrected for their 2 batches (Harmony)"),
        (120, {"integration": "none"}, False, ""),
        (120, {}, True, "models learn from the corpus, and of its cells no batches are read"),
        (42, {}, False, "cells to learn from none are corrected, as it takes 30"),
    ],
)
def test_what_a_batch_column_does_to_models_is_said_before_the_work(
    cells: int, settings: dict[str, str], corpus: bool, told: str
) -> None:
    adata = make_cells(cells)
    adata.obs["donor"] = [f"d{at // 3 % 4}" for at in range(cells)]
    config = as_bench_config({"train": settings, "n_top_genes": None, "seeds": 1})
    probe = read_probe_sets([adata], batch_key="donor")[0]
    sources = read_corpus([make_cells(60, seed=1)]) if corpus else NO_CORPUS
    plan = plan_bench(settings_by_model(["gnn"], config), [probe], sources, config)
    said = [note for note in plan.notes if "train.integration" in note]
    assert len(said) == bool(told)
    assert all(told in note and note in plan.warnings for note in said)
    assert any("baselines are told no batch" in note for note in said) == ("Harmony" in told)
