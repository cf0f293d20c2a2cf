"""Labels for cells that have none: what is written, what the saved classifier says, what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import scgraph
from scgraph.api import annotate_file
from scgraph.cli import main
from scgraph.errors import ConfigError, DataError, ModelFileError, OutputError
from tests.annotate.conftest import query_cells, reference_cells
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def labels(adata: ad.AnnData, key: str = "scgraph") -> list[str]:
    return adata.obs[f"{key}_label"].astype(str).tolist()


def test_a_copy_of_the_file_gets_labels_probabilities_and_how_they_came_about(folder: Path) -> None:
    query, labelled = ad.read_h5ad(folder / "query.h5ad"), ad.read_h5ad(folder / "labelled.h5ad")
    record = json.loads((folder / "it.json").read_text())
    said = np.asarray(labels(labelled))
    known = said != "unknown"
    assert (said[known] == query.obs["cell_type"].to_numpy()[known]).mean() > 0.95
    assert known.mean() > 0.8
    assert said[90] == "unknown"
    assert labelled.obs["scgraph_probability"].iloc[90] == 0
    assert record["cells_without_counts"] == 1
    assert (labelled.obs["scgraph_probability"][:90] >= labelled.obs["scgraph_probability_2"][:90]).all()
    assert (labelled.obs["scgraph_label"].astype(str) != labelled.obs["scgraph_label_2"].astype(str)).all()
    assert [*labelled.obs.columns[:2]] == [*query.obs.columns]
    assert np.array_equal(labelled.X, query.X)
    tried = {row["candidate"]: row["macro_f1"] for row in record["candidates"]}
    assert set(tried) == {"pca+logreg", "pca-sqrt+pearson"}
    assert tried[record["classifier"]] == max(tried.values())
    assert record["held_out"].startswith("4 batches in 4 parts, whole")
    assert [row["class"] for row in record["left_out"]] == ["type 0", "type 1", "type 2"]
    assert sum(record["labels"].values()) == 91
    stored = labelled.uns["scgraph_annotation"]
    assert stored["threshold"] == record["threshold"]
    assert stored["labels"]["cells"].sum() == 91


def test_memory_and_file_get_the_same_labels(folder: Path) -> None:
    adata = query_cells()
    scgraph.annotate(adata, reference_cells(), label="cell_type", batch_key="donor", top=2)
    labelled = ad.read_h5ad(folder / "labelled.h5ad")
    assert labels(adata) == labels(labelled)
    np.testing.assert_allclose(adata.obs["scgraph_probability"], labelled.obs["scgraph_probability"], atol=1e-6)


@pytest.mark.parametrize(("model", "candidates"), [("classifier", None), ("model", ["gnn"])])
def test_a_query_on_disk_is_read_a_block_at_a_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, candidates: list[str] | None
) -> None:
    whole, reference = query_cells(), None if model == "classifier" else folder / "reference.h5ad"
    options: dict[str, Any] = {"model": folder / model, "candidates": candidates, "majority": True}
    scgraph.annotate(whole, reference, **options)
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 300)
    read = "scgraph.data.files.stream.read_cells"
    monkeypatch.setattr(read, lambda *_, **__: pytest.fail("the query was read whole"))
    backed = ad.read_h5ad(folder / "query.h5ad", backed="r")
    scgraph.annotate(backed, reference, **options)
    annotate_file(folder / "query.h5ad", reference, out=tmp_path / "labelled.h5ad", **options)
    for found in (backed, ad.read_h5ad(tmp_path / "labelled.h5ad")):
        for column in ("scgraph_label", "scgraph_probability", "scgraph_novelty"):
            pd.testing.assert_series_equal(found.obs[column], whole.obs[column], rtol=1e-5)


def test_a_saved_classifier_says_the_same_without_the_reference(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["annotate", str(folder / "query.h5ad"), "--model", str(folder / "classifier"), "--top", "2"])
    assert stop.value.code == 0
    again, labelled = ad.read_h5ad(tmp_path / "query-annotated.h5ad"), ad.read_h5ad(folder / "labelled.h5ad")
    pd.testing.assert_frame_equal(again.obs, labelled.obs)
    names = {path.name for path in (folder / "classifier").iterdir()}
    assert names == {"classifier.json", "classifier.safetensors", "classes.tsv", "vocabulary.tsv", "README.md"}


def test_a_class_that_the_reference_lacks_ends_as_unknown_more_often_than_the_others() -> None:
    reference = reference_cells()
    query = make_cells(90, seed=2)
    scgraph.annotate(query, reference[reference.obs["cell_type"] != "type 2"].copy())
    unknown = query.obs["scgraph_label"].astype(str) == "unknown"
    share = unknown.groupby(query.obs["cell_type"]).mean()
    assert share["type 2"] > 0.5
    assert max(share["type 0"], share["type 1"]) < 0.3


def test_left_out_classes_and_a_threshold_of_ones_own() -> None:
    adata = query_cells()
    record = scgraph.annotate(adata, reference_cells(), threshold=1.0, key_added="mine")
    assert set(labels(adata, "mine")) <= {"unknown", "type 0", "type 1", "type 2"}
    assert record["threshold"] == 1.0
    assert record["labels"]["unknown"] > 45
    assert np.mean([row["unknown"] for row in record["left_out"]]) > 0.3
    assert "scgraph_label" not in adata.obs


def test_a_pretrained_model_is_tried_as_it_is_and_fine_tuned(folder: Path) -> None:
    adata, said = query_cells(), list[str]()
    record = scgraph.annotate(adata, reference_cells(), model=folder / "model", say=said.append)
    tried = [row["candidate"] for row in record["candidates"]]
    assert tried == ["pca+logreg", "pca-sqrt+pearson", "gnn", "gnn fine-tuned"]
    chosen = next(text for text in said if "is taken" in text)
    assert all(name in chosen for name in tried)
    assert "points" in chosen


def test_a_model_can_be_pretrained_on_both_sides(tmp_path: Path) -> None:
    settings = tmp_path / "quick.yaml"
    settings.write_text(json.dumps({key: QUICK[key] for key in ("model", "train")}))
    adata, said = query_cells(), list[str]()
    record = scgraph.annotate(adata, reference_cells(), pretrain=str(settings), say=said.append)
    assert [row["candidate"] for row in record["candidates"]][2:] == ["gnn", "gnn fine-tuned"]
    assert any("pretrained on" in text for text in said)


def test_a_model_is_pretrained_on_a_query_on_disk_too(tmp_path: Path) -> None:
    query_cells().write_h5ad(tmp_path / "query.h5ad")
    backed = ad.read_h5ad(tmp_path / "query.h5ad", backed="r")
    record = scgraph.annotate(backed, reference_cells(), pretrain=QUICK, candidates=["gnn"])
    assert record["classifier"] == "gnn"
    assert len(backed.obs["scgraph_label"]) == 91


def test_a_vote_of_the_nearest_cells_takes_their_mean_probability() -> None:
    from scgraph.annotate.classifier import Predicted, vote

    probability = np.tile([0.9, 0.1], (20, 1))
    probability[0], probability[19] = [0.2, 0.8], [0.0, 0.0]
    features = np.r_[np.random.default_rng(0).normal(size=(19, 2)), [[50.0, 50.0]]].astype(np.float32)
    voted = vote(Predicted(probability, np.zeros(20), features, np.arange(20) < 19))
    assert voted[0].argmax() == 0
    assert (voted[19] == 0).all()


def test_residuals_are_not_tried_where_counts_are_not_known() -> None:
    adata, said = query_cells(), list[str]()
    adata.X = np.log1p(adata.X * np.random.default_rng(0).uniform(1, 2, adata.shape)).astype(np.float32)
    record = scgraph.annotate(adata, reference_cells(), values="log1p", say=said.append)
    assert [row["candidate"] for row in record["candidates"]] == ["pca+logreg"]
    assert any("counts of some cells are not known" in text for text in said)


def test_log_values_of_counts_get_the_labels_of_the_counts(folder: Path) -> None:
    adata = query_cells()[:90].copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    scgraph.annotate(adata, model=folder / "classifier")
    assert labels(adata) == labels(ad.read_h5ad(folder / "labelled.h5ad"))[:90]


def test_labels_are_written_again_and_columns_of_others_are_not_touched(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": folder / "classifier"}
    annotate_file(folder / "labelled.h5ad", out=tmp_path / "again.h5ad", **options)
    assert labels(ad.read_h5ad(tmp_path / "again.h5ad")) == labels(ad.read_h5ad(folder / "labelled.h5ad"))
    adata = query_cells()
    adata.obs["scgraph_probability"] = 1.0
    adata.write_h5ad(tmp_path / "other.h5ad")
    with pytest.raises(DataError, match=r"obs\['scgraph_probability'\] is there"):
        annotate_file(tmp_path / "other.h5ad", out=tmp_path / "out.h5ad", **options)
    with pytest.raises(DataError, match=r"obs\['scgraph_probability'\] is there"):
        scgraph.annotate(adata, **options)
    assert not (tmp_path / "out.h5ad").exists()


@pytest.mark.filterwarnings("ignore:.*very old version of AnnData")
def test_a_file_of_anndata_0_6_gets_its_labels(folder: Path, tmp_path: Path) -> None:
    with h5py.File(folder / "query.h5ad") as old, h5py.File(tmp_path / "old.h5ad", "w") as file:
        old.copy("X", file)
        for name in ("obs", "var"):
            names = old[name][old[name].attrs["_index"]][()].astype("S32")
            file[name] = np.asarray([(one,) for one in names], dtype=[("index", "S32")])
    annotate_file(tmp_path / "old.h5ad", out=tmp_path / "out.h5ad", model=folder / "classifier")
    assert labels(ad.read_h5ad(tmp_path / "out.h5ad")) == labels(ad.read_h5ad(folder / "labelled.h5ad"))


def test_a_cell_whose_counts_are_all_on_other_genes_is_unknown_at_any_threshold(folder: Path) -> None:
    adata = query_cells()
    other = ad.AnnData(np.ones((91, 1), np.float32), obs=adata.obs, var=pd.DataFrame(index=["ELSEWHERE"]))
    adata.X[:2] = 0
    both = ad.concat([adata, other], axis=1, merge="first")
    record = scgraph.annotate(both, model=folder / "classifier", threshold=0.0, max_novelty=1.0, majority=True)
    assert labels(both)[:2] == ["unknown", "unknown"]
    assert (both.obs["scgraph_probability"].iloc[:2] == 0).all()
    assert record["cells_without_counts"] == 3


def _mouse(adata: ad.AnnData) -> None:
    adata.var_names = [name.capitalize() for name in adata.var_names]


def _ensembl(prefix: str) -> Callable[[ad.AnnData], None]:
    def change(adata: ad.AnnData) -> None:
        adata.var["feature_id"] = [f"{prefix}{at:011d}" for at in range(adata.n_vars)]

    return change


def _panel(adata: ad.AnnData) -> None:
    adata.var_names = [name if at < 5 else f"OTHER{at}" for at, name in enumerate(adata.var_names)]


def _lone(adata: ad.AnnData) -> None:
    adata.obs.loc[adata.obs_names[0], "cell_type"] = "type 9"


def _nothing(_: ad.AnnData) -> None:
    pass


@pytest.mark.parametrize(
    ("reference", "query", "words", "told"),
    [
        (_nothing, _panel, [], ["5 genes", "12% of the 40", "query.h5ad", "reference.h5ad"]),
        (_nothing, _mouse, [], ["too few genes", "of another species", "in the case of the reference"]),
        (_ensembl("ENSG"), _ensembl("ENSMUSG"), [], ["of the query are mouse, those of the reference human"]),
        (_lone, _nothing, [], ["single cell ('type 9')", "reference.h5ad"]),
        (_nothing, _nothing, ["--label", "cell_typ"], ["Did you mean 'cell_type'"]),
        (_nothing, _nothing, ["--batch-key", "donr"], ["Did you mean 'donor'"]),
        (_nothing, _nothing, ["--threshold", "2"], ["between 0 and 1"]),
        (_nothing, _nothing, ["--top", "0"], ["at least one label"]),
        (_nothing, _nothing, ["--key-added", "a/b"], ["no name of a column"]),
        (_nothing, _nothing, ["--model", "nowhere"], ["nowhere"]),
        (_nothing, _nothing, ["--out", "out.csv"], ["ends in .h5ad"]),
        (_nothing, _nothing, ["--save", "query.h5ad"], ["is a file, and a folder is needed"]),
    ],
)
def test_what_cannot_be_labelled_is_refused_in_one_message_with_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reference: Callable[[ad.AnnData], None],
    query: Callable[[ad.AnnData], None],
    words: list[str],
    told: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, make, change in (("reference", reference_cells, reference), ("query", query_cells, query)):
        adata = make()
        change(adata)
        adata.write_h5ad(f"{name}.h5ad")
    with pytest.raises(SystemExit) as stop:
        main(["annotate", "query.h5ad", "--reference", "reference.h5ad", *words])
    err = capsys.readouterr().err
    assert stop.value.code == 2
    assert all(one in err for one in told), err
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["query.h5ad", "reference.h5ad"]


def test_a_query_without_cells_and_words_that_contradict_each_other_are_refused(folder: Path, tmp_path: Path) -> None:
    query_cells()[:0].write_h5ad(tmp_path / "empty.h5ad")
    with pytest.raises(DataError, match=r"empty\.h5ad"):
        annotate_file(tmp_path / "empty.h5ad", out=tmp_path / "out.h5ad", model=folder / "classifier")
    with pytest.raises(ConfigError, match="give labelled cells"):  # before the empty file is read
        annotate_file(tmp_path / "empty.h5ad", out=tmp_path / "out.h5ad")
    adata = query_cells()
    with pytest.raises(ConfigError, match="give labelled cells"):
        scgraph.annotate(adata)
    with pytest.raises(ConfigError, match="Leave the reference out"):
        scgraph.annotate(adata, reference_cells(), model=folder / "classifier")
    with pytest.raises(ConfigError, match="knows no classes"):
        scgraph.annotate(adata, model=folder / "model")
    with pytest.raises(ConfigError, match="Did you mean 'majority'"):
        scgraph.annotate(adata, reference_cells(), majorty=True)
    with pytest.raises(OutputError, match="stands there already"):
        scgraph.annotate(adata, reference_cells(), save=folder / "classifier")
    said: list[str] = []
    with pytest.raises(OutputError, match="holds other files and is not replaced"):
        scgraph.annotate(adata, reference_cells(), save=folder / "model", overwrite=True, say=said.append)
    assert not said  # before the work
    assert [*adata.obs.columns] == ["cell_type", "donor"]


@pytest.mark.parametrize("name", ["classifier.json", "classifier.safetensors", "classes.tsv", "vocabulary.tsv"])
def test_a_damaged_classifier_is_refused_by_the_name_of_its_file(folder: Path, tmp_path: Path, name: str) -> None:
    import shutil

    copy = shutil.copytree(folder / "classifier", tmp_path / "classifier")
    (copy / name).write_bytes((copy / name).read_bytes()[:-20])
    with pytest.raises(ModelFileError, match=name):
        scgraph.annotate(query_cells(), model=copy)
