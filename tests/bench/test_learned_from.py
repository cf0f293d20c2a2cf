"""Which cells a bench learns from: nothing of the test part, and for all rows the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd

from scgraph.bench.measure import Measured, measure
from scgraph.bench.plan import plan_bench
from scgraph.config_files import as_bench_config
from scgraph.data.components import fit_components
from scgraph.data.sets.corpus import NO_CORPUS, read_corpus, stores_to_train_on
from scgraph.data.sets.labelled import read_probe_sets, split_of
from scgraph.data.sets.splits import make_split
from scgraph.data.sets.stores import make_stores
from scgraph.models.settings import settings_by_model
from scgraph.representations.classifier import fit_classifier
from tests.helpers import QUICK, leaks_are_found_and_dropped, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from scgraph.data import CellStore
    from scgraph.data.components import Components
    from scgraph.representations.classifier import Classifier


def test_nothing_is_learned_from_the_test_part(tmp_path: Path) -> None:
    adata = make_cells()
    split = make_split(adata.obs["cell_type"], seed=0)
    adata.X[:, 7] = 0
    adata.X[split.test, 7] = 5  # a gene that only test cells express
    probe = read_probe_sets([adata])[0]
    prepared = make_stores(probe, split, NO_CORPUS, as_bench_config(QUICK), seed=0, drop_leaks=False)
    assert "GENE7" not in prepared.train.vocabulary.names()
    assert len(prepared.train) == len(split.train)
    assert len(prepared.validation) == len(split.validation)
    other = adata.copy()
    other.X[split.test] = np.random.default_rng(1).poisson(3.0, size=other.X[split.test].shape)
    again = make_stores(read_probe_sets([other])[0], split, NO_CORPUS, as_bench_config(QUICK), seed=0, drop_leaks=False)
    assert np.array_equal(prepared.train.values.array, again.train.values.array)
    assert prepared.train.vocabulary == again.train.vocabulary


def test_labels_of_the_test_part_change_scores_and_no_prediction(tmp_path: Path) -> None:
    """The labels change places within the donors of the test part, so that the split stays as it is."""
    config = as_bench_config(QUICK)
    adata = make_cells()
    split = split_of(read_probe_sets([adata], batch_key="donor")[0], config, seed=0)
    other = adata.copy()
    labels, donors = other.obs["cell_type"].to_numpy(copy=True), other.obs["donor"].to_numpy()
    for donor in np.unique(donors[split.test]):
        rows = np.flatnonzero(donors == donor)
        labels[rows] = labels[np.roll(rows, 1)]
    other.obs["cell_type"] = labels
    found = []
    for at, cells in enumerate((adata, other)):
        probe = read_probe_sets([cells], batch_key="donor")[0]
        assert np.array_equal(split_of(probe, config, seed=0).test, split.test)
        found.append(
            measure(
                plan_bench(settings_by_model(["gnn"], config), [probe], NO_CORPUS, config), folder=tmp_path / str(at)
            )
        )
    first, second = found
    assert {name for _, name in first.predictions} == {"pca+logreg", "gnn untrained", "gnn"}
    for key, predicted in first.predictions.items():
        np.testing.assert_array_equal(second.predictions[key], predicted, err_msg=key[1])
    learned = pd.DataFrame(first.rows)["model"] != "majority"
    accuracy = [pd.DataFrame(one.rows).loc[learned, "accuracy"].to_numpy() for one in found]
    assert (accuracy[0] > 0.5).all()
    assert (accuracy[1] < 0.3).all()


def test_every_row_is_probed_by_the_same_classifier_on_the_same_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    config = as_bench_config(QUICK)
    probe = read_probe_sets([make_cells()])[0]
    split = split_of(probe, config, seed=0)
    given: list[tuple[Any, ...]] = []

    def watched(*parts: Any, **settings: Any) -> Classifier:
        given.append(parts)
        return fit_classifier(*parts, **settings)

    monkeypatch.setattr("scgraph.representations.classifier.fit_classifier", watched)
    measured = measure(plan_bench(settings_by_model(["gnn"], config), [probe], NO_CORPUS, config))
    rows = pd.DataFrame(measured.rows).set_index("model")
    assert len(given) == len(rows) - 1  # all but the majority
    for train_x, train_y, validation_x, validation_y in given:
        assert np.array_equal(train_y, probe.codes[split.train])
        assert np.array_equal(validation_y, probe.codes[split.validation])
        assert (len(train_x), len(validation_x)) == (len(split.train), len(split.validation))
    assert rows["scaling"].drop("majority").isin(["global", "columns"]).all()


def test_components_are_fitted_on_the_cells_models_learn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a corpus those are its cells, without one the train part."""
    config = as_bench_config(QUICK)
    probe = read_probe_sets([make_cells()])[0]
    fitted_on: list[int] = []

    def watched(store: CellStore, *args: Any, **settings: Any) -> Components:
        fitted_on.append(len(store))
        return fit_components(store, *args, **settings)

    monkeypatch.setattr("scgraph.representations.components.fit_components", watched)
    for corpus in (NO_CORPUS, read_corpus([make_cells(60, seed=1)])):
        plan = plan_bench({}, [probe], corpus, config)
        fitted_on.clear()
        measure(plan)
        assert set(fitted_on) == {len(plan.stores(plan.sets[0], 0)[0].train)}


def test_sets_that_leave_the_corpus_whole_share_a_model(tmp_path: Path) -> None:
    """The second set has the rows that it has alone; a set whose test cells leave the corpus has a model of its own."""
    config = as_bench_config(QUICK)
    cells = {name: make_cells(90, seed=seed) for name, seed in (("first", 1), ("second", 2), ("inside", 3))}
    for name, adata in cells.items():
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
    sources = read_corpus([ad.concat([make_cells(60, seed=4), cells["inside"]])])

    def bench(*names: str) -> Measured:
        sets = read_probe_sets([tmp_path / f"{name}.h5ad" for name in names])
        plan = plan_bench(settings_by_model(["none"], config), sets, sources, config)
        return measure(plan, folder=tmp_path)

    joint, alone = bench("first", "second", "inside"), bench("second")
    rows = pd.DataFrame(joint.rows).set_index(["dataset", "model"])
    measured = rows.columns.drop("seconds_pretrain")
    pd.testing.assert_frame_equal(rows.loc["second", measured], pd.DataFrame(alone.rows).set_index("model")[measured])
    seconds = rows["seconds_pretrain"].xs("none", level="model")
    assert seconds["first"] == seconds["second"] != seconds["inside"]
    told = "second: none is the model of first, which learned from the same cells."
    assert [note for note in joint.notes if "is the model of" in note] == [told]


def test_leaks_are_found_and_dropped(tmp_path: Path) -> None:
    probe_cells, other = make_cells(), make_cells(60, seed=1)
    mixed = ad.concat([other, probe_cells])
    mixed = mixed[:, ::-1].copy()  # genes in another order
    probe, corpus = read_probe_sets([probe_cells])[0], read_corpus([mixed])
    split = make_split(probe.codes, seed=0)
    kept = leaks_are_found_and_dropped(probe, corpus, split)
    assert f"{len(split.test)} corpus cells have the counts of a test cell" in kept.notes[0]


def test_a_corpus_without_counts_is_not_called_free_of_leaks() -> None:
    estimated = make_cells()
    estimated.X = estimated.X * np.random.default_rng(0).uniform(0.5, 1, size=estimated.shape)
    probe, corpus = read_probe_sets([make_cells()])[0], read_corpus([estimated], values="linear")
    split = make_split(probe.codes, seed=0)
    prepared = make_stores(probe, split, corpus, as_bench_config(QUICK), seed=0, drop_leaks=False)
    assert f"{estimated.n_obs} corpus cells cannot be compared with the test cells" in prepared.notes[0]
    assert not any("0 corpus cells have the counts" in note for note in prepared.notes)


def test_genes_of_a_corpus_are_those_of_the_cells_to_learn_from() -> None:
    adata = make_cells(60)
    own = ad.AnnData(np.eye(60, dtype=np.float32), adata.obs, pd.DataFrame(index=[f"OF{at}" for at in range(60)]))
    corpus = read_corpus([ad.concat([adata, own], axis=1, merge="same")])  # every cell has a gene that no other has
    train, validation = stores_to_train_on(corpus, as_bench_config(QUICK), seed=0)
    assert len(validation) > 0
    assert len(train.vocabulary) == 40 + len(train)
    assert validation.vocabulary == train.vocabulary
