"""Other ideas of training: each trains what it adds, none sees the test part, and the table pairs by set and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.objectives.ideas import DEFAULT, HELD_OUT, IDEAS, Idea
from benchmarks.objectives.page import objectives_markdown
from benchmarks.objectives.parts import GeneAttention, cross_correlation_loss
from benchmarks.objectives.run import held_out
from benchmarks.objectives.trial import SCORES, SeenParts, seen_parts
from scgraph.cli.options import bench_settings
from scgraph.data.sets.labelled import ProbeSet, read_probe_sets, split_of
from scgraph.models.settings import settings_by_model
from scgraph.nn.graph import CellGraph
from tests.helpers import make_cells

if TYPE_CHECKING:
    from scgraph.config import BenchConfig

SMALL = ["max_steps=4", "train.batch_size=16", "model.channels=8", "model.cell_layers=1", "split=random"]
# The first row of a kind, so that plain is the default.
EVERY = {idea.kind: idea for idea in reversed((*IDEAS, *HELD_OUT))}


def settings(idea: Idea) -> BenchConfig:
    return settings_by_model(["none"], bench_settings("bench/default", [*idea.set, *SMALL], model={}, train={}))["none"]


@pytest.fixture(scope="module")
def probe() -> ProbeSet:
    (found,) = read_probe_sets([make_cells()], label="cell_type", batch_key="donor")
    return found


@pytest.fixture(scope="module")
def parts(probe: ProbeSet) -> SeenParts:
    base = settings(EVERY["plain"])
    return seen_parts(probe, split_of(probe, base, seed=0), base, seed=0)


def test_the_test_part_is_cut_off_and_penalties_are_not_chosen_on_what_is_scored(
    parts: SeenParts, probe: ProbeSet
) -> None:
    split = split_of(probe, settings(EVERY["plain"]), seed=0)
    names = parts.probe.cells.obs_names
    assert not set(names) & set(probe.cells.obs_names[split.test])
    assert set(names[parts.split.test]) == set(probe.cells.obs_names[split.validation])
    assert set(names[parts.learned]) == set(probe.cells.obs_names[split.train])
    chosen, fitted = set(parts.split.validation), set(parts.split.train)
    assert not chosen & fitted
    assert chosen | fitted == set(parts.learned)
    # Row i of the cells that are trained on is cell i of `learned`: labels and batches are looked up so.
    whole = parts.stores.probe.subset(parts.learned)
    np.testing.assert_array_equal(parts.stores.train.matrix().toarray(), whole.matrix().toarray())


def test_a_batch_that_is_held_out_is_scored_and_not_learned_from(probe: ProbeSet) -> None:
    split = split_of(probe, settings(EVERY["plain"]), seed=0)
    batches = np.asarray(probe.cells.batches)
    for seed, name in enumerate(("d0", "d1")):
        own = held_out(probe, split, seed)
        assert set(batches[own.validation]) == {name}
        assert name not in set(batches[own.train])
        np.testing.assert_array_equal(own.test, split.test)


@pytest.fixture(scope="module")
def plain(parts: SeenParts) -> dict[str, float]:
    return parts.scores(EVERY["plain"], settings(EVERY["plain"]))


@pytest.mark.parametrize("kind", list(EVERY))
def test_every_idea_trains_and_is_scored(kind: str, parts: SeenParts, plain: dict[str, float]) -> None:
    scores = plain
    if kind != "plain":
        scores = parts.scores(EVERY[kind], settings(EVERY[kind]))
        assert scores != plain
    assert list(scores) == list(SCORES)
    assert all(np.isfinite(value) for value in scores.values())


def test_cross_correlation_is_least_where_views_agree_and_channels_differ() -> None:
    views = torch.linalg.qr(torch.randn(64, 4, generator=torch.Generator().manual_seed(0)))[0]
    views = torch.linalg.qr(views - views.mean(dim=0))[0]
    assert float(cross_correlation_loss(views, views)) == pytest.approx(0, abs=1e-3)
    assert float(cross_correlation_loss(views, -views)) == pytest.approx(4, abs=1e-2)
    alike = views[:, :1].expand(-1, 4)
    assert float(cross_correlation_loss(alike, alike)) == pytest.approx(0.005 * 3, abs=1e-3)


def test_attention_does_not_read_padding() -> None:
    torch.manual_seed(0)
    attention = GeneAttention(8, 2)
    x, genes = torch.randn(1, 4, 8), torch.tensor([[1, 2, 3, 0]])
    with torch.no_grad():
        whole = attention(x, CellGraph(genes))
        alone = attention(x[:, :3], CellGraph(genes[:, :3]))
    torch.testing.assert_close(whole, alone)


def test_rows_are_paired_by_set_and_seed() -> None:
    gains = {("a", 0): 0.02, ("a", 1): 0.03, ("b", 0): 0.02, ("b", 1): 0.03}
    rows = []
    for number, ((dataset, seed), gain) in enumerate(gains.items()):
        here = {"dataset": dataset, "seed": seed, "question": "labels"}
        rows += [here | {"row": DEFAULT, "value": 0.5 + number / 10}]
        rows += [here | {"row": "wider", "value": 0.5 + number / 10 + gain}]
        rows += [here | {"row": "fine-tuned", "value": 0.5 + number / 10}]
        rows += [here | {"row": "worse", "value": 0.5 + number / 10 - gain}]
    page = objectives_markdown(pd.DataFrame(rows), held_out=False)
    # 2, 3, 2 and 3 points: mean 2.5, t interval of four.
    assert "| wider | +2.5 [+1.6, +3.4] | ahead: all labels |" in page
    assert "see all labels of the train part in training: fine-tuned.**" in page
    assert "| worse | -2.5 [-3.4, -1.6] | behind: all labels |" in page
