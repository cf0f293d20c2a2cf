"""What a child process of `hardware_lottery` measures: the memory of one form, or the times of all in turn."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from benchmarks.hardware_lottery.cases import REFERENCES, named_form
from benchmarks.harness.rounds import interleaved, warmed
from benchmarks.layers.cases import LayerStep, Sizes
from benchmarks.layers.point import measure_case
from scgraph.costs.machine import matmul_peak

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

__all__ = ["measure_memory", "measure_times"]

BLOCK = 0.05
"""Seconds that a form is run for in a round: a quick one pays once for the caches that a slow one has emptied."""


def measure_memory(request: dict[str, Any]) -> dict[str, Any]:
    """Memory of one form.

    Args:
        request: `form`, its name; `sizes`, entries of `Sizes`.

    Returns:
        `saved_mb` for backward, and `peak_mb`, the most that the process held above what it held before.
    """
    found = measure_case(named_form(request["form"]), Sizes(**request["sizes"]), 0.0)
    return {key: found[key] for key in ("saved_mb", "peak_mb")}


def measure_times(request: dict[str, Any]) -> dict[str, Any]:
    """Times of the forms in turn, A B C A B C, and how far apart their numbers are.

    Args:
        request: `forms`, their names; `sizes`, entries of `Sizes`; `rounds` at most; `seconds`, after which no round
            is started; `peak_size`, side of the product that gives the matmul peak.

    Returns:
        `times`, seconds of a step by form and round; `differences`, see `differences`; `failures`, what those said
        that could not be run; `peaks`, operations a second of a large product before and after.
    """
    sizes = Sizes(**request["sizes"])
    before = matmul_peak(size=request["peak_size"])
    steps = {name: LayerStep(named_form(name), sizes) for name in request["forms"]}
    able, failures = warmed(steps)
    apart = differences({name: steps[name] for name in able})
    repeats = {name: _repeats(step) for name, step in able.items()}
    blocks = {name: _block(step, repeats[name]) for name, step in able.items()}
    times = interleaved(blocks, rounds=request["rounds"], seconds=request["seconds"])
    return {
        "times": {name: [value / repeats[name] for value in own] for name, own in times.items()},
        "differences": apart,
        "failures": failures,
        "peaks": [before, matmul_peak(size=request["peak_size"])],
    }


def differences(steps: Mapping[str, LayerStep]) -> dict[str, float]:
    """Largest difference of output and input gradient to those of the reference, over the largest of its numbers."""
    found: dict[str, float] = {}
    expected: dict[str, tuple[Tensor, Tensor]] = {}
    # The references first, whatever the order they are measured in.
    for name in sorted(steps, key=lambda name: name not in REFERENCES.values()):
        step = steps[name]
        step()
        gradient = step.x.grad
        assert gradient is not None
        result = (step.forward().detach(), gradient.clone())
        family = named_form(name).family
        reference = expected.setdefault(family, result)
        pairs = zip(result, reference, strict=True)
        found[name] = max(float((own - other).abs().max() / other.abs().max()) for own, other in pairs)
    return {name: found[name] for name in steps}


def _repeats(step: Callable[[], object]) -> int:
    start = time.perf_counter()
    step()
    return max(1, math.ceil(BLOCK / (time.perf_counter() - start)))


def _block(step: Callable[[], object], repeats: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(repeats):
            step()

    return run
