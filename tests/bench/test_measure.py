"""The protocol end to end on small cells: what is written, what is learned from, what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

import scgraph
from scgraph.bench import figures
from scgraph.bench.measure import Measured, measure
from scgraph.bench.plan import plan_bench
from scgraph.cli import main
from scgraph.config_files import as_bench_config
from scgraph.data.components import fit_components
from scgraph.data.sets.corpus import NO_CORPUS, read_corpus, stores_to_train_on
from scgraph.data.sets.labelled import read_probe_sets, split_of
from scgraph.data.sets.splits import make_split
from scgraph.data.sets.stores import make_stores
from scgraph.errors import ConfigError, DataError, OutputError
from scgraph.models import initial_model
from scgraph.models.settings import settings_by_model
from scgraph.representations.classifier import fit_classifier
from scgraph.train import embed
from scgraph.train.finetuning import finetune
from tests.helpers import ASKED, QUICK, leaks_are_found_and_dropped, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from scgraph.data import CellStore
    from scgraph.data.components import Components
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.nn import CellModel
    from scgraph.representations.classifier import Classifier


def test_a_bench_writes_what_it_found(cells_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said: list[str] = []
    result = scgraph.bench(["gnn", "tf"], [cells_file], config=ASKED | {"seeds": 2}, out=out, say=said.append)

    written = {path.name for path in out.iterdir()}
    assert written == {
        "results.csv",
        "summary.md",
        "report.html",
        "config.yaml",
        "environment.json",
        "models",
        "scores-cells.png",
        "features-cells.png",
        "uses.csv",
        "uses-cells.png",
    }
    rows = pd.read_csv(out / "results.csv")
    models = ["majority", "pca+logreg", "gnn untrained", "gnn", "tf untrained", "tf"]
    assert rows.groupby("seed")["model"].apply(list).tolist() == [models, models]
    assert rows["accuracy"].between(0, 1).all()
    assert (rows["n_train"] + rows["n_validation"] + rows["n_test"]).unique().tolist() == [90]
    trained = rows[rows["model"].isin(["gnn", "tf"])]
    assert trained[["loss", "validation_loss", "multiply_adds", "saved_mb", "seconds_pretrain"]].notna().all().all()
    assert rows.loc[rows["model"] == "majority", "multiply_adds"].isna().all()
    # Majority of three equal classes, and classes that PCA tells apart.
    assert rows.loc[rows["model"] == "majority", "accuracy"].tolist() == pytest.approx([1 / 3, 1 / 3], abs=0.05)
    assert rows.loc[rows["model"] == "pca+logreg", "accuracy"].min() > 0.9

    assert yaml.safe_load((out / "config.yaml").read_text())["train"]["epochs"] == 2
    assert json.loads((out / "environment.json").read_text())["versions"]["torch"]
    assert "cells: random, stratified by class" in (out / "summary.md").read_text()
    assert result.summary.set_index("model").loc["gnn", "macro_f1_difference"] == pytest.approx(
        trained[trained["model"] == "gnn"]["macro_f1"].mean() - trained[trained["model"] == "tf"]["macro_f1"].mean()
    )
    assert said[0] == "cells: values are whole numbers up to 11: taken as counts"
    assert said[1].startswith("cells: random, stratified by class")
    assert [line.split(" ")[0] for line in said[2:]] == [*(f"[{at}/6]" for at in range(1, 7)), "measuring"]
    saved = scgraph.load_model(out / "models" / "cells-gnn")
    assert saved.model_config.conv == "gnn"


def test_the_same_bench_gives_the_same_numbers(cells_file: Path) -> None:
    columns = ["model", "accuracy", "macro_f1", "mvp_loss", "validation_mvp_loss"]
    first, again = (scgraph.bench(["gnn"], [cells_file], config=QUICK).results[columns] for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


def test_a_later_bench_adds_seeds_to_an_earlier_one(cells_file: Path) -> None:
    asked = QUICK | {"seeds": 2, "baselines": ["majority", "pca+logreg"]}
    together = scgraph.bench(["gnn"], [cells_file], config=asked)
    earlier, later = (
        scgraph.bench(["gnn"], [cells_file], config=asked | {"seeds": 1, "first_seed": seed}) for seed in (0, 1)
    )
    assert list(later.results["seed"].unique()) == [1]
    columns = ["model", "seed", "accuracy", "macro_f1", "mvp_loss", "validation_mvp_loss"]
    both = pd.concat([earlier.results, later.results], ignore_index=True)
    pd.testing.assert_frame_equal(both[columns], together.results[columns])


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


def test_the_paper_probe_is_for_models_alone() -> None:
    config = as_bench_config(QUICK | {"probe": {"kind": "adam", "epochs": 3}})
    probe = read_probe_sets([make_cells()])[0]
    measured = measure(plan_bench(settings_by_model(["none"], config), [probe], NO_CORPUS, config))
    rows = pd.DataFrame(measured.rows).set_index("model")
    assert rows.loc[["none", "none untrained"], "inverse_penalty"].isna().all()
    assert rows["inverse_penalty"].notna()["pca+logreg"]
    assert as_bench_config("bench/paper").probe.kind == "adam"
    assert as_bench_config({}).probe.kind == "logistic"


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


def test_batches_stay_whole(cells_file: Path) -> None:
    result = scgraph.bench(["none"], [cells_file], config=QUICK, batch_key="donor")
    assert result.results["split"].unique().tolist() == ["batch"]
    assert any("donor" in note or "batch" in note for note in result.notes)


def test_pictures_of_several_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for seed, name in enumerate(("first", "second")):
        files.append(tmp_path / f"{name}.h5ad")
        make_cells(seed=seed).write_h5ad(files[-1])
    drawn: list[tuple[str, ...]] = []
    real = figures.feature_maps

    def watched(features: dict[str, np.ndarray], *args: Any, **options: Any) -> Figure:
        drawn.append(tuple(features))
        return real(features, *args, **options)

    monkeypatch.setattr(figures, "feature_maps", watched)
    out = tmp_path / "out"
    result = scgraph.bench(["gnn", "tf"], files, config=ASKED | {"seeds": 2}, out=out)
    pictures = {path.name: path for path in out.glob("*.png")}
    assert set(pictures) == {
        *("scores-first.png", "scores-second.png", "features-first.png", "features-second.png", "difference.png"),
        *("uses-first.png", "uses-second.png"),
    }
    for path in pictures.values():
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert 1000 < image.width < 1100
        assert path.stat().st_size < 250_000
    page = ("gnn", "tf", "pca+logreg", "gnn untrained", "tf untrained")
    file = ("pca+logreg", "gnn", "tf")  # the files hold no untrained models
    assert drawn == [page, page, file, file]
    assert result.overall.groupby("model")["over"].apply(list).to_dict()["gnn"] == ["seeds", "sets"]
    assert "All sets together" in (out / "summary.md").read_text()
    assert 'id="all"' in (out / "report.html").read_text()
    (out / "features-gone.png").write_text("of a set that is not in the next bench")
    scgraph.bench(["none"], files[:1], config=ASKED, out=out, overwrite=True)
    assert {path.name for path in out.glob("*.png")} == {"scores-first.png", "features-first.png", "uses-first.png"}


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


def test_untrained_rows_are_of_the_first_weights_and_trained_ones_of_the_last(tmp_path: Path) -> None:
    config = as_bench_config(QUICK)
    probe = read_probe_sets([make_cells()])[0]
    by_model = settings_by_model(["gnn"], config)
    found = measure(plan_bench(by_model, [probe], NO_CORPUS, config), folder=tmp_path)
    split = split_of(probe, config, seed=0)
    prepared = make_stores(probe, split, NO_CORPUS, config, seed=0, drop_leaks=False)
    train = config.train_for(len(prepared.train), seed=0)
    models = {
        "gnn untrained": initial_model(by_model["gnn"].model, train, prepared.train),
        "gnn": scgraph.load_model(tmp_path / "models" / f"{probe.cells.name}-gnn").model,
    }
    features = {}
    for name, model in models.items():
        features[name] = embed(model, prepared.probe, genes=train.genes_to_embed(), seed=0, device=train.device)
        np.testing.assert_array_equal(found.features[probe.cells.name, name], features[name][split.test])
    assert not np.allclose(*features.values(), atol=1e-3)


def test_a_fine_tuned_row_learns_from_its_parts_alone_and_is_asked_no_uses(
    cells_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[CellModel, dict[str, Any]]] = []

    def watched(model: CellModel, *cells: Any, **settings: Any) -> CellModel:
        tuned = finetune(model, *cells, **settings)
        given.append((tuned, settings))
        return tuned

    monkeypatch.setattr("scgraph.bench.measure.finetune", watched)
    config = QUICK | {"fine_tuned": True, "uses": ["labels"], "probe": {"kind": "logistic"}}
    result = scgraph.bench(["gnn", "none"], [cells_file], config=config, out=tmp_path / "out")
    names = ["gnn untrained", "gnn", "gnn fine-tuned", "none untrained", "none", "none fine-tuned"]
    assert result.summary["model"].tolist()[2:] == names
    assert set(result.uses["model"]) == {"pca+logreg", *names} - {"gnn fine-tuned", "none fine-tuned"}
    split = split_of(read_probe_sets([cells_file])[0], as_bench_config(config), seed=0)
    for _, settings in given:
        assert np.array_equal(settings["train"], split.train)
        assert np.array_equal(settings["validation"], split.validation)
    before = scgraph.load_model(tmp_path / "out" / "models" / "cells-gnn").model.state_dict()
    moved = {name for name, weights in given[0][0].state_dict().items() if not torch.equal(weights, before[name])}
    assert any(name.startswith("blocks.") for name in moved)
    assert not any("embedding" in name for name in moved)
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert "| gnn fine-tuned |" in summary
    assert "gnn fine-tuned minus" not in summary


def test_settings_of_one_model(cells_file: Path) -> None:
    config = QUICK | {"per_model": {"gnn": {"layers": 3}}}
    costs = {cost.model: cost for cost in scgraph.bench(["gnn", "mean"], [cells_file], config=config).costs}
    assert (costs["gnn"].layers, costs["mean"].layers) == (3, 1)


def test_a_layer_of_ones_own(cells_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_lab.py").write_text("from scgraph.nn.conv import NoneConv\nclass Own(NoneConv):\n    key = ''\n")
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "out"
    result = scgraph.bench(["own_lab:Own"], [cells_file], config=QUICK, out=out)
    assert "own_lab:Own" in set(result.results["model"])
    assert (out / "models" / "cells-own_lab-Own").is_dir()


def test_what_is_there_stays(cells_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.csv").write_text("precious")
    with pytest.raises(OutputError, match="out"):
        scgraph.bench(["none"], [cells_file], config=QUICK, out=out)
    assert (out / "results.csv").read_text() == "precious"
    scgraph.bench(["none"], [cells_file], config=QUICK, out=out, overwrite=True)
    assert (out / "results.csv").read_text() != "precious"


def test_rare_classes_are_refused_or_left_out(tmp_path: Path) -> None:
    adata = make_cells()
    adata.obs["cell_type"] = ["rare", "rare", *adata.obs["cell_type"][2:]]
    with pytest.raises(DataError, match="'rare'"):
        scgraph.bench(["none"], [adata], config=QUICK)
    result = scgraph.bench(["none"], [adata], config=QUICK | {"drop_classes_below": 3})
    assert (result.results[["n_train", "n_validation", "n_test"]].sum(axis=1) == 88).all()
    assert any("2 cells of 1 classes with fewer than 3 cells are left out: rare" in note for note in result.notes)


def test_a_class_without_train_cells_is_named(tmp_path: Path) -> None:
    adata = make_cells()
    adata.obs["donor"] = [f"donor of {kind}" for kind in adata.obs["cell_type"]]  # whichever is tested is unseen
    with pytest.raises(DataError, match=r"'type [012]'"):
        scgraph.bench(["none"], [adata], config=QUICK | {"seeds": 3}, batch_key="donor", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_keeps_finished_rows(cells_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def interrupt(text: str) -> None:
        if text.startswith("[2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scgraph.bench(["none", "mean"], [cells_file], config=QUICK, out=out, say=interrupt)
    assert pd.read_csv(out / "results.csv")["model"].tolist() == ["majority", "pca+logreg", "none untrained", "none"]
    assert yaml.safe_load((out / "config.yaml").read_text())["seeds"] == 1
    assert "scgraph" in json.loads((out / "environment.json").read_text())["versions"]


def test_bad_requests_leave_nothing_behind(cells_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for request, error in (
        ({"models": ["gnm"]}, ConfigError),
        ({"models": []}, ConfigError),
        ({"data": [cells_file, cells_file]}, DataError),
        ({"label": "celltype"}, DataError),
        ({"config": {"trainn": {}}}, ConfigError),
        ({"corpus": [tmp_path / "missing.h5ad"]}, DataError),
        ({"config": QUICK | {"train": {**QUICK["train"], "batch_size": 64}}}, ConfigError),  # more than 54 cells
    ):
        with pytest.raises(error):
            scgraph.bench(**({"models": ["none"], "data": [cells_file], "config": QUICK, "out": out} | request))
        assert not out.exists()


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
