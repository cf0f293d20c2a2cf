"""What a model costs: parameters, multiply-adds, memory, and its speed on this machine.

The public functions are loaded when first used: the command line reads the sizes of a profile, and waits for no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgraph.lazy import lazy_names

if TYPE_CHECKING:
    from scgraph.costs.loading import loading_rate
    from scgraph.costs.machine import matmul_peak, saved_bytes
    from scgraph.costs.profiling import Costs, profile, saving

__all__ = ["Costs", "loading_rate", "matmul_peak", "profile", "saved_bytes", "saving"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Costs": "scgraph.costs.profiling",
        "loading_rate": "scgraph.costs.loading",
        "matmul_peak": "scgraph.costs.machine",
        "profile": "scgraph.costs.profiling",
        "saved_bytes": "scgraph.costs.machine",
        "saving": "scgraph.costs.profiling",
    },
)
