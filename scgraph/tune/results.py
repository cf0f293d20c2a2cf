"""What a search found: a table of trials, the best settings as files, the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scgraph.config_files import yaml_text
from scgraph.display import short_repr
from scgraph.files import file_name
from scgraph.reporting.tables import quantity
from scgraph.tune.config import DIRECTIONS, Objective
from scgraph.tune.slots import REASON, SLOT, Board, is_lost
from scgraph.tune.space import with_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from optuna.trial import FrozenTrial

    from scgraph.config import BenchConfig
    from scgraph.tune.plan import SearchPlan

__all__ = [
    "BestTrial",
    "StudyResults",
    "best_settings",
    "best_trials",
    "format_values",
    "trials_table",
]

NAMES = {
    "loss": ("validation loss",),
    "probe": ("validation macro-F1",),
    "loss-cost": ("validation loss", "multiply-adds"),
    "probe-cost": ("validation macro-F1", "multiply-adds"),
}
"""What the values of a trial are called."""

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
ATTRIBUTES = ("epochs", "seconds", "validation_loss", "validation_macro_f1", "multiply_adds", "per_set")


@short_repr
@dataclass(frozen=True)
class BestTrial:
    """A trial that no other of its study beats.

    Attributes:
        model: name of the model.
        number: of the trial.
        values: one an objective.
        settings: dotted names of settings to values.
    """

    model: str
    number: int
    values: tuple[float, ...]
    settings: dict[str, Any]


@dataclass(frozen=True)
class StudyResults:
    """All trials, and by model the best ones: the first is the best by the first objective."""

    trials: pd.DataFrame
    best: dict[str, tuple[BestTrial, ...]]


def trials_table(job: SearchPlan, boards: dict[str, Board]) -> pd.DataFrame:
    """Return one row a trial, those included that were lost with their worker and run again (`lost`)."""
    import pandas as pd

    rows = []
    for model, board in boards.items():
        for trial in board.trials():
            attributes = trial.user_attrs
            row: dict[str, Any] = {
                "model": model,
                "trial": trial.number,
                "slot": attributes.get(SLOT),
                "state": STATES[trial.state.name],
                "lost": is_lost(trial),
                "reason": attributes.get(REASON),
            }
            values = trial.values if trial.state.name == "COMPLETE" else None
            for number, name in enumerate(NAMES[job.tune.objective]):
                row[name] = None if values is None else values[number]
            row |= {path: trial.params.get(path) for path in job.space(model)}
            row |= {name: attributes.get(name) for name in ATTRIBUTES if name in attributes}
            rows.append(row)
    return pd.DataFrame(rows)


def best_trials(model: str, trials: Sequence[FrozenTrial], objective: Objective) -> tuple[BestTrial, ...]:
    """Return the complete trials that no other beats in every objective, the best by the first objective first."""
    signs = [-1.0 if direction == "maximize" else 1.0 for direction in DIRECTIONS[objective]]
    scored = sorted(
        (tuple(sign * value for sign, value in zip(signs, trial.values or (), strict=True)), trial.number, trial)
        for trial in trials
        if trial.state.name == "COMPLETE"
    )
    front: list[BestTrial] = []
    least: float | None = None
    for losses, number, trial in scored:
        # In this order a trial is beaten unless its last objective is below that of all before.
        if least is None or (len(losses) > 1 and losses[-1] < least):
            least = losses[-1]
            values = tuple(sign * loss for sign, loss in zip(signs, losses, strict=True))
            front.append(BestTrial(model, number, values, dict(trial.params)))
    return tuple(front)


def best_settings(job: SearchPlan, best: dict[str, tuple[BestTrial, ...]]) -> BenchConfig:
    """Return the settings the search started from with the best of each model laid over them, for that model alone."""
    settings = job.bench
    for model, trials in best.items():
        if trials:
            settings = with_values(model, trials[0].settings, settings)
    return settings


def best_files(job: SearchPlan, best: dict[str, tuple[BestTrial, ...]]) -> dict[str, str]:
    """Return name and text of the files that `scgraph bench --config` takes: one of all models, and one a model.

    With two objectives there is one more for every further trial of the Pareto front.
    """

    def text(settings: BenchConfig, comment: str) -> str:
        plain = yaml_text(settings)
        use = "For scgraph bench --config. split_seed keeps the test part that no trial has seen."
        return f"# {comment}\n# {use}\n{plain}"

    files = {}
    completed = [trials for trials in best.values() if trials]
    if completed:
        names = ", ".join(trials[0].model for trials in completed)
        files["best.yaml"] = text(best_settings(job, best), f"Best settings of {names}, study {job.study}.")
    for model, trials in best.items():
        for place, one in enumerate(trials):
            name = f"best-{file_name(model)}" + (f"-{place + 1}" if place else "")
            origin = (
                f"{model}, trial {one.number} of study {job.study}: {format_values(job.tune.objective, one.values)}."
            )
            files[f"{name}.yaml"] = text(with_values(model, one.settings, job.bench), origin)
    return files


def format_values(objective: Objective, values: Sequence[float]) -> str:
    """Return the values of a trial in words."""
    words = [f"{NAMES[objective][0]} {values[0]:.4f}"]
    words += [f"{quantity(value)} multiply-adds" for value in values[1:]]
    return ", ".join(words)
