"""Costs are measured for a moment: half the time of a small bench is spent on speeds that no test reads."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["shorten"]


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Shorten what a bench or a profile measures, until the patch is undone."""
    names = ("bench.costs", "costs.machine", "costs.profiling", "costs.loading")
    costs, machine, profiling, loading = (import_module(f"scgraph.{name}") for name in names)
    for function in (profiling.profile, loading.loading_rate):
        patch.setitem(function.__kwdefaults__, "seconds", 0.02)
    patch.setattr(costs, "LOOK", 0.02)
    patch.setattr(costs, "STEPS", 0.02)
    patch.setitem(machine.SIZES, "cpu", 256)
