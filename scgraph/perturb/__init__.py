"""Expression changes after gene perturbations, predicted from a model's gene embeddings and control cells.

The package is also the function that users call: ``scgraph.perturb("screen.h5ad", "model")``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from scgraph.perturb.run import PerturbResult, run_perturb

__all__ = ["PerturbResult", "run_perturb"]


class _CallableModule(ModuleType):
    # As for `scgraph.bench`: the package and the function share a name.
    def __call__(self, *args: Any, **kwargs: Any) -> PerturbResult:
        return run_perturb(*args, **kwargs)


_CallableModule.__call__.__doc__ = run_perturb.__doc__
sys.modules[__name__].__class__ = _CallableModule
