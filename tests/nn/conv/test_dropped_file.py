"""A convolution is one file: dropped into the package, every command knows it with no other edit."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import QUICK, make_cells

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--channels", "8", "--genes", "12", "--layers", "1", "--rank", "2", "--batch-size", "2", "--vocabulary", "30"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package, with the layer of the README as a file of its own among the convolutions."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("scgraph", "configs", "docs/make"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "layers.md"):
        shutil.copy(ROOT / "docs" / name, folder / "docs")
    (folder / "README.md").touch()
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (layer,) = re.findall(r"^```python\n(from torch import nn\n.*?)^```", page, flags=re.M | re.S)
    assert layer.count("\n") < 40
    (folder / "scgraph" / "nn" / "conv" / "sage.py").write_text(layer, encoding="utf-8")
    make_cells().write_h5ad(folder / "cells.h5ad")
    (folder / "quick.yaml").write_text(json.dumps(QUICK), encoding="utf-8")
    return folder


def scgraph(folder: Path, *words: str) -> str:
    return python(folder, "-c", "import sys; from scgraph.cli import main; main(sys.argv[1:])", *words)


def python(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_listed(copy: Path) -> None:
    names = [row["model"] for row in json.loads(scgraph(copy, "models", "--json", "-"))]
    assert names[:10] == ["gat", "gcn", "gnn", "gnn-linear", "hybrid", "mean", "none", "performer", "sage", "tf"]


def test_the_contract_runs_over_it(copy: Path) -> None:
    assert "sage keeps all 9 sentences of the contract" in scgraph(copy, "models", "--check", "sage")


def test_it_is_profiled(copy: Path) -> None:
    (cost,) = json.loads(scgraph(copy, "profile", "--models", "sage", *SMALL, "--json", "-"))["costs"]
    assert (cost["model"], cost["path"]) == ("sage", "edges")
    assert cost["multiply_adds"] == cost["counted_multiply_adds"] == 2 * 12 * 8**2


def test_it_is_benched(copy: Path) -> None:
    words = ["--models", "sage,asym:sage", "--data", "cells.h5ad", "--config", "quick.yaml", "--out", "results"]
    scgraph(copy, "bench", *words)
    rows = (copy / "results" / "results.csv").read_text(encoding="utf-8")
    assert {"sage", "asym:sage"} <= {row["model"] for row in csv.DictReader(rows.splitlines())}


def test_the_docs_list_it(copy: Path) -> None:
    page = copy / "docs" / "layers.md"
    before = page.read_text(encoding="utf-8").splitlines()
    python(copy, "-m", "docs.make")
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line not in before]
    assert len(rows) == 1
    assert rows[0].startswith("| `sage` | ")
