"""docs/extending.md is followed word for word, in the folder of someone who has the installed command."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from scgraph.config_files import as_bench_config
from scgraph.models.settings import settings_by_model
from scgraph.nn.conv import registry
from tests.helpers import QUICK, made_once, make_cells

# All commands run before the first test.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.M | re.S)


COMMANDS = [shlex.split(line)[1:] for block in blocks("sh") for line in block.replace("\\\n", "").splitlines()]

RUN = """
import json, sys
import pytest
from scgraph.cli import main
from tests.short_looks import shorten
shorten(pytest.MonkeyPatch())
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as stop:
        if stop.code:
            sys.exit(f"{words}: {stop.code}")
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the output after all commands of the page, with small sizes."""
    folder = made_once(tmp_path_factory, "followed", _follow)
    return folder, (folder / "said.txt").read_text(encoding="utf-8")


def _follow(folder: Path) -> None:
    (folder / "my_lab.py").write_text(blocks("python")[0])
    make_cells().write_h5ad(folder / "cells.h5ad")
    (folder / "quick.yaml").write_text(yaml.safe_dump(QUICK))
    small = {"profile": ["--batch-size", "1", "--vocabulary", "80"], "models": [], "embed": []}
    commands = [words + small.get(words[0], ["--config", "quick.yaml"]) for words in COMMANDS]
    # With -P the current folder is not on the path, as for an installed command.
    done = subprocess.run(
        [sys.executable, "-P", "-c", RUN, json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stdout + done.stderr, encoding="utf-8")


def test_the_worked_example_keeps_the_contract(followed: tuple[Path, str]) -> None:
    _, said = followed
    assert said.count("my_lab:GatedConv keeps all 9 sentences of the contract.") == 2
    assert "torch_geometric.nn.ChebConv keeps all 9 sentences of the contract." in said
    assert "note: sentence 3: ChebConv has no complete path; it runs on the 16 strongest senders" in said
    assert "note: sentence 7: ChebConv states no multiply_adds, so a run counts them" in said


def test_it_is_benched_beside_a_pyg_layer(followed: tuple[Path, str]) -> None:
    folder, said = followed
    import pandas as pd

    results = pd.read_csv(folder / "compared" / "results.csv")
    models = ["gnn", "my_lab:GatedConv", "torch_geometric.nn.SAGEConv"]
    assert set(models) < set(results["model"])
    trained = results[results["model"].isin(models)]
    assert trained["loss"].notna().all()
    assert (trained["multiply_adds"] > 0).all()
    assert sorted(path.name for path in (folder / "compared" / "models").iterdir()) == [
        "cells-gnn",
        "cells-my_lab-GatedConv",
        "cells-torch_geometric.nn.SAGEConv",
    ]
    page = (folder / "compared" / "report.html").read_text(encoding="utf-8")
    summary = (folder / "compared" / "summary.md").read_text(encoding="utf-8")
    note = "torch_geometric.nn.SAGEConv: its multiply-adds are counted in a run"
    assert all(model in page and model in summary for model in models)
    assert note in summary
    assert note in said
    assert "my_lab:GatedConv: its multiply-adds" not in summary
    config = json.loads((folder / "cheb" / "config.json").read_text())
    assert config["model"]["conv_options"] == {"K": 2}


def test_a_saved_model_of_it_serves(followed: tuple[Path, str]) -> None:
    import anndata

    from scgraph.errors import ModelFileError
    from scgraph.models import load_model

    folder, said = followed
    assert anndata.read_h5ad(folder / "embedded.h5ad").obsm["X_scgraph"].shape == (90, 16)
    assert "gated on cells.h5ad" in said
    with pytest.raises(ModelFileError, match=re.escape("allow_conv=['my_lab:GatedConv']")):
        load_model(folder / "gated")
    with pytest.raises(ModelFileError, match=re.escape("allow_conv=['torch_geometric.nn.SAGEConv']")):
        load_model(folder / "compared" / "models" / "cells-torch_geometric.nn.SAGEConv")


def test_the_yaml_of_the_page_is_a_configuration() -> None:
    settings: dict[str, Any] = yaml.safe_load(blocks("yaml")[0])
    config = as_bench_config(settings)
    by_model = settings_by_model(list(settings["per_model"]), config)
    assert by_model["torch_geometric.nn.SAGEConv"].model.conv_options == {"top_k": 32, "aggr": "max"}


def test_the_entry_points_of_the_page_are_ours() -> None:
    points = tomllib.loads(blocks("toml")[0])["project"]["entry-points"]
    assert list(points) == [registry.ENTRY_POINTS]
    layer = registry.conv_class(points[registry.ENTRY_POINTS]["pyg-sage"])
    assert layer.__name__ == "SAGEConv"
    assert points[registry.ENTRY_POINTS]["gated"] in {word for words in COMMANDS for word in words}
