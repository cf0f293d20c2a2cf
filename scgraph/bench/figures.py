"""Figures of a bench: scores, losses, features in two dimensions, confusions, costs.

Every function returns a `matplotlib.figure.Figure` of its own; no global state of pyplot is read or written.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scgraph.bench.projection import project
from scgraph.bench.results import best_baseline
from scgraph.reporting.drawing import (
    BASELINE_GRAY,
    FAINT,
    INK,
    MARKERS,
    MOST_CLASSES,
    bar_panel,
    class_color,
    class_legend,
    class_marker,
    log_axis,
    model_colors,
    model_label,
    new_figure,
    number_classes,
    open_axis,
    plain,
)
from scgraph.reporting.rows import REGRESSION, UNTRAINED, row_kind
from scgraph.reporting.wording import records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "confusion_matrices",
    "cost_panels",
    "feature_maps",
    "loss_curves",
    "place_cells",
    "score_bars",
    "shown_cells",
]

MOST_POINTS = 2000
LEAST_SPAN = 0.1


def score_bars(summary: pd.DataFrame, *, metrics: Mapping[str, str], colors: Mapping[str, str] | None = None) -> Figure:
    """Mean of each metric per model with ± one standard deviation, for one data set and split.

    Args:
        summary: rows of `summarise` of one data set and split, in the order to draw.
        metrics: column prefix to title, one panel each.
        colors: of `model_colors`, to be the same as in other figures.
    """
    models = [str(name) for name in summary["model"]]
    shades = colors or model_colors(models)
    figure = new_figure(9.6, 0.9 + 0.36 * len(models))
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    rows = np.arange(len(models))
    for axis, (metric, title) in zip(axes, metrics.items(), strict=True):
        mean = summary[f"{metric}_mean"].to_numpy(float)
        sd = np.nan_to_num(summary[f"{metric}_sd"].to_numpy(float))
        bar_panel(axis, title, mean, [shades[name] for name in models], [name.endswith(UNTRAINED) for name in models])
        for row in range(len(models)):
            text = f"{mean[row]:.3f}" if np.isfinite(mean[row]) else "none"
            end = (mean[row] if np.isfinite(mean[row]) else 0.0) + sd[row]
            axis.text(end + 0.015, row, text, va="center", fontsize=8.5, color=INK)
        drawn = sd > 0
        axis.errorbar(mean[drawn], rows[drawn], xerr=sd[drawn], fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
        axis.set_xlim(0, max(1.14, float(np.nanmax(mean + sd, initial=0)) + 0.12))
        axis.set_xticks(np.arange(0, 1.01, 0.2))
    axes[0].set_yticks(rows, [model_label(name) for name in models])
    axes[0].invert_yaxis()
    return figure


def loss_curves(histories: pd.DataFrame, *, colors: Mapping[str, str] | None = None) -> Figure:
    """Loss of the pretraining per epoch on the train and validation part; the mean of the seeds and their range.

    Args:
        histories: columns model, seed, epoch, train_loss, validation_loss, of one corpus.
        colors: of `model_colors`.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    models = list(dict.fromkeys(str(name) for name in histories["model"]))
    shades = colors or model_colors(models)
    panels = {"train_loss": "train part", "validation_loss": "validation part"}
    figure = new_figure(9.6, 3.5)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for axis, (column, title) in zip(axes, panels.items(), strict=True):
        for name in models:
            group = histories[histories["model"].astype(str) == name].groupby("epoch")[column]
            table = group.agg(["mean", "min", "max"]).dropna()
            epochs = table.index.to_numpy(float)
            axis.plot(epochs, table["mean"], color=shades[name], linewidth=1.8, marker=".", markersize=5)
            axis.fill_between(epochs, table["min"], table["max"], color=shades[name], alpha=0.18, linewidth=0)
        axis.set_title(title, loc="left", fontsize=10.5)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axis.grid(axis="y", color=FAINT, linewidth=0.7)
        open_axis(axis)
    axes[0].set_ylabel("loss")
    lines = [Line2D([], [], color=shades[name], linewidth=2.2) for name in models]
    figure.legend(lines, [model_label(name) for name in models], loc="outside right center", frameon=False)
    return figure


def shown_cells(count: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Rows that a map shows: all, or 2,000 drawn from more."""
    rows = np.arange(count, dtype=np.int64)
    if count > MOST_POINTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_POINTS, replace=False))
    return rows


def place_cells(features: ArrayLike, *, method: Literal["tsne", "umap"] = "tsne", seed: int = 0) -> NDArray[np.float64]:
    """Place the shown cells in two dimensions: `[n, C]` to `[min(n, 2000), 2]`, for several maps of the same cells."""
    values = np.asarray(features)
    return project(values[shown_cells(len(values), seed=seed)], method=method, seed=seed)


def feature_maps(
    features: Mapping[str, ArrayLike],
    labels: ArrayLike,
    classes: Sequence[str],
    *,
    method: Literal["tsne", "umap"] = "tsne",
    seed: int = 0,
    columns: int | None = None,
    places: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Features of every model in two dimensions, the same cells and the same colours in each panel.

    A number stands at the median of its class, so that a class can be found without its colour; without numbers and
    names where there are more than `MOST_CLASSES`.

    Args:
        features: model to features of the same cells, `[n, C]`.
        labels: class codes, `[n]`.
        classes: names of the codes.
        method: see `project`.
        seed: of the method and of the choice of cells where there are more than 2,000.
        columns: panels a line; by default three at most.
        places: of `place_cells` with the same method and seed, by model; found here where not given.
    """
    codes = np.asarray(labels).astype(int)
    rows = shown_cells(len(codes), seed=seed)
    shown = codes[rows]
    across = max(1, min(columns or 3, len(features)))
    lines = math.ceil(max(1, len(features)) / across)
    shape = 0.72 if across <= 2 else 1.0
    longest = max((len(name) for name in classes), default=1)
    per_row = 3 if longest > 22 else 4 if longest > 12 else 5
    named = len(classes) <= MOST_CLASSES
    legend_height = 0.2 * math.ceil(len(classes) / per_row) + 0.2 if named else 0.0
    figure = new_figure(9.6, lines * (shape * 9.6 / across + 0.25) + legend_height)
    axes = figure.subplots(lines, across, squeeze=False).ravel()
    size = float(np.clip(16000 / max(1, len(rows)) / across, 7, 24))
    order = np.random.default_rng(seed).permutation(len(rows))
    for axis, (name, values) in zip(axes, features.items(), strict=False):
        known = None if places is None else places.get(name)
        plane = place_cells(values, method=method, seed=seed) if known is None else np.asarray(known)
        for marker in dict.fromkeys(class_marker(k) for k in range(len(classes))):
            # In random order, so that no class hides another for being drawn last.
            cells = order[[class_marker(int(shown[i])) == marker for i in order]]
            axis.scatter(
                plane[cells, 0],
                plane[cells, 1],
                s=size,
                c=[class_color(int(shown[i])) for i in cells],
                marker=marker,
                alpha=0.75,
                linewidths=0,
                rasterized=True,
            )
        if named:
            number_classes(axis, plane, shown)
        axis.set_title(model_label(name), loc="left", fontsize=10.5)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_box_aspect(shape)
        axis.margins(0.06)
        for edge in axis.spines.values():
            edge.set_color(FAINT)
    for axis in axes[len(features) :]:
        axis.set_axis_off()
    if named:
        class_legend(figure, classes, per_row)
    return figure


def confusion_matrices(
    confusions: Mapping[str, ArrayLike], classes: Sequence[str], *, columns: int | None = None
) -> Figure:
    """Share of the cells of each true class (row) that a model gives to each class (column).

    Args:
        confusions: model to counts, true class × predicted class, `[K, K]`, summed over seeds.
        classes: names of the K classes.
        columns: panels a line; by default as many as stay readable.
    """
    count = len(classes)
    across = columns or (3 if count <= 12 else 2)
    across = max(1, min(across, len(confusions)))
    lines = math.ceil(max(1, len(confusions)) / across)
    names = [f"{plain(name)}  {k + 1}" for k, name in enumerate(classes)]
    longest = max((len(name) for name in names), default=0)
    size = 9.0
    for _ in range(3):  # the labels take width from the panels, and the panels set the size of the labels
        side = max(1.6, (9.6 - longest * size / 120 - 1.0) / max(across, 2))
        size = float(np.clip(side * 50 / max(1, count), 4.6, 9))
    figure = new_figure(9.6, lines * (side + 0.55) + 0.3)
    axes = figure.subplots(lines, across, squeeze=False, sharey=True)
    image = None
    for axis, (model, values) in zip(axes.ravel(), confusions.items(), strict=False):
        counts = np.asarray(values, dtype=float)
        total = counts.sum(1, keepdims=True)
        share = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
        image = axis.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="equal", interpolation="nearest")
        axis.set_title(model_label(model), loc="left", fontsize=10.5)
        axis.set_xticks(range(count), [str(k + 1) for k in range(count)], fontsize=size)
        axis.set_yticks(range(count), names, fontsize=size)
        axis.tick_params(length=0, labelleft=axis in axes[:, 0])
        for edge in axis.spines.values():
            edge.set_visible(False)
        if count <= 12:
            for i, j in np.argwhere(share >= 0.005):
                tone = "white" if share[i, j] > 0.55 else INK
                text = f"{100 * share[i, j]:.0f}"
                axis.text(j, i, text, ha="center", va="center", fontsize=size * 0.85, color=tone)
    for axis in axes.ravel()[len(confusions) :]:
        axis.set_axis_off()
    for axis in axes[:, 0]:
        axis.set_ylabel("true class")
    for axis in axes[-1]:
        axis.set_xlabel("predicted class")
    if image is not None:
        bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 0.8 / lines), aspect=24, pad=0.015)
        bar.outline.set_visible(False)
        bar.set_label("share of the true class")
    return figure


def cost_panels(
    summary: pd.DataFrame,
    *,
    metric: str = "macro_f1",
    title: str = "macro-F1",
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """What a score costs: the metric over multiply-adds, memory saved for backward, and speed.

    Lines mark `REGRESSION` (dashed) and the best baseline (dotted, where it is another).

    Args:
        summary: rows of `summarise` of one data set and split.
        metric: column prefix of the score.
        title: its name.
        colors: of `model_colors`.
    """
    from matplotlib.lines import Line2D

    rows = records(summary)
    # The majority class would stretch the axis until the models lie on one line, and so would weak baselines.
    lines: dict[str, Any] = {best_baseline(rows, metric=metric): ":", REGRESSION: "--"}
    baselines = [row for row in rows if row["model"] in lines]
    models = [row for row in rows if row_kind(row["model"]) == "trained"]
    shades = colors or model_colors(row["model"] for row in (*baselines, *models))
    panels = {
        "multiply_adds": "multiply-adds of a cell",
        "saved_mb": "MB saved for backward, a cell",
        "cells_per_second": "cells a second",
    }
    figure = new_figure(9.6, 3.4)
    axes = figure.subplots(1, 3, sharey=True)
    for axis, (column, label) in zip(axes, panels.items(), strict=True):
        for row in baselines:
            axis.axhline(row[f"{metric}_mean"], color=BASELINE_GRAY, linestyle=lines[row["model"]], linewidth=1.3)
        for index, row in enumerate(models):
            if not (row[column] > 0 and math.isfinite(row[f"{metric}_mean"])):
                continue
            sd = row[f"{metric}_sd"]
            axis.errorbar(
                row[column],
                row[f"{metric}_mean"],
                yerr=sd if math.isfinite(sd) else None,
                color=shades[row["model"]],
                marker=MARKERS[index % len(MARKERS)],
                markersize=8,
                capsize=2.5,
                elinewidth=1.1,
                linestyle="none",
            )
        log_axis(axis, [row[column] for row in models if row[column] > 0])
        axis.set_xlabel(label)
        axis.grid(color=FAINT, linewidth=0.7)
        open_axis(axis)
    axes[0].set_ylabel(title)
    low, high = axes[0].get_ylim()
    room = max(0.0, LEAST_SPAN - (high - low)) / 2
    axes[0].set_ylim(low - room, high + room)
    handles = [
        Line2D(
            [],
            [],
            color=shades[row["model"]],
            marker=MARKERS[i % len(MARKERS)],
            markersize=7,
            linestyle="none",
        )
        for i, row in enumerate(models)
    ] + [Line2D([], [], color=BASELINE_GRAY, linestyle=lines[row["model"]]) for row in baselines]
    names = [model_label(str(row["model"])) for row in (*models, *baselines)]
    figure.legend(handles, names, loc="outside right center", frameon=False)
    return figure
