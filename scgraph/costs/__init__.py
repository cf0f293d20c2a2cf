"""What a model costs: parameters, multiply-adds, memory, and its speed on this machine."""

from __future__ import annotations

from scgraph.costs.loading import loading_rate
from scgraph.costs.machine import matmul_peak, saved_bytes
from scgraph.costs.profiling import Costs, profile, saving

__all__ = ["Costs", "loading_rate", "matmul_peak", "profile", "saved_bytes", "saving"]
