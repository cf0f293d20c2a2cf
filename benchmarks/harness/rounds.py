"""Timing several steps in turn, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.harness.children import OUT_OF_MEMORY
from scgraph.memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Ratio", "interleaved", "median_interval", "ratio", "repeated", "warmed"]


@dataclass(frozen=True)
class Ratio:
    """Median over the rounds of one step's time over another's, with an interval.

    Attributes:
        median: of the ratios of the rounds.
        low: lower end of the interval for the median, 95 % or more; NaN below six rounds.
        high: upper end.
        n: number of rounds.
    """

    median: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if math.isnan(self.median):
            return "-"
        spread = "" if math.isnan(self.low) else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.median:.2f}×{spread}"


def warmed(steps: Mapping[str, Callable[[], object]]) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """Run every step once, uncounted; return those that ran, and what the others said."""
    able: dict[str, Callable[[], object]] = {}
    failures: dict[str, str] = {}
    for name, step in steps.items():
        try:
            step()
        except (RuntimeError, MemoryError) as error:
            said = " ".join(str(error).split())[:200]
            failures[name] = OUT_OF_MEMORY if is_out_of_memory(error) else f"failed: {said}"
        else:
            able[name] = step
    return able, failures


def interleaved(
    steps: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    seconds: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time the steps in turn, A B C A B C, and return the seconds of each by round.

    Args:
        steps: what to run; on CUDA each must wait for its end itself.
        rounds: how often at most.
        seconds: no round but the first is started after so long.
        clock: what tells the time.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    end = clock() + seconds
    for number in range(rounds):
        if number and clock() >= end:
            break
        for name, step in steps.items():
            start = clock()
            step()
            times[name].append(clock() - start)
    return times


def repeated(step: Callable[[], object], seconds: float) -> list[float]:
    """Time one step again and again for so long; the first counts only where it alone takes longer.

    The first step pays for memory and threads. Where it lasts longer than all the rest may, that is nothing.
    """
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    if first >= seconds:
        return [first]
    return interleaved({"": step}, rounds=sys.maxsize, seconds=seconds)[""]


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
    """Ratio of two steps that were timed in the same rounds."""
    ratios = [above / below for above, below in zip(numerator, denominator, strict=True)]
    if not ratios:
        return Ratio(math.nan, math.nan, math.nan, 0)
    return Ratio(median(ratios), *median_interval(ratios), len(ratios))


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Interval for the median of what the values are drawn from, between two of the values.

    Between the k-th smallest and the k-th largest value lies the median with probability
    ``1 - 2 P(Bin(n, 1/2) < k)``, whatever the distribution; k is the largest that keeps it at `level`.

    Returns:
        Lower and upper end; NaN where there are too few values (five or fewer for 95 %).
    """
    ordered, n = sorted(values), len(values)
    k, tail = 0, 1 / 2**n
    while k < n // 2 and tail <= (1 - level) / 2:
        k += 1
        tail += math.comb(n, k) / 2**n
    return (ordered[k - 1], ordered[n - k]) if k else (math.nan, math.nan)
