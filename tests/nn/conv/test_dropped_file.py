"""A convolution is one file: dropped into the package, every command knows it with no other edit."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers import QUICK, made_once, make_cells

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--channels", "8", "--genes", "12", "--layers", "1", "--rank", "2", "--batch-size", "2", "--vocabulary", "30"]


COMMANDS = {
    "models": ["models", "--json", "-"],
    "check": ["models", "--check", "sage"],
    "profile": ["profile", "--models", "sage", *SMALL, "--json", "-"],
    "bench": [
        *("bench", "--models", "sage,asym:sage", "--data", "cells.h5ad", "--config", "quick.yaml"),
        *("--out", "results"),
    ],
}
# One process for all commands: what takes its time is what it imports.
RUN = """
import contextlib, io, json, sys
import pytest
from scgraph.cli import main
from short_looks import shorten
shorten(pytest.MonkeyPatch())
said = {}
for name, words in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main(words)
        except SystemExit as stop:
            if stop.code:
                raise
    said[name] = out.getvalue()
print(json.dumps(said))
from docs.make.__main__ import main as renew
sys.argv = ["docs.make"]
renew()
"""


@dataclass(frozen=True)
class Copy:
    """A copy of the package with one file more, and what its commands put on standard output."""

    folder: Path
    said: dict[str, str]
    before: list[str]
    """Lines of docs/layers.md before the blocks of the documents were renewed."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Copy the package, with the layer of the README as a file of its own among the convolutions; run the commands."""
    folder = made_once(tmp_path_factory, "dropped-file", _fill)
    said, before = json.loads((folder / "said.json").read_text(encoding="utf-8"))
    return Copy(folder, said, before)


def _fill(folder: Path) -> None:
    for name in ("scgraph", "configs", "docs/make"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "layers.md", "shallow_cells.svg"):
        shutil.copy(ROOT / "docs" / name, folder / "docs")
    # What the picture of the README is drawn from.
    shutil.copytree(
        ROOT / "benchmarks", folder / "benchmarks", ignore=shutil.ignore_patterns("__pycache__", "*.png", "README.md")
    )
    (folder / "README.md").touch()
    shutil.copy(ROOT / "tests" / "short_looks.py", folder)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (layer,) = re.findall(r"^```python\n(from torch import nn\n.*?)^```", page, flags=re.M | re.S)
    assert layer.count("\n") < 40
    (folder / "scgraph" / "nn" / "conv" / "sage.py").write_text(layer, encoding="utf-8")
    make_cells().write_h5ad(folder / "cells.h5ad")
    (folder / "quick.yaml").write_text(json.dumps(QUICK | {"uses": []}), encoding="utf-8")
    before = (folder / "docs" / "layers.md").read_text(encoding="utf-8").splitlines()
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(COMMANDS)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[0])
    (folder / "said.json").write_text(json.dumps([said, before]), encoding="utf-8")


def test_it_is_listed(copy: Copy) -> None:
    names = [row["model"] for row in json.loads(copy.said["models"])]
    assert names[:10] == ["gat", "gcn", "gnn", "gnn-linear", "hybrid", "mean", "none", "performer", "sage", "tf"]


def test_the_contract_runs_over_it(copy: Copy) -> None:
    assert "sage keeps all 9 sentences of the contract" in copy.said["check"]


def test_it_is_profiled(copy: Copy) -> None:
    (cost,) = json.loads(copy.said["profile"])["costs"]
    assert (cost["model"], cost["path"]) == ("sage", "edges")
    assert cost["multiply_adds"] == cost["counted_multiply_adds"] == 2 * 12 * 8**2


def test_it_is_benched(copy: Copy) -> None:
    rows = (copy.folder / "results" / "results.csv").read_text(encoding="utf-8")
    assert {"sage", "asym:sage"} <= {row["model"] for row in csv.DictReader(rows.splitlines())}


def test_the_docs_list_it(copy: Copy) -> None:
    page = (copy.folder / "docs" / "layers.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line not in copy.before]
    assert len(rows) == 1
    assert rows[0].startswith("| `sage` | ")
