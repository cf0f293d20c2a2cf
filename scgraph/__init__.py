"""scgraph: graph neural networks in place of Transformers for single-cell transcriptomics.

The public functions are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgraph._version import __version__
from scgraph.lazy import lazy_names

if TYPE_CHECKING:
    from scgraph import pl, tl
    from scgraph.api import (
        annotate,
        bench,
        denoise,
        embed,
        gene_embeddings,
        gene_graph,
        load_model,
        perturb,
        prepare,
        pretrain,
        push,
    )
    from scgraph.estimator import CellEmbedder

__all__ = [
    "CellEmbedder",
    "__version__",
    "annotate",
    "bench",
    "denoise",
    "embed",
    "gene_embeddings",
    "gene_graph",
    "load_model",
    "perturb",
    "pl",
    "prepare",
    "pretrain",
    "push",
    "tl",
]

_SUBMODULES = ("pl", "tl")
_ELSEWHERE = {"CellEmbedder": "scgraph.estimator"}

__getattr__, __dir__ = lazy_names(
    __name__,
    {name: _ELSEWHERE.get(name, "scgraph.api") for name in __all__ if name not in ("__version__", *_SUBMODULES)},
    submodules=_SUBMODULES,
    eager=("__version__",),
)
