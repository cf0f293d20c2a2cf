"""What importing costs, and that optional packages may be missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import grimp
import networkx as nx
import pytest

from tests.helpers import QUICK, make_cells

ROOT = Path(__file__).resolve().parents[1]


def _run(code: str, folder: Path = ROOT) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_scgraph_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'pandas', 'anndata', 'scanpy', 'sklearn', 'lightning', 'optuna', 'matplotlib'}"
    assert _run(f"import sys, scgraph; print(sorted({heavy} & set(sys.modules)))").strip() == "[]"


def test_the_command_line_knows_its_commands_before_anything_heavy_is_imported() -> None:
    heavy = "{'torch', 'numpy', 'pandas', 'anndata', 'scanpy', 'lightning', 'optuna', 'matplotlib'}"
    assert _run(f"import sys, scgraph.cli.app; print(sorted({heavy} & set(sys.modules)))").strip() == "[]"


@pytest.fixture(scope="module")
def bench_without_optional(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a bench without scanpy, optuna and umap, and what its process printed."""
    folder = tmp_path_factory.mktemp("imports")
    make_cells().write_h5ad(folder / "cells.h5ad")
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import scgraph.train as train
[getattr(train, name) for name in train.__all__]
print("lightning" in sys.modules)
print(sorted({{"scanpy", "optuna", "umap"}} & set(sys.modules)))
for name in ("scanpy", "optuna", "umap"):
    sys.modules[name] = None  # importing it now fails as if it were not installed
import scgraph
config = {QUICK!r} | {{"n_top_genes": 20}}
result = scgraph.bench(["gnn"], ["cells.h5ad"], config=config, out="out")
print(len(result.results))
"""
    return folder, _run(code, folder).splitlines()


def test_training_imports_lightning_only_where_it_trains(bench_without_optional: tuple[Path, list[str]]) -> None:
    assert bench_without_optional[1][0] == "False"


def test_a_bench_runs_without_scanpy_optuna_and_umap(bench_without_optional: tuple[Path, list[str]]) -> None:
    folder, printed = bench_without_optional
    assert printed[1:] == ["[]", "4"]
    assert (folder / "out" / "report.html").is_file()
    assert json.loads((folder / "out" / "environment.json").read_text())["command"]


def test_no_files_import_each_other_in_a_loop() -> None:
    """Imports for type checkers and those inside functions count; scgraph itself names its public functions lazily."""
    imports = grimp.build_graph("scgraph", cache_dir=None)
    edges = nx.DiGraph(
        (module, other)
        for module in imports.modules
        for other in imports.find_modules_directly_imported_by(module)
        if module != "scgraph"
    )
    assert edges.number_of_edges() > 500
    assert [sorted(loop) for loop in nx.strongly_connected_components(edges) if len(loop) > 1] == []
