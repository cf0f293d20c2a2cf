"""The figure of a run on drug combinations: scores of all methods, those of wrong lines hatched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.drugs.scores import METRICS, WRONG
from scgraph.drugs.tables import METRIC_NAMES
from scgraph.reporting.drawing import (
    BASELINE_GRAY,
    INK,
    bar_panel,
    model_colors,
    model_label,
    new_figure,
)
from scgraph.reporting.wording import records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["scores"]

SHOWN = tuple(metric for metric in METRICS if metric != "auprc")


def scores(summary: pd.DataFrame) -> Figure:
    """Bars of the scores with 95 % intervals over folds, a panel a score.

    Args:
        summary: of `scgraph.drugs.scores.summarise`.
    """
    rows = records(summary)
    names = [str(row["model"]) for row in rows]
    shades = model_colors(str(row["model"]).removesuffix(WRONG) for row in rows if not row["is_baseline"])
    colors = [
        BASELINE_GRAY if row["is_baseline"] else shades[name.removesuffix(WRONG)]
        for name, row in zip(names, rows, strict=True)
    ]
    figure = new_figure(9.6, 0.9 + 0.36 * len(rows))
    axes = figure.subplots(1, len(SHOWN), sharey=True, squeeze=False)[0]
    places = np.arange(len(rows))
    for axis, metric in zip(axes, SHOWN, strict=True):
        mean, low, high = (
            np.asarray([row[f"{metric}_{end}"] for row in rows], dtype=float) for end in ("mean", "low", "high")
        )
        bar_panel(axis, METRIC_NAMES[metric], mean, colors, [name.endswith(WRONG) for name in names])
        drawn = np.isfinite(low)
        ends = np.stack([mean - low, high - mean])[:, drawn]
        axis.errorbar(mean[drawn], places[drawn], xerr=ends, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
        if metric == "auroc":
            axis.set_xlim(left=0.4)  # 0.5 is chance
    axes[0].set_yticks(places, [model_label(name) for name in names])
    axes[0].invert_yaxis()
    return figure
