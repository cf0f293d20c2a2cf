"""scgraph: graph neural networks in place of Transformers for single-cell transcriptomics.

The public functions are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from scgraph._version import __version__

if TYPE_CHECKING:
    from scgraph.api import bench, embed, gene_embeddings, gene_graph, load_model, perturb, prepare, pretrain

__all__ = [
    "__version__",
    "bench",
    "embed",
    "gene_embeddings",
    "gene_graph",
    "load_model",
    "perturb",
    "prepare",
    "pretrain",
]

_LAZY = ("bench", "embed", "gene_embeddings", "gene_graph", "load_model", "perturb", "prepare", "pretrain")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module("scgraph.api"), name)
    raise AttributeError(f"module 'scgraph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
