"""Comparing models on labelled cells.

The package is also the function that users call:
``scgraph.bench(models=["gnn", "tf"], data=["cells.h5ad"])``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from scgraph.bench.results import BenchResult
from scgraph.bench.run import run_bench

__all__ = ["BenchResult", "run_bench"]


class _CallableModule(ModuleType):
    # The package and the function share the name `scgraph.bench`; importing a submodule would replace a
    # function by the package, so the package itself can be called.
    def __call__(self, *args: Any, **kwargs: Any) -> BenchResult:
        return run_bench(*args, **kwargs)


_CallableModule.__call__.__doc__ = run_bench.__doc__
sys.modules[__name__].__class__ = _CallableModule
