"""A small simulated screen in both layouts, and a model whose tables are its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scgraph.config import ModelConfig, TrainConfig
from scgraph.data import Vocabulary
from scgraph.models import save_model
from scgraph.nn import GeneModel
from scgraph.perturb.simulate import SimulatedScreen, save_graph_model, simulate_screen
from tests.perturb.forms import MEASURED, PATHWAY

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 400
"""Values of a block of cells that a test forces small."""

SIZES = {"n_genes": 80, "singles": 40, "doubles": 12, "cells": 25, "controls": 150, "programs": 3}


@pytest.fixture(scope="session")
def simulated() -> SimulatedScreen:
    return simulate_screen(**SIZES, seed=1)


@pytest.fixture(scope="session")
def graph_model(tmp_path_factory: pytest.TempPathFactory, simulated: SimulatedScreen) -> Path:
    folder = tmp_path_factory.mktemp("perturb") / "model"
    save_graph_model(folder, simulated)
    return folder


@pytest.fixture(scope="session")
def screen_file(tmp_path_factory: pytest.TempPathFactory, simulated: SimulatedScreen) -> Path:
    path = tmp_path_factory.mktemp("perturb") / "screen.h5ad"
    simulated.adata.write_h5ad(path)
    return path


@pytest.fixture(scope="session")
def graph_model_of_pathway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows the measured genes of `forms` and those of a pathway that no file there measures."""
    names = (*MEASURED, *PATHWAY)
    config = ModelConfig(conv="gnn", channels=8, layers=1, rank=4)
    model = GeneModel(len(names), **config.model_kwargs())
    folder = tmp_path_factory.mktemp("pathway") / "model"
    training = TrainConfig(embed_genes="all").model_dump(mode="json")
    save_model(folder, model, Vocabulary(names, ("",) * len(names)), config, metadata={"training": training})
    return folder


@pytest.fixture
def laid_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of files are laid on the disk, and read in small blocks."""
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", BLOCK)
    monkeypatch.setattr("scgraph.data.store.entries.IN_MEMORY", 0)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
