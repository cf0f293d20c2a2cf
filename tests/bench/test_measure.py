"""The protocol end to end on small cells: what is written, what is learned from, what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

import scgraph
from scgraph.bench import figures
from scgraph.bench.measure import measure
from scgraph.bench.plan import plan_bench
from scgraph.config_files import as_bench_config
from scgraph.data.sets.corpus import NO_CORPUS
from scgraph.data.sets.labelled import read_probe_sets, split_of
from scgraph.data.sets.stores import make_stores
from scgraph.errors import ConfigError, DataError, OutputError
from scgraph.models import initial_model
from scgraph.models.settings import settings_by_model
from scgraph.train import embed
from scgraph.train.finetuning import finetune
from tests.helpers import ASKED, QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from scgraph.nn import CellModel


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


def test_the_paper_probe_is_for_models_alone() -> None:
    config = as_bench_config(QUICK | {"probe": {"kind": "adam", "epochs": 3}})
    probe = read_probe_sets([make_cells()])[0]
    measured = measure(plan_bench(settings_by_model(["none"], config), [probe], NO_CORPUS, config))
    rows = pd.DataFrame(measured.rows).set_index("model")
    assert rows.loc[["none", "none untrained"], "inverse_penalty"].isna().all()
    assert rows["inverse_penalty"].notna()["pca+logreg"]
    assert as_bench_config("bench/paper").probe.kind == "adam"
    assert as_bench_config({}).probe.kind == "logistic"


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
    config = QUICK | {"uses": ["shallow"]}
    result = scgraph.bench(["gnn", "tf"], files, config=config | {"seeds": 2}, out=out)
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
    scgraph.bench(["none"], files[:1], config=config, out=out, overwrite=True)
    assert {path.name for path in out.glob("*.png")} == {"scores-first.png", "features-first.png", "uses-first.png"}


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
