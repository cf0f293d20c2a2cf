"""A model from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph.nn.asymmetric import AsymmetricModel
from scgraph.nn.model import GeneModel

if TYPE_CHECKING:
    from scgraph.nn.cell_model import CellModel
    from scgraph.nn.conv.base import GeneConv

__all__ = [
    "build_model",
]


def build_model(vocabulary_size: int, *, decoder: str | type[GeneConv] | None = None, **options: Any) -> CellModel:
    """Build the model that the keyword arguments describe: asymmetric where they name a decoder."""
    if decoder is None:
        return GeneModel(vocabulary_size, **options)
    return AsymmetricModel(vocabulary_size, decoder=decoder, **options)
