"""Figures of a study: Optuna's own, drawn with matplotlib, as pictures for a page."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.reporting.drawing import data_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure
    from optuna import Study
    from optuna.trial import FrozenTrial

__all__ = ["Picture", "study_pictures"]

LEAST_TRIALS = 4
"""Complete trials below which importances say nothing."""


@dataclass(frozen=True)
class Picture:
    """A figure of a page: name for links, title, what it shows, and the picture as a `data:` address."""

    id: str
    title: str
    caption: str
    picture: str


def study_pictures(study: Study, names: tuple[str, ...]) -> list[Picture]:
    """Draw history, pruning, importances, slices, parallel coordinates, and the Pareto front of two objectives.

    What needs more complete trials than there are is left out.

    Args:
        study: as loaded.
        names: what its values are called.
    """
    import optuna.visualization.matplotlib as draw

    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    if not finished:
        return []

    def value(number: int) -> Callable[[FrozenTrial], float]:
        return lambda trial: trial.values[number]

    several = len(names) > 1
    settings = sorted(finished[0].params)
    pictures: list[Picture] = []
    if several:
        caption = "Every complete trial; red: none is better in both."
        pictures.append(
            _picture("pareto", "Pareto front", caption, draw.plot_pareto_front, study, target_names=[*names])
        )
    for number, name in enumerate(names):
        target: dict[str, Any] = {"target_name": name}
        if several:
            target["target"] = value(number)
        tail, words = ("", "") if not several else (f"-{number}", f", {name}")
        pictures.append(
            _picture(
                f"history{tail}",
                f"History{words}",
                f"The {name} of every complete trial, in the order in which they began"
                + (", and the best so far." if not several else "."),
                draw.plot_optimization_history,
                study,
                **target,
            )
        )
        if len(finished) >= LEAST_TRIALS:
            from optuna.importance import FanovaImportanceEvaluator

            pictures += _if_possible(
                f"importance{tail}",
                f"Importances{words}",
                f"Share of the variance of the {name} over the space that a setting explains (fANOVA).",
                draw.plot_param_importances,
                study,
                evaluator=FanovaImportanceEvaluator(seed=0),
                **target,
            )
        caption = f"The {name} against each setting; darker trials came later."
        pictures += _if_possible(
            f"slice{tail}", f"Slices{words}", caption, draw.plot_slice, study, finish=_slices, **target
        )
        caption = f"A line a trial: its settings from left to right, coloured by its {name}."
        pictures += _if_possible(
            f"parallel{tail}",
            f"Parallel coordinates{words}",
            caption,
            draw.plot_parallel_coordinate,
            study,
            finish=_lines([name, *settings]),
            **target,
        )
    if not several:
        caption = "What was reported after every epoch on the first set; lines that end early were given up."
        pictures += _if_possible(
            "pruning", "Validation loss over epochs", caption, draw.plot_intermediate_values, study, finish=_curves
        )
    return pictures


def _if_possible(
    name: str, title: str, caption: str, draw: Callable[..., Any], *args: Any, **more: Any
) -> list[Picture]:
    # With one value of every setting, or all trials alike, there is nothing to draw; Optuna says so by an exception.
    try:
        return [_picture(name, title, caption, draw, *args, **more)]
    except (ValueError, RuntimeError, ZeroDivisionError):
        return []


def _plain(figure: Figure) -> None:
    figure.set_size_inches(9.6, 4.2)
    figure.set_layout_engine("constrained")


def _slices(figure: Figure) -> None:
    """Shorten what stands below narrow panels."""
    from matplotlib.ticker import NullFormatter

    _plain(figure)
    for axis in figure.axes:
        axis.set_xlabel(axis.get_xlabel().rsplit(".", 1)[-1])
        if axis.get_xscale() == "log":
            axis.xaxis.set_minor_formatter(NullFormatter())


def _lines(names: list[str]) -> Callable[[Figure], None]:
    """Make room below for whole names: Optuna cuts them, and places these axes by hand, so they cannot be laid out."""

    def finish(figure: Figure) -> None:
        figure.set_layout_engine("none")
        figure.set_size_inches(11.5, 5.2)
        figure.subplots_adjust(left=0.11, right=0.97, bottom=0.24, top=0.96)
        axis = figure.axes[0]
        if len(axis.get_xticks()) == len(names):
            axis.set_xticks(axis.get_xticks(), [name.rsplit(".", 1)[-1] for name in names], rotation=25, ha="right")

    return finish


def _curves(figure: Figure) -> None:
    """Leave the legend of all trials out, and show losses as losses where they were reported with a minus."""
    _plain(figure)
    axis = figure.axes[0]
    legend = axis.get_legend()
    if legend is not None:
        legend.remove()
    for line in axis.get_lines():
        line.set_ydata(np.abs(np.asarray(line.get_ydata(), dtype=float)))
        line.set_alpha(0.6)
    axis.relim()
    axis.autoscale_view()
    axis.set_xlabel("epoch")
    axis.set_ylabel("validation loss")


def _picture(
    name: str,
    title: str,
    caption: str,
    draw: Callable[..., Any],
    *args: Any,
    finish: Callable[[Figure], None] = _plain,
    **more: Any,
) -> Picture:
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    before = set(plt.get_fignums())
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plt.switch_backend("agg")
        try:
            drawn = draw(*args, **more)
            axes = list(np.atleast_1d(np.asarray(drawn, dtype=object)).ravel())
            figure = axes[0].figure
            for axis in figure.axes:
                for side in ("left", "center", "right"):
                    axis.set_title("", loc=side)
            figure.suptitle("")
            finish(figure)
            return Picture(name, title, caption, data_uri(figure))
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
