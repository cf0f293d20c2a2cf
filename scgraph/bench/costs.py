"""What the models of a bench cost, beside what they score."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scgraph.costs.machine import matmul_peak
from scgraph.costs.profiling import profile
from scgraph.costs.sizes import VOCABULARY_SIZE
from scgraph.reporting.rows import UNTRAINED
from scgraph.train import resolve_device

if TYPE_CHECKING:
    import pandas as pd

    from scgraph.bench.plan import BenchPlan
    from scgraph.costs.profiling import Costs

__all__ = ["BUSY", "busy_note", "measure_costs", "with_costs"]

BUSY = "The machine was busy"
"""How the note begins that other programs ran while speeds were measured."""
QUIET = 0.2
"""Share of the processors that other programs may use unmentioned."""
LOOK = 0.5
"""Seconds for which they are looked at."""
STEPS = 1.0
"""Seconds for which the steps of a model are timed."""


def busy_note() -> str:
    """Say how much of the processors other programs use, looked at for `LOOK` while this one waits, or ""."""
    import psutil

    share = psutil.cpu_percent(interval=LOOK) / 100
    if share < QUIET:
        return ""
    return f"{BUSY}: other programs used {share:.0%} of its processors, so its speeds are better than these."


def measure_costs(plan: BenchPlan) -> dict[str, Costs]:
    """Measure what each model costs, by its name: on cells of the plan where a network decides the number of edges."""
    settings = plan.settings
    device = str(resolve_device(settings.train.device))
    peak = matmul_peak(device, settings.train.precision)
    store, network = plan.measured_on or (None, None)
    vocabulary_size = settings.n_top_genes or VOCABULARY_SIZE
    costs = {}
    for name, own in plan.models.items():
        measured = profile(
            own.model,
            genes=own.train.genes if network is None else min(own.train.genes, network.size),
            zeros=own.train.zeros_beside(vocabulary_size),
            vocabulary_size=vocabulary_size,
            batch_size=min(own.train.cells_a_step(16), 16),
            device=device,
            precision=settings.train.precision,
            peak=peak,
            seconds=STEPS,
            network=network,
            store=store,
        )
        costs[name] = replace(measured, model=name)
    return costs


def with_costs(results: pd.DataFrame, costs: dict[str, Costs]) -> pd.DataFrame:
    """Return the rows with the costs of their models beside the scores."""
    base = results["model"].str.removesuffix(UNTRAINED)
    filled = results.copy()
    for column in ("multiply_adds", "saved_mb", "cells_per_second"):
        filled[column] = base.map({name: getattr(cost, column) for name, cost in costs.items()})
    return filled
