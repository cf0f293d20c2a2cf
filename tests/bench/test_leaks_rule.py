"""One rule for cells that stand in a corpus and in a test part: left out, unless asked to be kept."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import anndata as ad
import pytest
import typer

from scgraph.bench import run_bench
from scgraph.cli.app import app
from scgraph.config_files import as_bench_config
from scgraph.data.sets.corpus import read_corpus
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.tune import run_tune
from scgraph.tune.objective import parts_of
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def corpus() -> ad.AnnData:
    """Every cell of the labelled set, and others."""
    return ad.concat([make_cells(), make_cells(60, seed=1)])


def test_bench_and_tune_have_the_same_default_and_option() -> None:
    group: Any = typer.main.get_command(app)
    for function, command in ((run_bench, "bench"), (run_tune, "tune")):
        assert inspect.signature(function).parameters["drop_leaks"].default is True
        (option,) = (one for one in group.commands[command].params if one.name == "drop_leaks")
        assert option.default is True
        assert (option.opts, option.secondary_opts) == (["--drop-leaks"], ["--keep-leaks"])


@pytest.mark.parametrize(
    ("asked", "said"), [({}, "left out"), ({"drop_leaks": False}, "kept, as drop_leaks=False asks")]
)
def test_a_bench_leaves_test_cells_out_of_the_corpus(corpus: ad.AnnData, asked: dict[str, bool], said: str) -> None:
    result = run_bench(["none"], [make_cells()], corpus=[corpus], config=QUICK, **asked)
    (note,) = (note for note in result.notes if "have the counts of a test cell" in note)
    assert f"27 corpus cells have the counts of a test cell on all shared genes, {said}" in note


def test_trials_see_none_of_them_either(corpus: ad.AnnData, tmp_path: Path) -> None:
    corpus.write_h5ad(tmp_path / "corpus.h5ad")
    (probe,) = read_probe_sets([make_cells()])
    sources, config = read_corpus([tmp_path / "corpus.h5ad"]), as_bench_config(QUICK)
    sizes = [
        len(parts.train) + len(parts.validation)
        for parts in (parts_of(probe, sources, config, seed=0, **asked) for asked in ({}, {"drop_leaks": False}))
    ]
    assert sizes == [150 - 27, 150]
