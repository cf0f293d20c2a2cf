"""Searching the best settings of each model: the same budget for all, the test part unseen until the end.

`run_tune` imports Optuna when it is called; nothing else here does.
"""

from __future__ import annotations

from scgraph.tune.run import TuneResult, run_tune

__all__ = ["TuneResult", "run_tune"]
