"""What a model costs: parameters, multiply-adds, memory, and its speed on this machine.

The public functions are loaded when first used: the command line reads the sizes of a profile, and waits for no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scgraph.costs.loading import loading_rate
    from scgraph.costs.machine import matmul_peak, saved_bytes
    from scgraph.costs.profiling import Costs, profile, saving

__all__ = ["Costs", "loading_rate", "matmul_peak", "profile", "saved_bytes", "saving"]

_MODULES = {
    "Costs": "profiling",
    "loading_rate": "loading",
    "matmul_peak": "machine",
    "profile": "profiling",
    "saved_bytes": "machine",
    "saving": "profiling",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"scgraph.costs.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'scgraph.costs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
