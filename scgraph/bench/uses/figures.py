"""Curves over the number of labels, and over the depth of the cells that are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.reporting.drawing import FAINT, MARKERS, model_colors, model_label, new_figure, open_axis
from scgraph.reporting.rows import BASELINES, UNTRAINED, model_order

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["use_curves"]

PANELS = {
    "few": ("few labels", "labels a class"),
    "shallow": ("shallow cells", "counts of a test cell that are kept"),
}
WHOLE = {"few": "all", "shallow": "100 %"}
"""Name of the point that the use `labels` adds to a curve: all labels, whole cells."""


def use_curves(summary: pd.DataFrame) -> Figure | None:
    """Draw macro-F1 over the labels of a class and over the depth of the test cells, one line a model.

    Args:
        summary: rows of `scgraph.bench.uses.summary.summarise_uses` of one set.

    Returns:
        None where neither use was asked.
    """
    from matplotlib.lines import Line2D

    panels = {use: texts for use, texts in PANELS.items() if (summary["use"] == use).any()}
    if not panels:
        return None
    models = model_order(summary["model"])
    styles = _styles(models)
    figure = new_figure(9.6, max(3.6, 0.6 + 0.24 * len(models)))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (use, (title, label)) in zip(axes, panels.items(), strict=True):
        _curve(axis, summary, use, styles)
        axis.set_title(title, loc="left", fontsize=10.5)
        axis.set_xlabel(label)
        axis.grid(axis="y", color=FAINT, linewidth=0.7)
        open_axis(axis)
    axes[0].set_ylabel("macro-F1")
    lines = [Line2D([], [], markersize=5, **styles[name]) for name in models]
    figure.legend(lines, [model_label(name) for name in models], loc="outside right center", frameon=False)
    return figure


def _curve(axis: Axes, summary: pd.DataFrame, use: str, styles: dict[str, dict[str, Any]]) -> None:
    rows = summary[(summary["use"] == use) & (summary["metric"] == "macro_f1")]
    levels = sorted(set(rows["level"]), key=float)
    names = [f"{float(level):.0%}".replace("%", " %") if use == "shallow" else level for level in levels]
    whole = summary[summary["use"] == "labels"]
    if len(whole):
        levels, names = [*levels, ""], [*names, WHOLE[use]]
    for place, (model, style) in enumerate(styles.items()):
        own = rows[rows["model"] == model].set_index("level")
        last = whole[whole["model"] == model].set_index("level")
        found = [(own if level else last).reindex([level]).iloc[0] for level in levels]
        mean = np.array([row["value_mean"] for row in found], dtype=float)
        sd = np.nan_to_num(np.array([row["value_sd"] for row in found], dtype=float))
        # A little apart, so that whiskers of several rows can be told from one another.
        at = np.arange(len(levels)) + 0.03 * (place - (len(styles) - 1) / 2)
        axis.errorbar(at, mean, yerr=sd if sd.any() else None, markersize=5, elinewidth=0.9, capsize=2, **style)
    axis.set_xticks(range(len(levels)), names)


def _styles(models: list[str]) -> dict[str, dict[str, Any]]:
    """Colour, line and marker of every model: baselines differ by markers, an untrained row is dashed and open."""
    shades = model_colors(models)
    bases = list(dict.fromkeys(name.removesuffix(UNTRAINED) for name in models))
    baselines = [name for name in bases if name in BASELINES]
    others = [name for name in bases if name not in BASELINES]
    styles: dict[str, dict[str, Any]] = {}
    for name in models:
        base = name.removesuffix(UNTRAINED)
        place = (baselines if base in baselines else others).index(base)
        untrained = name.endswith(UNTRAINED)
        styles[name] = {
            "color": shades[name],
            "marker": MARKERS[place % len(MARKERS)],
            "linestyle": "--" if untrained else "-",
            "markerfacecolor": "white" if untrained else shades[name],
        }
    return styles
