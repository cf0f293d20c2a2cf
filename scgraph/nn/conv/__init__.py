"""The convolutions of the zoo, one a file: a file put here is one of them, with no other edit.

`scgraph.nn` imports every file when it is imported itself. The classes they register are names of this package too:
``from scgraph.nn.conv import GNNConv``.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from scgraph.nn.conv.base import GeneConv

__all__ = ["GeneConv"]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # the classes that `import_files` finds


def import_files() -> None:
    """Import every file of this folder, so that each registers its convolution."""
    for file in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{file.name}")
        for name, value in vars(module).items():
            if getattr(value, "key", "") and getattr(value, "__module__", "") == module.__name__:
                globals()[name] = value
                __all__.append(name)
