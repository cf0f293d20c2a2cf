"""Tools on an AnnData object, under the name that scanpy gives them: ``scgraph.tl.embed(adata, model)``.

They are the functions of `scgraph` that write into the object.
"""

from __future__ import annotations

from scgraph.api import annotate, denoise, embed

__all__ = ["annotate", "denoise", "embed"]
