"""What a real trial does: learns from the train part, is measured on the validation part, never sees the test part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from scgraph.data import CellStore, read_cells
from scgraph.data.sets.corpus import NO_CORPUS, FileCorpus
from scgraph.data.sets.labelled import read_probe_sets, split_of
from scgraph.errors import ConfigError
from scgraph.nn import GeneModel
from scgraph.train import linear_probe, masked_value_loss, pretrain, validation_loss
from scgraph.tune.objective import Objective, data_identity, parts_of, reason_of
from scgraph.tune.space import trial_settings
from scgraph.tune.storage import Place
from tests.helpers import make_cells
from tests.tune.helpers import make_job

if TYPE_CHECKING:
    from pathlib import Path

    from scgraph.train.probe import ProbeResult
    from scgraph.tune.plan import SearchPlan

VALUES = {"model.channels": 16, "train.learning_rate": 0.02, "train.mask_share": 0.3}


def objective(path: Path, **config: Any) -> tuple[Objective, SearchPlan]:
    job = replace(make_job(Place("journal", "x", "x"), models=("gnn", "none"), **config), data=[str(path)])
    return Objective(job), job


def quiet(_loss: float, _epoch: int) -> None:
    return None


def test_trials_never_see_the_test_part(tmp_path: Path) -> None:
    adata = make_cells(60)
    first, second = tmp_path / "first.h5ad", tmp_path / "second.h5ad"
    adata.write_h5ad(first)
    _, job = objective(first)
    split = split_of(read_probe_sets([adata])[0], job.bench, seed=0)
    other = adata.copy()
    other.X[split.test] = np.random.default_rng(3).poisson(5.0, size=other.X[split.test].shape)
    # Cells of the test part change their values, and change places among the classes of the test part.
    labels = other.obs["cell_type"].to_numpy(copy=True)
    labels[split.test] = labels[split.test[::-1]]
    other.write_h5ad(second)
    before, after = (objective(path)[0]("gnn", VALUES, quiet) for path in (first, second))
    assert before.values == after.values
    assert before.attributes["validation_loss"] == after.attributes["validation_loss"]
    # The same change in the validation part is seen, so the test would notice.
    other = adata.copy()
    other.X[split.validation] = np.random.default_rng(3).poisson(5.0, size=other.X[split.validation].shape)
    other.write_h5ad(second)
    changed = objective(second)[0]("gnn", VALUES, quiet)
    assert changed.attributes["validation_loss"] != before.attributes["validation_loss"]


def test_what_a_trial_is_given_holds_no_test_cell(tiny_file: Path) -> None:
    _, job = objective(tiny_file)
    probe = read_probe_sets([tiny_file])[0]
    split = split_of(probe, job.bench, seed=0)
    parts = parts_of(probe, NO_CORPUS, job.bench, seed=0)
    cells = len(split.train) + len(split.validation)
    assert len(parts.probe_train) + len(parts.probe_validation) == len(parts.train) + len(parts.validation) == cells
    assert len(parts.train_codes) == len(split.train)


def test_corpus_cells_that_stand_in_the_test_part_are_left_out(tiny_file: Path) -> None:
    _, job = objective(tiny_file)
    probe = read_probe_sets([tiny_file])[0]
    split = split_of(probe, job.bench, seed=0)
    corpus = FileCorpus([read_cells(make_cells(60)), read_cells(make_cells(90, seed=1))])
    parts = parts_of(probe, corpus, job.bench, seed=0)
    assert len(parts.train) + len(parts.validation) == 150 - len(split.test)
    test = CellStore.from_cells(probe.cells.subset(split.test), parts.train.vocabulary)
    assert not {*parts.train.keys.tolist(), *parts.validation.keys.tolist()} & {*test.keys.tolist()}


def test_every_seed_at_the_end_is_scored_on_the_same_unseen_cells(tiny_file: Path) -> None:
    _, job = objective(tiny_file, seed=4)
    probe = read_probe_sets([tiny_file])[0]
    tests = [split_of(probe, job.bench, seed=seed).test.tolist() for seed in range(3)]
    assert tests[0] == tests[1] == tests[2]
    free = job.bench.model_copy(update={"split_seed": None})
    assert tests[0] == split_of(probe, free, seed=4).test.tolist() != split_of(probe, free, seed=0).test.tolist()


def test_values_are_the_settings_of_the_trial(tiny_file: Path) -> None:
    measure, job = objective(tiny_file, objective="loss-cost")
    reported: list[tuple[float, int]] = []
    outcome = measure("gnn", VALUES, lambda loss, epoch: reported.append((loss, epoch)))
    loss, cost = outcome.values
    assert [epoch for _, epoch in reported] == [0, 1]
    assert reported[-1][0] == loss
    own = job.settings("gnn").model.model_copy(update={"channels": 16})
    assert cost == GeneModel(2, **own.model_kwargs()).cost(16).multiply_adds
    assert measure("gnn", VALUES, quiet).values == outcome.values
    assert measure("gnn", {**VALUES, "train.learning_rate": 0.001}, quiet).values[0] != loss
    with pytest.raises(ConfigError, match="channels"):
        measure("gnn", {"model.channels": 0}, quiet)


def test_a_trial_counts_by_the_best_epoch_of_its_probe(tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(*parts: Any, **settings: Any) -> ProbeResult:
        found = linear_probe(*parts, **settings)
        return replace(found, history=pd.DataFrame({"validation_macro_f1": [0.2, 0.9, 0.4]}))

    monkeypatch.setattr("scgraph.representations.classifier.linear_probe", probe)
    measure, _ = objective(tiny_file, objective="probe")
    assert measure("gnn", VALUES, quiet).values == (0.9,)


def test_a_layer_of_pyg_is_measured_and_its_cost_counted(tiny_file: Path) -> None:
    sage = "torch_geometric.nn.SAGEConv"
    job = replace(make_job(Place("journal", "x", "x"), models=(sage,), objective="loss-cost"), data=[str(tiny_file)])
    assert "model.conv_options.top_k" in job.space(sage)
    outcome = Objective(job)(sage, {"model.conv_options.top_k": 8}, quiet)
    assert math.isfinite(outcome.values[0])
    assert outcome.values[1] > 0


def test_trials_with_other_mask_shares_are_judged_alike(tiny_file: Path) -> None:
    measure, job = objective(tiny_file, objective="loss")
    parts = measure.sets[0]
    config = job.bench.train_for(len(parts.train), seed=0)
    trained = pretrain(job.settings("none").model, config, parts.train, parts.validation, progress=False)
    own = trial_settings("gnn", VALUES, job.settings("gnn"))
    tried = pretrain(own.model, own.train_for(len(parts.train), seed=0), parts.train, progress=False).model
    assert measure("gnn", VALUES, quiet).values == (masked_value_loss(tried, parts.validation, config),)
    assert masked_value_loss(tried, parts.validation, own.train) != masked_value_loss(tried, parts.validation, config)
    at_base = masked_value_loss(trained.model, parts.validation, config)
    assert at_base == pytest.approx(trained.history["validation_mvp_loss"].iloc[-1], rel=1e-5)
    more = masked_value_loss(trained.model, parts.validation, config.model_copy(update={"mask_share": 0.5}))
    assert more != pytest.approx(at_base, rel=1e-3)


def test_trials_that_mask_nothing_are_judged_by_counts(tiny_file: Path) -> None:
    measure, job = objective(tiny_file, objective="loss", base="bench/default")
    parts = measure.sets[0]
    shallower = {"train.thinning": (0.1, 0.2)}
    own = trial_settings("none", shallower, job.settings("none"))
    tried = pretrain(own.model, own.train_for(len(parts.train), seed=0), parts.train, progress=False).model
    base = job.bench.train_for(len(parts.train), seed=0)
    judged = validation_loss(tried, parts.validation, base)
    assert measure("none", shallower, quiet).values == (judged,)
    assert judged != validation_loss(tried, parts.validation, own.train)
    lone = {"train": {"count_loss": 0.0}}
    with pytest.raises(ConfigError, match="a search compares losses on masked values or counts"):
        objective(tiny_file, base="bench/default", bench=lone)


def test_the_mean_over_sets_decides(tiny_file: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.h5ad"
    make_cells(60, seed=1).write_h5ad(second)
    alone = [objective(path)[0]("none", {}, quiet).values[0] for path in (tiny_file, second)]
    _, job = objective(tiny_file)
    reported: list[int] = []
    both = Objective(replace(job, data=[str(tiny_file), str(second)]))
    outcome = both("none", {}, lambda _loss, epoch: reported.append(epoch))
    assert outcome.values[0] == pytest.approx(sum(alone) / 2)
    assert outcome.attributes["per_set"] == {"cells": alone[0], "second": alone[1]}
    assert reported == [0, 1]  # of the first set alone: losses of different sets do not compare


def test_data_are_known_by_their_content(tiny_file: Path, tmp_path: Path) -> None:
    adata = make_cells(60)
    copy, relabelled = tmp_path / "cells.h5ad", tmp_path / "other" / "cells.h5ad"
    relabelled.parent.mkdir()
    adata.write_h5ad(copy)
    adata.obs["cell_type"] = adata.obs["cell_type"].to_numpy()[::-1]
    adata.write_h5ad(relabelled)
    identities = [data_identity(read_probe_sets([path]), NO_CORPUS) for path in (tiny_file, copy, relabelled)]
    assert identities[0] == identities[1] != identities[2]


def test_reasons_are_one_line() -> None:
    import torch

    assert reason_of(MemoryError()) == "out of memory"
    assert reason_of(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")) == "out of memory"
    assert reason_of(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")) == "out of memory"
    assert reason_of(ValueError("two\nlines")) == "ValueError: two lines"
    assert reason_of(RuntimeError("shapes differ")) == "RuntimeError: shapes differ"


def test_running_out_of_memory_is_an_error_of_the_trial(tiny_file: Path) -> None:
    measure, _ = objective(tiny_file)
    with pytest.raises((MemoryError, RuntimeError)) as error:
        measure("gnn", {"model.channels": 2**22}, quiet)  # tables of 40 genes, blocks of 64 TiB
    assert reason_of(error.value) == "out of memory"


def test_the_gene_network_is_part_of_a_study(tiny_file: Path, tmp_path: Path) -> None:
    """Its content decides, not where it lies; every trial is restricted to it."""
    from scgraph.data import read_network
    from scgraph.tune.study import _check_same, fingerprint

    path = tmp_path / "edges.tsv"
    path.write_text("".join(f"GENE{at}\tGENE{at + 1}\n" for at in range(39)))
    measure, job = objective(tiny_file, objective="loss-cost", bench={"network": str(path)})
    free, without = objective(tiny_file, objective="loss-cost")
    restricted, complete = measure("gnn", VALUES, quiet), free("gnn", VALUES, quiet)
    assert restricted.values[0] != complete.values[0]
    assert restricted.values[1] < complete.values[1]  # no product of weights with features

    def named(graph: Path | None) -> dict[str, str]:
        sets, base = read_probe_sets([tiny_file]), without if graph is None else job
        network = None if graph is None else read_network(graph)
        return fingerprint(replace(base, identity=data_identity(sets, NO_CORPUS, network)), "gnn")

    moved = tmp_path / "moved" / "edges.tsv"
    moved.parent.mkdir()
    moved.write_bytes(path.read_bytes())
    _check_same(named(path), named(moved), "study")
    older = {"network": "graph", "bench.network_undirected": "bench.graph_undirected"}
    begun_before = {older.get(key, key): value for key, value in named(path).items()}
    assert set(older.values()) <= set(begun_before)
    _check_same(begun_before, named(path), "study")
    moved.write_text("GENE1\tGENE2\n")
    for other in (moved, None):
        with pytest.raises(ConfigError, match=r"network was edges\.tsv, 39 edges, undirected, \w{16} and is "):
            _check_same(named(path), named(other), "study")
