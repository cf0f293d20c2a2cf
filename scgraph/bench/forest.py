"""The claim as a picture: difference to the reference on every set and over all of them, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.across_sets import trained_models
from scgraph.reporting.drawing import FAINT, INK, model_colors, model_label, new_figure, open_axis, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["difference_forest"]


def difference_forest(
    summary: pd.DataFrame,
    overall: pd.DataFrame,
    *,
    reference: str = "tf",
    margin: float = 0.01,
    metrics: Mapping[str, str] | None = None,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Paired difference of every pretrained model to the reference: a row a set, then all sets together.

    The margin of equivalence is shaded. The axis is symmetric about 0; an interval that goes beyond it ends in an
    arrow, so that few seeds or sets do not press the rest onto a line.

    Args:
        summary: of `scgraph.bench.results.summarise`.
        overall: of `scgraph.bench.across_sets.across_sets`, not empty.
        reference: the model the others are compared with.
        margin: of the test of equivalence.
        metrics: column prefix to title, one panel each; by default accuracy and macro-F1.
        colors: of `model_colors`, to be the same as in other figures.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    titles = metrics or {"accuracy": "accuracy", "macro_f1": "macro-F1"}
    models = trained_models(overall)
    shades = colors or model_colors(summary["model"])
    rows = [(label, found, is_overall) for label, found, is_overall in _rows(summary, overall) if found]
    places = np.arange(len(rows)) + 0.5 * np.array([is_overall for *_, is_overall in rows])
    step = min(0.22, 0.7 / max(1, len(models)))
    figure = new_figure(9.6, 1.2 + len(rows) * max(0.34, 0.17 * len(models)))
    axes = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for axis, (metric, title) in zip(axes, titles.items(), strict=True):
        limit = _limit([row for _, found, _ in rows for row in found.values()], metric, margin)
        axis.axvspan(-margin, margin, color=FAINT, alpha=0.7, linewidth=0)
        axis.axvline(0, color=INK, linewidth=0.9)
        for place, (_, found, is_overall) in zip(places, rows, strict=True):
            for index, model in enumerate(models):
                if model in found:
                    height = place + step * (index - (len(models) - 1) / 2)
                    _draw(axis, found[model], metric, height, limit, color=shades[model], is_overall=is_overall)
        axis.set_xlim(-limit, limit)
        axis.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.set_title(title, loc="left", fontsize=10.5)
        axis.set_xlabel(f"{model_label(models[0]) if len(models) == 1 else 'model'} minus {model_label(reference)}")
        axis.grid(axis="x", color=FAINT, linewidth=0.7)
        open_axis(axis)
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        first = next(place for place, (*_, is_overall) in zip(places, rows, strict=True) if is_overall)
        axis.axhline(first - 0.75, color=FAINT, linewidth=0.9)
    axes[0].set_yticks(places, [label for label, *_ in rows])
    axes[0].set_ylim(places[-1] + 0.6, -0.6)
    handles: list[Any] = [
        Line2D([], [], color=shades[model], marker="o", markersize=6, linewidth=1.6, label=model_label(model))
        for model in models
    ]
    handles.append(Patch(color=FAINT, alpha=0.7, label=f"within ± {margin:g}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(handles)), frameon=False, fontsize=9)
    return figure


def _rows(summary: pd.DataFrame, overall: pd.DataFrame) -> list[tuple[str, dict[str, dict[Any, Any]], bool]]:
    """Label, rows by model and whether it speaks of all sets, from top to bottom."""
    models = trained_models(overall)
    several = summary["split"].nunique() > 1
    listed = []
    for (dataset, split), group in summary.groupby(["dataset", "split"], sort=False):
        found = {row["model"]: row for row in group.to_dict("records") if row["model"] in models}
        found = {model: row for model, row in found.items() if math.isfinite(row["accuracy_difference"])}
        listed.append((plain(dataset) + (f", {split}" if several else ""), found, False))
    for (split, over), group in overall.groupby(["split", "over"], sort=False):
        found = {row["model"]: row for row in group.to_dict("records") if row["model"] in models}
        count = max((row[over] for row in found.values()), default=0)
        where = f"all {split}" if several else "all sets"
        listed.append((f"{where}, over {count} {over}", found, True))
    return listed


def _limit(rows: list[dict[Any, Any]], metric: str, margin: float) -> float:
    points = [abs(float(row[f"{metric}_difference"])) for row in rows]
    ends = [abs(float(row[f"{metric}_{side}"])) for row in rows for side in ("low", "high")]
    widest = max((end for end in ends if math.isfinite(end)), default=0.0)
    return min(max(3 * margin, 2.5 * max(points, default=0.0)), max(1.1 * widest, 1.1 * max(points), 1.6 * margin))


def _draw(
    axis: Axes, row: dict[Any, Any], metric: str, height: float, limit: float, *, color: str, is_overall: bool
) -> None:
    point, low, high = (row[f"{metric}_{name}"] for name in ("difference", "low", "high"))
    if math.isfinite(low):
        axis.plot(
            [max(low, -limit), min(high, limit)],
            [height, height],
            color=color,
            linewidth=2.6 if is_overall else 1.6,
            solid_capstyle="butt",
        )
        for end, marker in ((low, "<"), (high, ">")):
            goes_on = abs(end) > limit
            edge = math.copysign(limit, end) if goes_on else end
            # Ends are marked too: a short interval would vanish behind its point.
            axis.plot(
                [edge],
                [height],
                color=color,
                marker=marker if goes_on else "|",
                markersize=6 if goes_on else 9,
                markeredgewidth=1.4,
                clip_on=not goes_on,
                zorder=4,
            )
    axis.plot(
        [point],
        [height],
        color=color,
        marker="D" if is_overall else "o",
        markersize=6.5 if is_overall else 5.5,
        markeredgecolor="white",
        markeredgewidth=0.5,
        linestyle="none",
        zorder=5,
    )
