"""The Python functions and commands a user works with: pretrain, embed, probe."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scgraph
from scgraph.api import OBSM_KEY, denoise_file, embed_file, probe
from scgraph.cli import main
from scgraph.errors import DataError, OutputError
from scgraph.models import SavedModel
from scgraph.perturb import run_perturb
from tests.helpers import QUICK, make_cells


@pytest.fixture(scope="module")
def model(quick_models: Path) -> Path:
    return quick_models / "gnn"


def test_a_file_embeds_as_its_pieces_do(model: Path) -> None:
    whole = make_cells(75, seed=3)
    scgraph.embed(whole, model)
    order = np.random.default_rng(0).permutation(75)
    for rows in np.split(order, [1, 20, 33]):
        piece = make_cells(75, seed=3)[rows].copy()
        scgraph.embed(piece, model)
        assert np.array_equal(piece.obsm[OBSM_KEY], whole.obsm[OBSM_KEY][rows])


def test_what_pretrain_returns_is_taken_as_the_folder_that_it_wrote(tmp_path: Path) -> None:
    trained = scgraph.pretrain([make_cells()], model="gnn", config=QUICK, out=tmp_path / "model")
    first, second = make_cells(20, seed=3), make_cells(20, seed=3)
    assert scgraph.embed(first, trained) == scgraph.embed(second, tmp_path / "model")
    assert np.array_equal(first.obsm[OBSM_KEY], second.obsm[OBSM_KEY])
    one, other = (scgraph.gene_embeddings(model) for model in (trained, tmp_path / "model"))
    assert np.array_equal(one.X, other.X)


def test_the_record_says_how_vectors_came_about(model: Path, tmp_path: Path) -> None:
    adata = make_cells()
    record = scgraph.embed(adata, scgraph.load_model(model))
    assert adata.obsm[OBSM_KEY].shape == (90, 16)
    assert adata.obsm[OBSM_KEY].dtype == np.float32
    assert (record["channels"], record["readout"], record["width"]) == (8, "linear+pooled", 16)
    assert record["genes_matched"].startswith("40 of 40 genes matched")
    adata.write_h5ad(tmp_path / "out.h5ad")
    assert ad.read_h5ad(tmp_path / "out.h5ad").uns["scgraph"]["model"] == "gnn"


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(90),
        pd.Index(np.arange(90)[::-1] * 7),
        pd.Index(np.arange(90) / 7),
        pd.Index([f"cell{at}".encode() for at in range(90)], dtype=object),
        pd.MultiIndex.from_product([["d1", "d2", "d3"], np.arange(30)]),
        pd.Index([at if at % 2 else f"cell{at}" for at in range(90)], dtype=object),
        pd.CategoricalIndex([f"cell{at}" for at in range(90)]),
        pd.date_range("2026-01-01", periods=90),
    ],
    ids=["reset", "int", "float", "bytes", "multi", "mixed", "categorical", "dates"],
)
def test_vectors_stand_in_the_rows_of_their_cells_whatever_their_names(model: Path, index: pd.Index) -> None:
    whole, adata = make_cells(), make_cells()
    for cells in (whole, adata):
        cells.X[5] = 0
    scgraph.embed(whole, model)
    adata.obs.index = index
    scgraph.embed(adata, model)
    assert np.flatnonzero((adata.obsm[OBSM_KEY] == 0).all(axis=1)).tolist() == [5]
    assert np.array_equal(adata.obsm[OBSM_KEY], whole.obsm[OBSM_KEY])


@pytest.mark.filterwarnings("ignore:Transforming to str index")
def test_a_file_with_numbers_as_names_of_its_cells(model: Path, tmp_path: Path) -> None:
    adata = make_cells()
    adata.obs.reset_index(inplace=True, drop=True)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    embed_file(tmp_path / "cells.h5ad", model, out=tmp_path / "out.h5ad")
    assert np.isfinite(ad.read_h5ad(tmp_path / "out.h5ad").obsm[OBSM_KEY]).all()


def test_cells_of_one_name_are_refused(model: Path) -> None:
    adata = make_cells()
    adata.obs_names = ["twice", "twice", *adata.obs_names[2:]]
    with pytest.raises(DataError, match=r"'twice'.*obs_names_make_unique"):
        scgraph.embed(adata, model)
    assert OBSM_KEY not in adata.obsm


def test_what_is_wrong_with_a_file_names_it(model: Path, tmp_path: Path) -> None:
    adata = make_cells()
    adata.var_names = [f"OTHER{at}" for at in range(40)]
    source = tmp_path / "other.h5ad"
    adata.write_h5ad(source)
    with pytest.raises(DataError, match=f"^{source}: only 0 of 40"):
        embed_file(source, model, out=tmp_path / "out.h5ad")
    assert list(tmp_path.iterdir()) == [source]


def test_cells_without_counts_get_zeros(model: Path) -> None:
    adata, whole = make_cells(), make_cells()
    adata.X[5] = 0
    said: list[str] = []
    scgraph.embed(adata, model, say=said.append)
    scgraph.embed(whole, model)
    assert not adata.obsm[OBSM_KEY][5].any()
    others = np.arange(90) != 5
    assert np.array_equal(adata.obsm[OBSM_KEY][others], whole.obsm[OBSM_KEY][others])
    assert any(text.startswith("1 cells without any count get zeros") for text in said)


def test_other_genes_are_refused(model: Path) -> None:
    adata = make_cells()
    adata.var_names = [name.title() for name in adata.var_names]
    with pytest.raises(DataError, match="0 of 40"):
        scgraph.embed(adata, model)
    assert OBSM_KEY not in adata.obsm


def test_embed_file_writes_a_copy_whole_or_not_at_all(model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "cells.h5ad", tmp_path / "embedded.h5ad"
    make_cells().write_h5ad(source)
    before = source.read_bytes()
    embed_file(source, model, out=out)
    assert source.read_bytes() == before
    assert ad.read_h5ad(out).obsm[OBSM_KEY].shape == (90, 16)
    with pytest.raises(OutputError, match="overwrite=True"):
        embed_file(source, model, out=out)
    embed_file(source, model, out=out, overwrite=True)
    with pytest.raises(OutputError, match="does not exist"):
        embed_file(source, model, out=tmp_path / "nowhere" / "x.h5ad")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.h5ad", "embedded.h5ad"]


def test_probe_scores_frozen_features() -> None:
    config = QUICK | {"seeds": 3, "train": {**QUICK["train"], "genes": 40}, "probe": {"kind": "adam", "epochs": 300}}
    trained = scgraph.pretrain([make_cells(180)], model="gnn", config=config)
    saved = SavedModel(trained.model, trained.vocabulary, trained.model_config, trained.config, {}, {})
    rows = probe(make_cells(180), saved, config=config)
    assert [(row["model"], row["seed"]) for row in rows[:4]] == [
        ("gnn", 0),
        ("pca+logreg", 0),
        ("gnn", 1),
        ("pca+logreg", 1),
    ]
    assert len(rows) == 6
    assert np.mean([row["accuracy"] for row in rows if row["model"] == "gnn"]) > 0.6  # one in three by chance
    assert rows == probe(make_cells(180), saved, config=config)
    short = probe(make_cells(180), saved, config=config | {"probe": {"kind": "adam", "epochs": 1}})
    assert short != rows
    assert short == probe(make_cells(180), saved, config=config | {"probe_per_model": {"gnn": {"epochs": 1}}})


def test_commands_from_cells_to_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_cells().write_h5ad("cells.h5ad")
    Path("quick.yaml").write_text(json.dumps(QUICK))
    for words in (
        ["pretrain", "cells.h5ad", "--model", "tf", "--config", "quick.yaml", "--out", "m", "--json", "history.json"],
        ["pretrain", "cells.h5ad", "--model", "tf", "--config", "quick.yaml", "--out", "m", "--resume"],
        ["embed", "m", "cells.h5ad", "--out", "e.h5ad", "--json", "record.json"],
        ["probe", "m", "cells.h5ad", "--config", "quick.yaml", "--json", "probe.json"],
        [
            "bench",
            "--models",
            "none",
            "--data",
            "cells.h5ad",
            "--config",
            "quick.yaml",
            "--out",
            "b",
            "--json",
            "b.json",
        ],
    ):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert not stop.value.code, capsys.readouterr().err
    assert len(json.loads(Path("history.json").read_text())) == 2
    assert json.loads(Path("record.json").read_text())["cells"] == 90
    assert [row["model"] for row in json.loads(Path("probe.json").read_text())] == ["tf", "pca+logreg"]
    assert ad.read_h5ad("e.h5ad").obsm[OBSM_KEY].shape == (90, 16)
    assert "report.html" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["pretrain", "cells.h5ad", "--model", "gnn", "--config", "quick.yaml", "--out", "m", "--resume"])
    assert stop.value.code == 2
    assert "tf" in capsys.readouterr().err


def test_the_package_is_the_function() -> None:
    import scgraph.costs.profiling  # importing a part of the package must not hide the function

    assert callable(scgraph.bench)
    assert scgraph.costs.profiling.Costs
    assert "models" in (scgraph.bench.__call__.__doc__ or "")


def test_data_stand_before_the_model() -> None:
    for function in (embed_file, probe, denoise_file, scgraph.embed, scgraph.denoise, run_perturb):
        assert list(inspect.signature(function).parameters)[:2] in (["adata", "model"], ["data", "model"])
