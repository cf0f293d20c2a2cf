"""Figures of a perturbation run: scores with intervals, predicted against measured changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.perturb.scores import ALL
from scgraph.perturb.tables import metric_names
from scgraph.reporting.drawing import (
    BASELINE_GRAY,
    FAINT,
    INK,
    SOFT,
    bar_panel,
    model_colors,
    model_label,
    new_figure,
    open_axis,
    plain,
)
from scgraph.reporting.wording import records

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["changes", "scores"]

MOST_PANELS = 6
MOST_POINTS = 3000


def scores(summary: pd.DataFrame, *, baselines: Collection[str], top: int) -> Figure:
    """Bars of the metrics over all test perturbations, with 95 % intervals over perturbations.

    Args:
        summary: of `scgraph.perturb.scores.summarise`.
        baselines: drawn in gray.
        top: number of the most changed genes.
    """
    rows = records(summary[summary["group"] == ALL])
    titles = {metric: metric_names(top)[metric] for metric in ("pearson_top", "pearson", "mse")}
    names = [str(row["model"]) for row in rows]
    shades = model_colors(name for name in names if name not in baselines)
    colors = [BASELINE_GRAY if name in baselines else shades[name] for name in names]
    figure = new_figure(9.6, 0.9 + 0.36 * len(rows))
    axes = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    places = np.arange(len(rows))
    for axis, (metric, title) in zip(axes, titles.items(), strict=True):
        mean, low, high = (np.asarray([row[f"{metric}_{part}"] for row in rows]) for part in ("mean", "low", "high"))
        bar_panel(axis, title, mean, colors, [name.endswith(" untrained") for name in names])
        drawn = np.isfinite(low)
        ends = np.stack([mean - low, high - mean])[:, drawn]
        axis.errorbar(mean[drawn], places[drawn], xerr=ends, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
    axes[0].set_yticks(places, [model_label(name) for name in names])
    axes[0].invert_yaxis()
    return figure


def changes(
    predicted: NDArray[np.float32],
    measured: NDArray[np.float32],
    names: Sequence[str],
    targets: NDArray[np.bool_],
    *,
    model: str,
) -> Figure:
    """Predicted against measured change of every gene, a panel a perturbation: those whose change is the largest.

    Args:
        predicted: `[P, G]`.
        measured: `[P, G]`.
        names: of the perturbations.
        targets: the perturbed genes, drawn as crosses, `[P, G]`.
        model: what predicted.
    """
    size = np.square(measured).sum(axis=1)
    shown = np.argsort(-size, kind="stable")[:MOST_PANELS]
    color = model_colors([model])[model]
    across = min(3, len(shown))
    down = -(-len(shown) // across)
    figure = new_figure(3.2 * across, 3.0 * down)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    for axis, at in zip(axes, shown, strict=False):
        truth, guess, own = measured[at], predicted[at], targets[at]
        # Of many genes the most changed are drawn; the others lie on each other near zero.
        drawn = np.argsort(-np.abs(truth), kind="stable")[:MOST_POINTS]
        drawn = drawn[~own[drawn]]
        axis.axhline(0, color=FAINT, linewidth=0.8)
        axis.axvline(0, color=FAINT, linewidth=0.8)
        ends = [float(min(truth.min(), guess.min())), float(max(truth.max(), guess.max()))]
        axis.plot(ends, ends, color=SOFT, linewidth=0.8, linestyle="--")
        axis.plot(truth[drawn], guess[drawn], linestyle="none", marker=".", markersize=4, color=color, alpha=0.6)
        axis.plot(truth[own], guess[own], linestyle="none", marker="x", markersize=6, color=INK)
        axis.set_title(plain(names[at]), loc="left", fontsize=9.5)
        open_axis(axis)
    figure.supxlabel("measured change", fontsize=9.5)
    figure.supylabel(f"predicted by {model_label(model)}", fontsize=9.5)
    return figure
