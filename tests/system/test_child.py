"""Processes that scgraph starts import what the command imports: nothing that happens to lie in the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import make_cells, strangers_run, write_strangers

# A search is three processes, one after the other, each of which imports everything: a minute on a busy machine.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]
# As the command that pip writes starts: the current folder is not among the paths, and `main` adds it last.
SCGRAPH = [sys.executable, "-P", "-c", "from scgraph.cli import main; main()"]
LAYER = '''
from torch import nn

from scgraph.nn import GeneConv


class Own(GeneConv):
    """``y = W x``."""

    def __init__(self, channels):
        super().__init__(channels)
        self.linear = nn.Linear(channels, channels)

    def complete(self, x, graph, view):
        return self.linear(x)
'''
SETTINGS = ["train.genes=16", "train.epochs=1", "train.batch_size=32", "model.channels=8", "model.layers=1"]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with cells, a layer of one's own, and files with the names of modules."""
    write_strangers(tmp_path)
    (tmp_path / "my_lab.py").write_text(LAYER)
    make_cells(60).write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*SCGRAPH, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=250
    )


def test_a_child_imports_a_layer_of_the_current_folder_and_no_stranger(here: Path) -> None:
    """Those of a run on several devices are asked in tests/train/distributed."""
    words = ["tune", "--data", "cells.h5ad", "--models", "my_lab:Own", "--trials", "1", "--no-final", "--out", "out"]
    done = command(here, *words, *(word for setting in SETTINGS for word in ("--set", f"bench.{setting}")))
    assert done.returncode == 0, done.stderr
    assert strangers_run(here) == ""


def test_children_of_the_benchmarks_import_no_stranger(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    script = tmp_path_factory.mktemp("scripts") / "measure.py"
    script.write_text(
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        "from benchmarks.harness.children import run_child\n"
        "if __name__ == '__main__': print(run_child(dict, {}, memory_gb=8, seconds=60).status)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=here,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.stdout.strip() == "ok", done.stderr
    assert strangers_run(here) == ""
