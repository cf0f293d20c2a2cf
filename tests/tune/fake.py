"""Objectives that take the place of training: the machinery of a study is what is tested with them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.tune.objective import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from scgraph.tune.plan import SearchPlan


class Fake:
    """A score that depends on the settings alone.

    Options: ``seconds`` a trial takes; ``reading``: seconds before the first one; ``kills``: a folder with one file for
    every worker to kill, which is removed by the one that dies; ``fail``: how every trial of a model fails: "nan",
    "memory" or "error".
    """

    def __init__(self, job: SearchPlan) -> None:
        self.options: dict[str, Any] = job.options
        self.several = job.tune.objective.endswith("-cost")
        time.sleep(self.options.get("reading", 0.0))

    def __call__(self, model: str, values: dict[str, Any], report: Callable[[float, int], None]) -> Outcome:
        rate = values["train.learning_rate"]
        time.sleep(self.options.get("seconds", 0.0))
        kills = Path(self.options.get("kills", "none"))
        for file in sorted(kills.glob("*")) if kills.is_dir() else []:
            try:
                file.unlink()
            except FileNotFoundError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        fail = self.options.get("fail", {}).get(model)
        if fail == "memory":
            raise MemoryError
        if fail == "error":
            raise IndexError("the layer is at fault")
        value = float("nan") if fail == "nan" else 1.0 - abs(rate - 0.01)
        for epoch in range(3):
            report(1.0 - value, epoch)
        return Outcome((value, rate) if self.several else (value,), {"seconds": 0.0})
