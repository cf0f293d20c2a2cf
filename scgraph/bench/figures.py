"""Figures of a bench: scores, losses, features in two dimensions, confusions, costs.

Every function returns a `matplotlib.figure.Figure` of its own; no global state of pyplot is read or
written. Colours are the ten of Petroff (2021, arXiv:2107.02270), chosen to be told apart with a
colour vision deficiency; beyond ten classes the marker changes as well, and classes carry numbers.
"""

from __future__ import annotations

import base64
import io
import math
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from scgraph.bench.results import BASELINES, UNTRAINED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "confusion_matrices",
    "cost_panels",
    "data_uri",
    "feature_maps",
    "loss_curves",
    "model_colors",
    "project",
    "score_bars",
]

PETROFF = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
MARKERS = ("o", "^", "s", "D", "v", "P")
BASELINE_GRAY = "#8a8f98"
INK = "#22262d"
FAINT = "#d9dce1"
LONGEST_LABEL = 34
MOST_POINTS = 3000


def model_colors(models: Iterable[str]) -> dict[str, str]:
    """One colour a model, the same in every figure; an untrained row has the colour of its model."""
    colors: dict[str, str] = {}
    for name in dict.fromkeys(m.removesuffix(UNTRAINED) for m in models):
        # The grays of the palette are left to the baselines.
        vivid = [color for i, color in enumerate(PETROFF) if i not in (3, 8)]
        position = sum(n not in BASELINES for n in colors)
        colors[name] = BASELINE_GRAY if name in BASELINES else vivid[position % len(vivid)]
    return colors | {name + UNTRAINED: color for name, color in colors.items()}


def score_bars(summary: pd.DataFrame, *, metrics: Mapping[str, str], colors: Mapping[str, str] | None = None) -> Figure:
    """Mean of each metric per model with ± one standard deviation, for one data set and split.

    Args:
        summary: rows of `summarise` of one data set and split, in the order to draw.
        metrics: column prefix to title, one panel each.
        colors: of `model_colors`, to be the same as in other figures.
    """
    models = [str(name) for name in summary["model"]]
    shades = colors or model_colors(models)
    figure = _figure(9.6, 0.9 + 0.36 * len(models))
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    rows = np.arange(len(models))
    for axis, (metric, title) in zip(axes, metrics.items(), strict=True):
        mean = summary[f"{metric}_mean"].to_numpy(float)
        sd = np.nan_to_num(summary[f"{metric}_sd"].to_numpy(float))
        for row, name in enumerate(models):
            untrained = name.endswith(UNTRAINED)
            axis.barh(
                row,
                mean[row],
                height=0.68,
                color="white" if untrained else shades[name],
                edgecolor=shades[name],
                hatch="////" if untrained else None,
                linewidth=1,
            )
            text = f"{mean[row]:.3f}" if np.isfinite(mean[row]) else "none"
            end = (mean[row] if np.isfinite(mean[row]) else 0.0) + sd[row]
            axis.text(end + 0.015, row, text, va="center", fontsize=8.5, color=INK)
        drawn = sd > 0
        axis.errorbar(mean[drawn], rows[drawn], xerr=sd[drawn], fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
        axis.set_xlim(0, max(1.14, float(np.nanmax(mean + sd, initial=0)) + 0.12))
        axis.set_xticks(np.arange(0, 1.01, 0.2))
        axis.set_title(title, loc="left", fontsize=10.5)
        axis.grid(axis="x", color=FAINT, linewidth=0.7)
        axis.tick_params(axis="y", length=0)
    axes[0].set_yticks(rows, [_plain(name) for name in models])
    axes[0].invert_yaxis()
    return figure


def loss_curves(histories: pd.DataFrame, *, colors: Mapping[str, str] | None = None) -> Figure:
    """Masked-value loss per epoch on the train and validation part; the mean of the seeds and their range.

    Args:
        histories: columns model, seed, epoch, train_mvp_loss, validation_mvp_loss, of one corpus.
        colors: of `model_colors`.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    models = list(dict.fromkeys(str(name) for name in histories["model"]))
    shades = colors or model_colors(models)
    panels = {"train_mvp_loss": "train part", "validation_mvp_loss": "validation part"}
    figure = _figure(9.6, 3.5)
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
    axes[0].set_ylabel("masked-value loss")
    lines = [Line2D([], [], color=shades[name], linewidth=2.2) for name in models]
    figure.legend(lines, [_plain(name) for name in models], loc="outside right center", frameon=False)
    return figure


def project(features: ArrayLike, *, method: Literal["tsne", "umap"] = "tsne", seed: int = 0) -> NDArray[np.float64]:
    """Features in two dimensions: t-SNE of scikit-learn, or UMAP where `umap-learn` is installed.

    Args:
        features: `[n, C]`.
        method: `"tsne"` or `"umap"`.
        seed: of the method.

    Returns:
        Coordinates `[n, 2]`. Fewer than five cells, or features without any variance, are too few for either
        method: their first principal components are returned.

    Raises:
        ConfigError: another method is named, or `umap-learn` is not installed.
    """
    from scgraph.errors import ConfigError, did_you_mean

    if method not in ("tsne", "umap"):
        raise ConfigError(f"Unknown projection {method!r}.{did_you_mean(method, ('tsne', 'umap'))}")
    data = np.asarray(features, dtype=np.float64)
    data = data - data.mean(0)
    n = len(data)
    if n < 5 or not data.any():
        left, strength, _ = np.linalg.svd(data, full_matrices=False)
        plane = np.zeros((n, 2))
        kept = min(2, len(strength))
        plane[:, :kept] = left[:, :kept] * strength[:kept]
        return plane
    if method == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise ConfigError("UMAP needs the package umap-learn; install it or use tsne.") from error
        # n_jobs = 1 is what a seed asks for anyway; saying so spares a warning.
        reducer = UMAP(n_neighbors=min(15, n - 1), random_state=seed, n_jobs=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(reducer.fit_transform(data), dtype=np.float64)
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (n - 1) / 3)
    with threadpool_limits(1, user_api="blas"):
        tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
        return np.asarray(tsne.fit_transform(data), dtype=np.float64)


def feature_maps(
    features: Mapping[str, ArrayLike],
    labels: ArrayLike,
    classes: Sequence[str],
    *,
    method: Literal["tsne", "umap"] = "tsne",
    seed: int = 0,
) -> Figure:
    """Features of every model in two dimensions, the same cells and the same colours in each panel.

    A number stands at the median of its class, so that a class can be found without its colour.

    Args:
        features: model to features of the same cells, `[n, C]`.
        labels: class codes, `[n]`.
        classes: names of the codes.
        method: see `project`.
        seed: of the method and of the choice of cells where there are more than 3,000.
    """
    codes = np.asarray(labels).astype(int)
    rows = np.arange(len(codes))
    if len(rows) > MOST_POINTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_POINTS, replace=False))
    shown = codes[rows]
    count = max(1, len(features))
    columns = 2 if count in (2, 4) else 4 if count > 6 else min(3, count)
    lines = math.ceil(max(1, len(features)) / columns)
    longest = max((len(name) for name in classes), default=1)
    per_row = 3 if longest > 22 else 4 if longest > 12 else 5
    legend_height = 0.2 * math.ceil(len(classes) / per_row) + 0.2
    figure = _figure(9.6, lines * (9.6 / columns if columns > 1 else 6.0) + legend_height)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    size = float(np.clip(9000 / max(1, len(rows)), 4, 26))
    for axis, (name, values) in zip(axes, features.items(), strict=False):
        plane = project(np.asarray(values)[rows], method=method, seed=seed)
        # Cells of all classes in one random order: none hides another for being drawn last.
        for k in np.random.default_rng(seed).permutation(len(classes)):
            cells = shown == k
            axis.scatter(
                plane[cells, 0],
                plane[cells, 1],
                s=size,
                color=_class_color(int(k)),
                marker=_class_marker(int(k)),
                alpha=0.75,
                linewidths=0,
                rasterized=True,
            )
        _number_classes(axis, plane, shown)
        axis.set_title(_plain(name), loc="left", fontsize=10.5)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_box_aspect(1)
        axis.margins(0.06)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(FAINT)
    for axis in axes[len(features) :]:
        axis.set_axis_off()
    _class_legend(figure, classes, per_row)
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
    names = [f"{_plain(name)}  {k + 1}" for k, name in enumerate(classes)]
    label_width = 0.075 * max((len(name) for name in names), default=0)
    side = max(1.6, (9.6 - label_width - 0.9) / max(across, 2))
    figure = _figure(9.6, lines * (side + 0.55) + 0.3)
    axes = figure.subplots(lines, across, squeeze=False, sharey=True)
    size = float(np.clip(side * 48 / max(1, count), 4.6, 9))
    image = None
    for axis, (model, values) in zip(axes.ravel(), confusions.items(), strict=False):
        counts = np.asarray(values, dtype=float)
        total = counts.sum(1, keepdims=True)
        share = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
        image = axis.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="equal", interpolation="nearest")
        axis.set_title(_plain(model), loc="left", fontsize=10.5)
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

    Args:
        summary: rows of `summarise` of one data set and split.
        metric: column prefix of the score.
        title: its name.
        colors: of `model_colors`.
    """
    from matplotlib.lines import Line2D

    rows = [row for row in summary.to_dict("records") if not str(row["model"]).endswith(UNTRAINED)]
    plain = [row for row in rows if row["model"] in BASELINES]
    models = [row for row in rows if row["model"] not in BASELINES]
    shades = colors or model_colors(row["model"] for row in rows)
    panels = {
        "multiply_adds": "multiply-adds of a cell",
        "saved_mb": "MB saved for backward, a cell",
        "cells_per_second": "cells a second",
    }
    figure = _figure(9.6, 3.4)
    axes = figure.subplots(1, 3, sharey=True)
    styles: dict[str, Literal[":", "--"]] = {"majority": ":", "pca+logreg": "--"}
    for axis, (column, label) in zip(axes, panels.items(), strict=True):
        for row in plain:
            axis.axhline(row[f"{metric}_mean"], color=BASELINE_GRAY, linestyle=styles[row["model"]], linewidth=1.3)
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
        _log_axis(axis, [row[column] for row in models if row[column] > 0])
        axis.set_xlabel(label)
        axis.grid(color=FAINT, linewidth=0.7)
        axis.set_axisbelow(True)
    axes[0].set_ylabel(title)
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
    ] + [Line2D([], [], color=BASELINE_GRAY, linestyle=styles[row["model"]]) for row in plain]
    names = [_plain(row["model"]) for row in (*models, *plain)]
    figure.legend(handles, names, loc="outside right center", frameon=False)
    return figure


def data_uri(figure: Figure, *, form: Literal["svg", "png"] = "svg") -> str:
    """The figure as a `data:` address for a page that stands alone; equal input gives equal bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with (
        matplotlib.rc_context({"svg.hashsalt": "scgraph", "svg.fonttype": "path"}),
        warnings.catch_warnings(),
    ):
        # A label in a script the font lacks is drawn as boxes; the table beside holds its text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        metadata = {"Date": None} if form == "svg" else {}
        figure.savefig(buffer, format=form, dpi=170, metadata=metadata, facecolor="white")
    kind = "svg+xml" if form == "svg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _plain(label: object) -> str:
    """A label as matplotlib may draw it: one line, not too long, no mathematics between dollars."""
    text = " ".join(str(label).split())
    text = text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
    return text.replace("$", r"\$")


def _class_color(code: int) -> str:
    return PETROFF[code % len(PETROFF)]


def _class_marker(code: int) -> str:
    return MARKERS[code // len(PETROFF) % len(MARKERS)]


def _class_legend(figure: Figure, classes: Sequence[str], per_row: int) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_class_color(k), marker=_class_marker(k), linestyle="none", markersize=6)
        for k in range(len(classes))
    ]
    names = [f"{k + 1}  {_plain(name)}" for k, name in enumerate(classes)]
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(per_row, max(1, len(classes))),
        frameon=False,
        fontsize=8.5,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def _number_classes(axis: Axes, plane: NDArray[np.float64], codes: NDArray[np.int64]) -> None:
    """Numbers at the medians of the classes, moved apart where they would lie on each other."""
    from matplotlib.patheffects import withStroke

    present = np.unique(codes)
    low, high = plane.min(0), plane.max(0)
    span = np.where(high > low, high - low, 1.0)
    places = np.array([np.median(plane[codes == k], axis=0) for k in present])
    places = (places - low) / span
    clearance = 0.055
    for _ in range(200):
        apart = places[:, None] - places[None]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        np.fill_diagonal(distance, np.inf)
        if distance.min() >= clearance:
            break
        # Two medians at one place are pushed apart along a direction of their own.
        angle = 2.4 * np.arange(len(present))
        nudge = 1e-6 * np.stack([np.cos(angle), np.sin(angle)], 1)
        push = np.maximum(clearance / np.maximum(distance, 1e-6) - 1, 0.0)
        places = places + 0.3 * (apart * push[..., None]).sum(1) + nudge
    for code, place in zip(present, np.clip(places, 0, 1) * span + low, strict=True):
        axis.text(
            place[0],
            place[1],
            str(code + 1),
            ha="center",
            va="center",
            fontsize=8.5,
            fontweight="bold",
            color=INK,
            path_effects=[withStroke(linewidth=2.2, foreground="white")],
        )


def _log_axis(axis: Axes, values: Sequence[float]) -> None:
    """Log scale with a few labelled ticks: 1, 2, 5 times powers of ten, with k, M, G behind them."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    from scgraph.bench.tables import quantity

    if not values:
        axis.set_xticks([])
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", va="center", color=INK)
        return
    low, high = min(values) / 1.5, max(values) * 1.5
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in decades for step in steps]
    axis.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.xaxis.set_minor_locator(NullLocator())

    def name(value: float, _: int | None) -> str:
        text = quantity(value)
        number, _space, unit = text.partition(" ")
        return f"{float(number):g}{unit}" if value >= 1 else f"{value:g}"

    axis.xaxis.set_major_formatter(FuncFormatter(name))
