"""Labels for cells that have none, from labelled cells: the best of several classifiers, with calibrated probabilities.

The package is also the function that users call: ``scgraph.annotate(adata, "reference.h5ad", label="cell_type")``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from scgraph.annotate.config import AnnotateConfig
from scgraph.annotate.run import annotate_file, run_annotate
from scgraph.annotate.saved import load_classifier

__all__ = ["AnnotateConfig", "annotate_file", "load_classifier", "run_annotate"]


class _CallableModule(ModuleType):
    # As for `scgraph.bench`: the package and the function share a name.
    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return run_annotate(*args, **kwargs)


_CallableModule.__call__.__doc__ = run_annotate.__doc__
sys.modules[__name__].__class__ = _CallableModule
