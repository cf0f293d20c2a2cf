"""The README and the docs pages are run: what they show works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)


def run(code: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_python_example_of_the_readme(tmp_path: Path) -> None:
    code = next(block for block in blocks("README.md") if "scgraph.pretrain" in block)
    code = code.replace('adata.obsm["X_scgraph"].shape  # ', 'assert adata.obsm["X_scgraph"].shape == ')
    assert "== (700, 128)" in code
    run(code, tmp_path)


def test_layer_of_the_readme_keeps_the_contract(tmp_path: Path) -> None:
    layer = next(block for block in blocks("README.md") if "register_conv" in block)
    (tmp_path / "my_lab.py").write_text(layer)
    suite, graphs = blocks("docs/layers.md")
    (tmp_path / "test_my_lab.py").write_text(suite)
    check = "from scgraph.testing import check_conv\nfrom my_lab import SAGEConv\ncheck_conv(SAGEConv)"
    own_suite = "import pytest, sys; sys.exit(pytest.main(['-q', 'test_my_lab.py']))"
    run("\n".join([check, graphs, own_suite]), tmp_path)


def test_example_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("docs/data.md")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "store" / "shard-00002.genes").is_file()


def test_example_of_an_asymmetric_model() -> None:
    (code,) = blocks("docs/asymmetric.md")
    exec(code, {})


def test_results_files_name_no_place_of_a_machine() -> None:
    for path in (ROOT / "benchmarks" / "results").rglob("environment.json"):
        assert not re.search(r"(?<![\w.])/(home|root|tmp|work|mnt)/", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    "name", ["Makefile", "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"]
)
def test_top_level_is_complete(name: str) -> None:
    assert (ROOT / name).stat().st_size > 200
