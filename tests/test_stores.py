"""Training on a store: the same cells, the same split, the same losses as on files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

import scgraph
from scgraph.cli import main
from scgraph.config_files import as_bench_config
from scgraph.data import CellStore
from scgraph.data.sets.corpus import StoreCorpus, read_corpus, stores_to_train_on
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.data.sets.splits import make_split
from scgraph.errors import ConfigError, DataError
from scgraph.models import load_model
from scgraph.train import pretrain
from tests.helpers import QUICK, leaks_are_found_and_dropped, make_cells


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.h5ad", tmp_path / "b.h5ad"]
    make_cells().write_h5ad(paths[0])
    make_cells(60, seed=1)[:, 5:].copy().write_h5ad(paths[1])
    return paths


@pytest.fixture
def store(files: list[Path], tmp_path: Path) -> Path:
    scgraph.prepare(files, out=tmp_path / "store", shard_cells=40)
    return tmp_path / "store"


def test_a_store_is_divided_as_its_files_are(files: list[Path], store: Path) -> None:
    config = as_bench_config(QUICK)
    disk, memory = (stores_to_train_on(read_corpus(source), config, seed=5) for source in ([store], files))
    for on_disk, in_memory in zip(disk, memory, strict=True):
        assert on_disk.vocabulary == in_memory.vocabulary  # every gene is expressed among the cells to train on
        np.testing.assert_array_equal(on_disk.keys, in_memory.keys)
        assert (on_disk.matrix() != in_memory.matrix()).nnz == 0


@pytest.mark.parametrize("shuffle", ["random", "blocks"])
def test_losses_on_disk_are_those_in_memory_to_the_last_bit(files: list[Path], store: Path, shuffle: str) -> None:
    config = as_bench_config({**QUICK, "train": {**QUICK["train"], "shuffle": shuffle, "num_workers": 1}})
    parts = stores_to_train_on(read_corpus([store]), config, seed=0)
    copies = [CellStore.from_arrays(*part.entries(np.arange(len(part))), part.keys, part.vocabulary) for part in parts]
    disk, memory = (pretrain(config.model, config.train, *pair, progress=False) for pair in (parts, copies))
    clocks = ["seconds", "seconds_waiting"]
    pd.testing.assert_frame_equal(disk.history.drop(columns=clocks), memory.history.drop(columns=clocks))
    weights = memory.model.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in disk.model.state_dict().items())
    assert (disk.history["seconds_waiting"] > 0).all()


def test_pretrain_takes_a_store_and_its_genes(files: list[Path], store: Path, tmp_path: Path) -> None:
    said: list[str] = []
    disk = scgraph.pretrain([store], config=QUICK, out=tmp_path / "model", say=said.append)
    assert disk.vocabulary == CellStore.open(store).vocabulary
    assert any("b.h5ad: values are whole numbers" in line for line in said)
    sources = load_model(tmp_path / "model").metadata["data"]["sources"]
    assert [Path(source["source"]).name for source in sources] == ["a.h5ad", "b.h5ad"]
    memory = scgraph.pretrain(files, config=QUICK)
    assert disk.vocabulary == memory.vocabulary
    assert disk.history["validation_loss"].tolist() == memory.history["validation_loss"].tolist()


def test_a_bench_takes_a_store_as_its_corpus_and_finds_leaks(store: Path, tmp_path: Path) -> None:
    probe, corpus = read_probe_sets([tmp_path / "a.h5ad"])[0], read_corpus([store])
    leaks_are_found_and_dropped(probe, corpus, make_split(probe.codes, seed=0))


def test_what_a_store_cannot_do_is_said(files: list[Path], store: Path) -> None:
    with pytest.raises(DataError, match="a store stands alone, not beside other cells"):
        scgraph.pretrain([store, files[0]], config=QUICK)
    with pytest.raises(ConfigError, match="a store has no layers"):
        scgraph.pretrain([store], config=QUICK, layer="raw")
    with pytest.raises(ConfigError, match="n_top_genes: a store holds its own genes"):
        scgraph.pretrain([store], config={**QUICK, "n_top_genes": 10})
    with pytest.raises(DataError, match="this is a folder"):
        scgraph.pretrain([store.parent], config=QUICK)
    other = replace(CellStore.open(store), sources=({"source": "one.h5ad", "cells": 1},))
    with pytest.raises(DataError, match=r"one\.h5ad: has 1 cells"):
        stores_to_train_on(StoreCorpus(other), as_bench_config(QUICK), seed=0)


def test_commands_from_files_to_a_model(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quick.yaml").write_text(json.dumps(QUICK))
    for words in (
        ["prepare", "a.h5ad", "b.h5ad", "--out", "s", "--shard-cells", "64", "--json", "manifest.json"],
        ["prepare", "--check", "s"],
        ["pretrain", "s", "--config", "quick.yaml", "--out", "m", "--set", "train.shuffle=blocks"],
        ["embed", "m", "a.h5ad", "--out", "e.h5ad"],
        ["prepare", "b.h5ad", "--vocabulary", "m", "--out", "again"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert not stop.value.code, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "150 cells, 40 genes" in out
    assert "all checksums fit" in out
    assert json.loads(Path("manifest.json").read_text())["cells"] == 150
    assert ad.read_h5ad("e.h5ad").n_obs == 90
    assert CellStore.open("again").vocabulary == load_model("m").vocabulary
    assert "seconds_waiting" in Path("m/history.csv").read_text()
