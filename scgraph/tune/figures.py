"""Figures of a study, in the style of the bench: trials in their order, what settings are worth, the Pareto front.

Importances are Optuna's. Its own drawings are not used: they come in a style of their own, and cut long names off.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.reporting.drawing import FAINT, INK, data_uri, new_figure, open_axis, plain
from scgraph.reporting.tables import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from optuna import Study
    from optuna.trial import FrozenTrial

__all__ = ["Picture", "study_pictures"]

LEAST_TRIALS = 4
"""Complete trials below which importances say nothing."""
BEST = "#bd1f01"
COLOR = "#3f90da"
_A_LINE = 4
_LABEL = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}
_MOST_INTEGERS = 6
_WIDTH = 9.6


@dataclass(frozen=True)
class Picture:
    """A figure of a page: name for links, title, what it shows, and the picture as a `data:` address."""

    id: str
    title: str
    caption: str
    picture: str


def study_pictures(study: Study, names: tuple[str, ...], *, color: str = COLOR) -> list[Picture]:
    """Draw history, importances, slices, parallel coordinates, pruning, and the Pareto front of two objectives.

    What needs more complete trials than there are is left out.

    Args:
        study: as loaded.
        names: what its values are called.
        color: of its model.
    """
    trials = study.get_trials(deepcopy=False)
    finished = [trial for trial in trials if trial.state.name == "COMPLETE"]
    if not finished:
        return []
    several = len(names) > 1
    pictures: list[Picture] = []
    if several:
        caption = "Every complete trial; red: none is better in both."
        pictures.append(_picture("pareto", "Pareto front", caption, _pareto(study, finished, names, color)))
    for number, name in enumerate(names):
        values = np.asarray([trial.values[number] for trial in finished])
        tail, words = ("", "") if not several else (f"-{number}", f", {name}")
        upwards = study.directions[number].name == "MAXIMIZE"
        caption = f"The {name} of every complete trial, in the order in which they began" + (
            "." if several else "; the line: the best so far."
        )
        drawn = _history(finished, values, name, color, upwards=None if several else upwards)
        pictures.append(_picture(f"history{tail}", f"History{words}", caption, drawn))
        importances = _importances(study, number) if len(finished) >= LEAST_TRIALS else {}
        if importances:
            caption = f"Share of the variance of the {name} over the space that a setting explains (fANOVA)."
            pictures.append(_picture(f"importance{tail}", f"Importances{words}", caption, _bars(importances, color)))
        settings = _varied(finished)
        if settings:
            caption = f"The {name} against each setting; darker trials came later."
            drawn = _slices(finished, settings, values, name, color)
            pictures.append(_picture(f"slice{tail}", f"Slices{words}", caption, drawn))
            caption = (
                f"A line a trial: its settings from left to right, the darker the better its {name}; red: the best."
            )
            drawn = _parallel(finished, settings, values if upwards else -values, color)
            pictures.append(_picture(f"parallel{tail}", f"Parallel coordinates{words}", caption, drawn))
    curves = [] if several else [trial for trial in trials if trial.intermediate_values]
    if curves:
        caption = "What was reported after every epoch on the first set; dashed: given up before the end."
        pictures.append(_picture("pruning", "Validation loss over epochs", caption, _curves(curves, color)))
    return pictures


def _picture(name: str, title: str, caption: str, figure: Figure) -> Picture:
    return Picture(name, title, caption, data_uri(figure))


def _importances(study: Study, number: int) -> dict[str, float]:
    """Return what each setting explains; none where all trials are alike, which Optuna says by an exception."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    target = None if len(study.directions) == 1 else lambda trial: float(trial.values[number])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dict(get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), target=target))
    except (ValueError, RuntimeError, ZeroDivisionError):
        return {}


def _varied(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return the settings of which there are two values."""
    paths = dict.fromkeys(path for trial in trials for path in trial.params)
    return [path for path in sorted(paths) if len({str(trial.params.get(path)) for trial in trials}) > 1]


def _name_values(axis: Axes, name: str, *, of: str = "y") -> None:
    """Write a large number, as multiply-adds, with its unit."""
    from matplotlib.ticker import FuncFormatter

    getattr(axis, f"set_{of}label")(name)
    low, high = getattr(axis, f"get_{of}lim")()
    if max(abs(low), abs(high)) >= 1e4:
        getattr(axis, f"{of}axis").set_major_formatter(FuncFormatter(lambda value, _: quantity(value)))


def _history(
    trials: Sequence[FrozenTrial], values: NDArray[np.float64], name: str, color: str, *, upwards: bool | None
) -> Figure:
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(_WIDTH, 3.4)
    axis = figure.subplots()
    numbers = [trial.number for trial in trials]
    axis.scatter(numbers, values, s=26, color=color, zorder=3)
    if upwards is not None:
        best = (np.maximum if upwards else np.minimum).accumulate(values)
        axis.plot(numbers, best, color=INK, linewidth=1.2, drawstyle="steps-post")
    axis.grid(axis="y", color=FAINT, linewidth=0.8)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("trial")
    _name_values(axis, name)
    open_axis(axis)
    return figure


def _bars(importances: Mapping[str, float], color: str) -> Figure:
    figure = new_figure(_WIDTH, 0.6 + 0.34 * len(importances))
    axis = figure.subplots()
    names, shares = [plain(path) for path in importances], list(importances.values())
    axis.barh(names, shares, color=color, height=0.62)
    for place, share in enumerate(shares):
        axis.annotate(
            f"{share:.2f}", (share, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9
        )
    axis.invert_yaxis()
    axis.set_xlim(0, max(1.0, *shares) * 1.05)
    axis.set_xlabel("share of the variance")
    axis.tick_params(axis="y", length=0)
    open_axis(axis)
    return figure


def _positions(trials: Sequence[FrozenTrial], path: str) -> tuple[NDArray[np.float64], list[float], list[str]]:
    """Return where the values of a setting stand on an axis, and the places and names of its ticks.

    Numbers of a range stand where they are, on a logarithmic range as logarithms to the base 10; choices one after the
    other. A trial that has no such setting is NaN.
    """
    kind: Any = next(trial.distributions[path] for trial in trials if path in trial.distributions)
    given = [trial.params.get(path) for trial in trials]
    choices = getattr(kind, "choices", None)
    if choices is not None:
        found = [math.nan if value is None and None not in choices else float(choices.index(value)) for value in given]
        return np.asarray(found), [float(at) for at in range(len(choices))], [plain(value) for value in choices]
    numbers = np.asarray([math.nan if value is None else float(value) for value in given])
    ends = np.asarray([kind.low, kind.high], dtype=float)
    if kind.log:
        return np.log10(numbers), np.log10(ends).tolist(), [f"{end:.3g}" for end in ends]
    if isinstance(kind.low, int) and kind.high - kind.low <= _MOST_INTEGERS:
        ends = np.arange(kind.low, kind.high + 1, dtype=float)
    return numbers, ends.tolist(), [f"{end:.4g}" for end in ends]


def _shades(color: str, order: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return colours from a light one to a dark one, by rank."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    light, dark = (tuple(end + (part - end) * share for part in to_rgb(color)) for end, share in ((1, 0.35), (0, 0.6)))
    ranks = np.argsort(np.argsort(order)) / max(1, len(order) - 1)
    return np.asarray(LinearSegmentedColormap.from_list("model", [light, to_rgb(color), dark])(ranks))


def _slices(
    trials: Sequence[FrozenTrial], settings: Sequence[str], values: NDArray[np.float64], name: str, color: str
) -> Figure:
    lines = math.ceil(len(settings) / _A_LINE)
    figure = new_figure(_WIDTH, 0.4 + 2.3 * lines)
    axes = np.atleast_2d(figure.subplots(lines, _A_LINE, sharey=True, squeeze=False))
    shades = _shades(color, np.asarray([trial.number for trial in trials], dtype=float))
    for axis, path in zip(axes.ravel(), settings, strict=False):
        x, places, words = _positions(trials, path)
        axis.scatter(x, values, s=18, c=shades, zorder=3)
        axis.set_xticks(places, words, fontsize=8)
        room = 0.12 * ((max(places) - min(places)) or 1)
        axis.set_xlim(min(places) - room, max(places) + room)
        axis.set_xlabel(plain(path.rsplit(".", 1)[-1]))
        axis.grid(axis="y", color=FAINT, linewidth=0.8)
        open_axis(axis)
    for axis in axes.ravel()[len(settings) :]:
        axis.remove()
    for axis in axes[:, 0]:
        _name_values(axis, name)
    return figure


def _parallel(
    trials: Sequence[FrozenTrial], settings: Sequence[str], goodness: NDArray[np.float64], color: str
) -> Figure:
    figure = new_figure(_WIDTH, 4.0)
    axis = figure.subplots()
    heights = []
    for at, path in enumerate(settings):
        found, places, words = _positions(trials, path)
        low, high = min(places), max(places)
        span = (high - low) or 1.0
        heights.append((found - low) / span)
        axis.axvline(at, color=FAINT, linewidth=1, zorder=1)
        for place, word in zip(places, words, strict=True):
            axis.annotate(
                word, (at, (place - low) / span), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=7.5, color=INK, zorder=5, bbox=_LABEL,
            )  # fmt: skip
    lines, shades = np.stack(heights, axis=1), _shades(color, goodness)
    for at in np.argsort(goodness):
        axis.plot(range(len(settings)), lines[at], color=shades[at], linewidth=1.1, alpha=0.8, zorder=2)
    axis.plot(range(len(settings)), lines[int(np.argmax(goodness))], color=BEST, linewidth=1.8, zorder=4)
    axis.set_xticks(
        range(len(settings)), [plain(path.rsplit(".", 1)[-1]) for path in settings], rotation=20, ha="right"
    )
    axis.set_xlim(-0.15, len(settings) - 1 + 0.45)
    axis.set_yticks([])
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)
    axis.tick_params(length=0, labelcolor=INK)
    return figure


def _curves(trials: Sequence[FrozenTrial], color: str) -> Figure:
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(_WIDTH, 3.6)
    axis = figure.subplots()
    shades = _shades(color, np.asarray([trial.number for trial in trials], dtype=float))
    for trial, shade in zip(trials, shades, strict=True):
        epochs = sorted(trial.intermediate_values)
        # Reported with a minus where the objective is to grow.
        losses = np.abs([trial.intermediate_values[epoch] for epoch in epochs])
        style: dict[str, Any] = (
            {"linestyle": (0, (2, 2)), "marker": "x", "markevery": [-1]} if trial.state.name == "PRUNED" else {}
        )
        axis.plot(epochs, losses, color=shade, linewidth=1.2, markersize=5, **style)
    axis.grid(axis="y", color=FAINT, linewidth=0.8)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.set_ylabel("validation loss")
    open_axis(axis)
    return figure


def _pareto(study: Study, trials: Sequence[FrozenTrial], names: tuple[str, ...], color: str) -> Figure:
    figure = new_figure(_WIDTH, 4.0)
    axis = figure.subplots()
    best = {trial.number for trial in study.best_trials}
    points = np.asarray([trial.values[:2] for trial in trials])
    front = np.asarray([trial.number in best for trial in trials])
    axis.scatter(points[~front, 0], points[~front, 1], s=26, color=color, zorder=3)
    axis.scatter(points[front, 0], points[front, 1], s=34, color=BEST, zorder=4)
    ordered = points[front][np.argsort(points[front][:, 0])]
    axis.plot(ordered[:, 0], ordered[:, 1], color=BEST, linewidth=1, zorder=2)
    axis.grid(color=FAINT, linewidth=0.8)
    for name, of in zip(names, "xy", strict=False):
        _name_values(axis, name, of=of)
    open_axis(axis)
    return figure
