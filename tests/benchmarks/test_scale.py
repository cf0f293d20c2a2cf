"""What a pass over many cells would need."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.scale.steps import Cluster, Load, simulate

if TYPE_CHECKING:
    from pathlib import Path

LOAD = Load(cells=1e6, batch=100, cell_bytes=2000.0, gradient_bytes=1e8, cells_per_second=1000.0, spread=0.0)
ONE = Cluster(devices=1, per_node=8, link_bytes=1e9, latency=0.0, hour=2.0)


def test_one_device_takes_what_its_rate_says() -> None:
    found = simulate(LOAD, ONE)
    assert found["step"] == pytest.approx(0.1)
    assert found["hours"] == pytest.approx(1000 / 3600)
    assert found["price"] == pytest.approx(2 * 1000 / 3600)
    assert found["share_computing"] == pytest.approx(1)
    assert found["sent"] == 0
    assert found["read"] == pytest.approx(1000 * 2000)


def test_gradients_go_round_between_nodes_and_not_within_one() -> None:
    within = simulate(LOAD, replace(ONE, devices=8))
    assert within["share_exchange"] == 0
    assert within["hours"] == pytest.approx(1000 / 3600 / 8)
    across = simulate(LOAD, replace(ONE, devices=16, latency=1e-3))
    # 2 * 15 / 16 * 0.1 s over the link, and 30 messages.
    assert across["step"] == pytest.approx(0.1 + 0.1875 + 0.03)
    assert across["sent"] == pytest.approx(1.875e8)
    assert across["read"] == pytest.approx(8 * 100 / 0.3175 * 2000)


def test_a_step_waits_for_the_slowest_of_its_devices() -> None:
    spread = replace(LOAD, spread=0.1)
    waiting = [simulate(spread, replace(ONE, devices=devices))["share_waiting"] for devices in (1, 2, 8)]
    assert abs(waiting[0]) < 0.01
    # The largest of two normal numbers is 0.56 deviations above the mean, of eight 1.42.
    assert waiting[1] == pytest.approx(0.056 / 1.056, abs=0.01)
    assert waiting[2] == pytest.approx(0.142 / 1.142, abs=0.02)
    assert simulate(spread, ONE, seed=3) == simulate(spread, ONE, seed=3)


def test_rates_that_are_none_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from benchmarks.scale import run

    for words, said in ((["--rates", "fast"], "no list of numbers"), (["--rates", "10,0"], "above 0")):
        with pytest.raises(SystemExit) as ended:
            run.main(["--data", "none.h5ad", "--out", str(tmp_path / "out"), *words])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
