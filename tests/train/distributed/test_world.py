"""Which process of a run this is, by the environment that a launcher sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scgraph.bench import run_bench
from scgraph.errors import ConfigError
from scgraph.train import pretrain
from scgraph.train.distributed.world import World, find_world
from tests.train import helpers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"devices": 999, "batch_size": 100}, r"devices is 999, and this machine has \d+ cores"),
        ({"devices": 2, "batch_size": 1}, "batch_size is 1, and there are 2 devices"),
        ({"nodes": 2}, "nodes is 2: start the run on every node.*torchrun"),
    ],
)
def test_devices_that_cannot_be_had_are_refused(tmp_path: Path, training: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrain(helpers.small_model(), helpers.small_training(**training), *helpers.parts(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_environment_says_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_world(1, 1) == World()
    assert find_world(2, 1) == World(0, 2, 2)
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert find_world(1, 1) == World()  # four tasks may be four runs
    assert find_world(2, 2) == World(3, 4, 2, 2, "slurm")
    with pytest.raises(ConfigError, match="srun started 4 tasks, and devices x nodes is 2"):
        find_world(2, 1)
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    assert find_world(1, 1) == find_world(3, 2) == World(5, 6, 3, 2, "torchrun")
    with pytest.raises(ConfigError, match="bench runs as one process"):
        run_bench(["none"], ["missing.h5ad"])
    with pytest.raises(ConfigError, match="torchrun started 6 processes"):
        find_world(2, 1)
