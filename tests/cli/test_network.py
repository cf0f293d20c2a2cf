"""--network from the command line to the saved model, the report and the table of costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from scgraph.models import load_model
from tests.cli.test_cli import run
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    make_cells().write_h5ad(folder / "cells.h5ad")
    (folder / "quick.yaml").write_text(yaml.safe_dump(QUICK))
    edges = [f"GENE{at}\tGENE{at + 3}\t{1 + at}\n" for at in range(30)]
    (folder / "edges.tsv").write_text("source\ttarget\tweight\n" + "".join(edges) + "ABC\tGENE1\t1\n")
    return folder


def test_pretrain_embed_and_profile(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(lab)
    words = ["--network", "edges.tsv", "--config", "quick.yaml", "--set", "model.positional=laplacian"]
    code, _, err = run(capsys, "pretrain", "cells.h5ad", "--out", "model", *words)
    assert code == 0, err
    assert "network edges.tsv: 60 edges on 33 genes, each in both directions" in err
    assert "1 are unknown and left out with their edges ('ABC')" in err
    assert "7 of 40 genes of the vocabulary have no edge" in err
    saved = load_model("model")
    assert saved.model.network is not None
    assert saved.model.positions is not None
    assert saved.metadata["data"]["network"]["edges"] == 60
    (lab / "edges.tsv").rename(lab / "elsewhere.tsv")
    code, _, err = run(capsys, "embed", "model", "cells.h5ad", "--out", "embedded.h5ad")
    (lab / "elsewhere.tsv").rename(lab / "edges.tsv")
    assert code == 0, err

    sizes = ["--genes", "8", "--channels", "8", "--layers", "1", "--rank", "4", "--batch-size", "2"]
    given = ["--models", "gnn,gcn", "--network", "edges.tsv", "--data", "cells.h5ad"]
    code, out, err = run(capsys, "profile", *given, *sizes, "--json", "-")
    assert code == 0, err
    costs = {cost["model"]: cost for cost in json.loads(out)["costs"]}
    assert costs["gcn"]["path"] == "network edges"
    assert 8 <= costs["gcn"]["edges"] == costs["gnn"]["edges"] < 20
    assert all(cost["multiply_adds"] == cost["counted_multiply_adds"] > 0 for cost in costs.values())


def test_bench_names_its_network(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(lab)
    words = ["--models", "mean", "--data", "cells.h5ad", "--network", "edges.tsv", "--config", "quick.yaml"]
    code, _, err = run(capsys, "bench", *words, "--out", "results")
    assert code == 0, err
    page = (lab / "results" / "report.html").read_text(encoding="utf-8")
    summary = (lab / "results" / "summary.md").read_text(encoding="utf-8")
    for text in (page, summary):
        assert "cells: network edges.tsv: 60 edges on 33 genes" in text
    assert yaml.safe_load((lab / "results" / "config.yaml").read_text())["network"] == "edges.tsv"
    assert load_model(lab / "results" / "models" / "cells-mean").model.network is not None
