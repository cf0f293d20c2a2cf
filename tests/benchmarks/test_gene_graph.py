"""The benchmark of the gene graph, small: a training that is over is taken as it is; the page says what was found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from tests.genes.helpers import cells, planted, small_config

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_run_and_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.gene_graph import run as gene_graph

    cells().write_h5ad(tmp_path / "cells.h5ad")
    words = ["--data", str(tmp_path / "cells.h5ad"), "--out", str(tmp_path / "out"), "--permutations", "20"]
    words += ["--shares", "0.2", "--variant", "train.seed=1", "--known", str(tmp_path / "tf.tsv")]
    (tmp_path / "tf.tsv").write_text("".join(f"RPL3\tGENE{at}\nCD3D\tGENE{at + 9}\n" for at in range(9)))
    weights = tmp_path / "out" / "models" / "seed-1" / "model.safetensors"
    written = []
    for attempt in (1, 2):
        with pytest.raises(SystemExit) as ended:
            gene_graph.main(words)
        captured = capsys.readouterr()
        assert not ended.value.code, captured.err
        assert ("pretraining" in captured.err) == (attempt == 1)
        written.append(weights.stat().st_mtime_ns)
    assert written[0] == written[1]
    settings = pd.read_csv(tmp_path / "out" / "settings.csv").set_index("settings")
    assert list(settings.index) == ["default", "train.seed=1"]
    assert 0 < settings.loc["train.seed=1", "edges_shared"] < 1
    known = pd.read_csv(tmp_path / "out" / "known.csv")
    assert known.groupby("settings", sort=False)["edges"].first().to_dict() == {"default": 18, "train.seed=1": 18}
    agreed = pd.read_csv(tmp_path / "out" / "agreement.csv").set_index("network")
    assert agreed.loc["learned", "shared"] == pytest.approx(settings.loc["train.seed=1", "edges_shared"])
    page = (tmp_path / "out" / "table.md").read_text()
    assert (
        page.index("# Edges that are known") < page.index("# Edges shared with") < page.index("# Edges within families")
    )
    assert "| `default` |" in page
    assert (tmp_path / "out" / "network.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "out" / "environment.json").read_text())["seconds"] > 0


def test_distance_from_the_start(tmp_path: Path) -> None:
    from benchmarks.gene_graph.parts import hub_expression, moved, shared_edges
    from scgraph.genes import gene_tables, strongest_senders

    tables = gene_tables(planted(tmp_path / "m", small_config()))
    assert tables.start is not None
    genes = np.arange(60)
    found = moved(tables, genes)
    assert found["change_sd"] > 0
    assert 0 < found["correlation_with_start"] < 1
    edges = strongest_senders(tables, top_k=4)
    assert shared_edges(edges, edges) == 1
    assert shared_edges(edges, strongest_senders(tables, top_k=4, weights="change")) < 1
    degree = np.bincount(edges.source, minlength=60)
    assert hub_expression(edges, -degree)["hubs_against_detection"] == pytest.approx(-1)
