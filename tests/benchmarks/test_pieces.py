"""The small pieces the speed benchmarks share: rounds in turn, intervals, exponents, children with limits."""

from __future__ import annotations

import math
import random
import sys
import time
from typing import Any

import pytest

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and sets RLIMIT_DATA")


def answers(request: dict[str, Any]) -> dict[str, Any]:
    return {"twice": 2 * request["number"]}


def takes_memory(request: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {"sum": float(torch.ones(request["numbers"]).sum())}


def takes_time(request: dict[str, Any]) -> dict[str, Any]:
    time.sleep(60)
    return {}


def loads_bare(request: dict[str, Any]) -> dict[str, Any]:
    """Import anew what is ours, with nothing to be had but torch, PyG and numpy."""
    own = {"scgraph", "benchmarks"}
    lacking = {"pydantic", "typer", "rich", "yaml", "lightning", "anndata", "scanpy", "optuna", "matplotlib", "sklearn"}
    for name in list(sys.modules):
        if name.partition(".")[0] in own | lacking:
            del sys.modules[name]
    blocked: dict[str, Any] = dict.fromkeys(lacking)
    sys.modules |= blocked  # None: importing it fails as if it were not there
    from benchmarks.gpu import run as gpu

    return {"code": gpu.main(["--device", "mars", "--out", "never"])}


def fails(request: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("the machine is on fire")


def test_an_exponent_is_recovered_with_its_error() -> None:
    from benchmarks.harness.exponents import fit_exponent

    sizes = [512.0 * 2**n for n in range(6)]
    exact = fit_exponent(sizes, [3e-6 * size**1.5 for size in sizes])
    assert exact.value == pytest.approx(1.5, abs=1e-9)
    assert exact.error == pytest.approx(0, abs=1e-6)
    assert exact.n == 6
    random.seed(0)
    noisy = [fit_exponent(sizes, [size * math.exp(random.gauss(0, 0.1)) for size in sizes]) for _ in range(400)]
    spread = math.sqrt(sum((fit.value - 1) ** 2 for fit in noisy) / len(noisy))
    said = math.sqrt(sum(fit.error**2 for fit in noisy) / len(noisy))
    assert said == pytest.approx(spread, rel=0.15)
    assert str(fit_exponent([1, 2, 4], [1, 2, 4])) == "1.00 ± 0.00 (3)"


def test_too_few_points_make_no_exponent_and_no_error() -> None:
    from benchmarks.harness.exponents import fit_exponent

    assert str(fit_exponent([512], [1.0])) == "-"
    assert str(fit_exponent([512, 1024], [1.0, 4.0])) == "2.00 (2)"
    assert fit_exponent([512, 1024, 2048], [1.0, float("nan"), 4.0]).n == 2


def test_steps_run_in_turn_and_stop_when_the_time_is_up() -> None:
    from benchmarks.harness.rounds import interleaved

    order: list[str] = []
    now = 0.0

    def step(name: str, seconds: float) -> Any:
        def run() -> None:
            nonlocal now
            now += seconds
            order.append(name)

        return run

    steps = {"a": step("a", 1.0), "b": step("b", 2.0), "c": step("c", 3.0)}
    times = interleaved(steps, rounds=3, clock=lambda: now)
    assert "".join(order) == "abcabcabc"
    assert times == {"a": [1.0] * 3, "b": [2.0] * 3, "c": [3.0] * 3}
    order.clear()
    assert len(interleaved(steps, rounds=9, seconds=7.0, clock=lambda: now)["c"]) == 2
    assert len(interleaved(steps, rounds=9, seconds=0.0, clock=lambda: now)["c"]) == 1


def test_a_step_that_cannot_run_is_left_out_with_its_reason() -> None:
    from benchmarks.harness.rounds import warmed

    def lost() -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")

    able, failures = warmed({"good": lambda: None, "lost": lost, "bad": lambda: fails({})})
    assert list(able) == ["good"]
    assert failures == {"lost": "out of memory", "bad": "failed: the machine is on fire"}


def test_the_interval_of_a_median_covers_it() -> None:
    from benchmarks.harness.rounds import median_interval

    assert all(math.isnan(end) for end in median_interval([1, 2, 3, 4, 5]))
    assert median_interval([3, 1, 6, 2, 5, 4]) == (1, 6)  # 1 - 2/2⁶ = 97 %
    random.seed(0)
    hits = 0
    for _ in range(1000):
        low, high = median_interval([random.gauss(0, 1) for _ in range(15)])
        hits += low <= 0 <= high
    assert 950 <= hits <= 985  # 96.5 % for the 4th smallest and largest of 15


def test_ratios_are_paired_by_round() -> None:
    from benchmarks.harness.rounds import ratio

    machine = [1.0, 9.0, 2.0, 30.0, 1.0, 4.0, 1.0]  # how slow it was in each round
    found = ratio([2 * slow for slow in machine], machine)
    assert (found.median, found.low, found.high, found.n) == (2.0, 2.0, 2.0, 7)
    assert str(ratio([], [])) == "-"


def test_the_first_step_counts_only_where_it_is_the_only_one() -> None:
    from benchmarks.harness.rounds import repeated

    waits = iter([0.2] + [0.001] * 1000)
    assert max(repeated(lambda: time.sleep(next(waits)), 0.25)) < 0.15
    assert len(repeated(lambda: time.sleep(0.05), 0.01)) == 1


@LINUX
def test_children_answer_or_say_what_they_lacked() -> None:
    from benchmarks.harness.children import OUT_OF_MEMORY, OVER_TIME, run_child

    good = run_child(answers, {"number": 21}, memory_gb=4, seconds=100)
    assert (good.status, good.found) == ("ok", {"twice": 42})
    large = run_child(takes_memory, {"numbers": 10**9}, memory_gb=2, seconds=100)
    assert large.status == OUT_OF_MEMORY
    assert "allocate" in large.message
    late = run_child(takes_time, {}, memory_gb=4, seconds=1)
    assert late.status == OVER_TIME
    assert late.seconds < 30
    bad = run_child(fails, {}, memory_gb=4, seconds=100)
    assert (bad.status, bad.message) == ("failed", "RuntimeError: the machine is on fire")


@LINUX
def test_peak_memory_is_what_was_used_since_the_restart() -> None:
    from benchmarks.harness.children import peak_mb, resident_mb, restart_peak

    if not restart_peak():
        pytest.skip("this system does not let a process forget its peak")
    block = bytearray(200_000_000)
    del block
    assert peak_mb() > resident_mb() + 150
    assert restart_peak()
    assert peak_mb() < resident_mb() + 50


def test_a_busy_machine_is_said_aloud() -> None:
    from benchmarks.harness.text import busy_note

    assert busy_note(2.0, 2.4, 2) == []
    assert busy_note(None, None, 1) == []
    assert "a load of 3.4, 2 threads" in busy_note(3.4, 2.0, 2)[0]
    assert "a load of 2.9, 2 threads" in busy_note(0.1, 3.4, 2)[0]


@LINUX
def test_the_gpu_script_loads_without_what_a_bare_machine_lacks() -> None:
    from benchmarks.harness.children import run_child

    found = run_child(loads_bare, {}, memory_gb=4, seconds=100)
    assert (found.status, found.found) == ("ok", {"code": 2}), found
