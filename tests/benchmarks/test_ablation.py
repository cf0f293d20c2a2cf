"""The ablation: steps add up, rows come from benches, an interrupted run goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tests.benchmarks.conftest import ROOT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Script = Callable[..., subprocess.CompletedProcess[str]]

STEPS = """
- step: small
  set:
    {model.channels: 8, model.layers: 1, model.rank: 2, train.genes: 8, train.batch_size: 16, train.epochs: 1,
     components: 5}
- step: wider
  set: {model.channels: 16, train.embed_genes: all}
"""


def test_shipped_steps_end_at_the_settings_of_masked_values() -> None:
    from benchmarks.ablation.run import BASE, STEPS, read_steps
    from scgraph.cli.options import bench_settings
    from scgraph.config_files import as_bench_config

    steps = read_steps(STEPS)
    last = bench_settings(BASE, steps[-1][1], model={}, train={}).model_dump()
    default = as_bench_config("bench/mvp").model_dump()
    assert last["model"] == default["model"]
    assert last["train"] | {"epochs": 0} == default["train"] | {"epochs": 0}  # the default cuts them by max_steps
    assert last["n_top_genes"] == default["n_top_genes"]
    assert len(steps[0][1]) < len(steps[-1][1])


@pytest.mark.slow
def test_rows_are_benches_and_a_run_goes_on(cells_file: Path, script: Script, tmp_path: Path) -> None:
    (tmp_path / "steps.yaml").write_text(STEPS)
    words = ["ablation", "--data", cells_file.name, "--out", "found", "--seeds", "2", "--steps", "steps.yaml"]
    done = script(*words)
    assert done.returncode == 0, done.stderr
    results = pd.read_csv(tmp_path / "found" / "results.csv")
    assert results.groupby("step", sort=False).size().to_dict() == {"small": 8, "wider": 8}
    page = (tmp_path / "found" / "ablation.md").read_text()
    assert "| wider |" in page
    steps = json.loads((tmp_path / "found" / "steps.json").read_text())
    assert "--set model.channels=16 --set train.embed_genes=all" in steps["wider"]["command"]
    assert "model.channels=8" not in steps["wider"]["command"]

    first = {"small": steps["small"]}
    (tmp_path / "found" / "steps.json").write_text(json.dumps(first))
    again = script(*words)
    assert again.returncode == 0, again.stderr
    assert "wider: [1/" in again.stderr + again.stdout
    assert "small: [1/" not in again.stderr + again.stdout
    scores = ["step", "seed", "model", "macro_f1", "accuracy"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "found" / "results.csv")[scores], results[scores])


@pytest.mark.parametrize("text", ["[]", "- step: a", "3", "- {step: a, set: {}}\n- {step: a, set: {}}"])
def test_a_file_that_lists_no_steps_is_refused(
    text: str, cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.ablation import run as ablation

    (tmp_path / "steps.yaml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        ablation.main(
            ["--data", str(cells_file), "--out", str(tmp_path / "found"), "--steps", str(tmp_path / "steps.yaml")]
        )
    assert ended.value.code == 2
    assert "steps.yaml" in capsys.readouterr().err
    assert not (tmp_path / "found").exists()


def test_the_shipped_file_stands_beside_the_script() -> None:
    assert (ROOT / "benchmarks" / "ablation" / "steps.yaml").is_file()
