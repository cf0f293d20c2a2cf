"""Figure 4 drawn, and its numbers as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness.children import OUT_OF_MEMORY
from benchmarks.harness.text import markdown_table, number, signed
from scgraph.reporting.drawing import FAINT, INK, model_colors, new_figure, open_axis
from scgraph.reporting.statistics import paired_difference
from scgraph.reporting.tables import quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_figure4", "genes_markdown"]

COSTS = {"multiply_adds": "multiply-adds a cell", "saved_mb": "MB saved for backward a cell"}


def draw_figure4(points: pd.DataFrame) -> Figure:
    """Accuracy and costs against genes a cell, costs on log axes; a cross above the axes where memory ran out."""
    from matplotlib.lines import Line2D

    models = list(dict.fromkeys(points["model"]))
    colors = model_colors(models)
    figure = new_figure(11.4, 3.6)
    panels = {"accuracy": "accuracy", **COSTS}
    axes = figure.subplots(1, len(panels))
    genes = sorted(points["genes"].unique())
    for axis, (column, title) in zip(axes, panels.items(), strict=True):
        _gene_axis(axis, genes)
        if column in COSTS:
            axis.set_yscale("log")
        for place, model in enumerate(models):
            part = points[points["model"] == model].sort_values("genes")
            good = part[part["status"] == "ok"]
            spread = good["accuracy_sd"].fillna(0) if column == "accuracy" else None
            value = good["accuracy_mean"] if column == "accuracy" else good[column]
            axis.errorbar(good["genes"], value, yerr=spread, color=colors[model], marker="o", markersize=4, capsize=2.5)
            lost = part[part["status"] == OUT_OF_MEMORY]["genes"]
            # An empty line outside the axes has no place, and the layout of the figure collapses over it.
            if len(lost):
                axis.plot(
                    lost,
                    [1.04 + 0.06 * place] * len(lost),
                    color=colors[model],
                    linestyle="none",
                    marker="x",
                    markersize=8,
                    markeredgewidth=2,
                    transform=axis.get_xaxis_transform(),
                    clip_on=False,
                )
        crosses = len(models) if (points["status"] == OUT_OF_MEMORY).any() else 0
        axis.set_title(title, loc="left", fontsize=10.5, pad=8 + 15 * crosses)
        axis.set_xlabel("genes a cell")
        axis.grid(color=FAINT, linewidth=0.7)
        open_axis(axis)
    handles = [Line2D([], [], color=colors[model], marker="o", markersize=4) for model in models]
    names = list(models)
    if (points["status"] == OUT_OF_MEMORY).any():
        handles.append(Line2D([], [], color=INK, linestyle="none", marker="x", markersize=8, markeredgewidth=2))
        names.append(OUT_OF_MEMORY)
    figure.legend(handles, names, loc="outside right center", frameon=False)
    return figure


def _gene_axis(axis: Axes, genes: Sequence[int]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.set_xscale("log", base=2)
    axis.set_xlim(min(genes) / 1.3, max(genes) * 1.3)
    axis.xaxis.set_major_locator(FixedLocator([float(g) for g in genes]))
    axis.xaxis.set_minor_locator(NullLocator())
    # A number just below the next one gives way to it, as the two labels would cover each other.
    close = [later < 1.35 * g for g, later in zip(genes, [*genes[1:], float("inf")], strict=True)]
    names = ["" if hidden else str(g) for g, hidden in zip(genes, close, strict=True)]
    axis.set_xticks([float(g) for g in genes], names, rotation=60)


def genes_markdown(points: pd.DataFrame, seeds: pd.DataFrame, *, largest: int, memory: str, margin: float) -> str:
    """The text of `genes.md`."""
    rows = []
    for _, point in points.iterrows():
        cells = [f"{point['genes']} (all)" if point["genes"] == largest else str(point["genes"]), str(point["model"])]
        if point["status"] == "ok":
            cells += [_spread(point, "accuracy"), _spread(point, "macro_f1"), quantity(point["multiply_adds"])]
            cells += [
                f"{point['saved_mb']:.1f}",
                f"{point['cells_per_second']:,.1f}",
                f"{point['seconds_pretrain']:.1f}",
            ]
        else:
            cells += [point["status"], *["-"] * 5]
        rows.append([*cells, f"{point['seconds']:.0f}"])
    count = int(points["seeds"].max())
    header = [
        "genes",
        "model",
        "accuracy",
        "macro-F1",
        "multiply-adds",
        "saved MB",
        "cells/s",
        "pretraining, s",
        "all, s",
    ]
    blocks = [
        "# Figure 4: genes a cell\n",
        f"Mean ± standard deviation over {count} {'seed' if count == 1 else 'seeds'}. The largest cell expresses "
        f"{largest:,} genes; a cell that expresses fewer than a row says is seen with all of its own. Costs are those "
        f"of a cell with as many genes as the row says. Memory limit: {memory}.\n",
        markdown_table(header, rows),
    ]  # fmt: skip
    paired = _differences(seeds, margin)
    if paired:
        blocks += [
            f"gnn minus tf in points, paired by seed, with a 95 % t interval; equivalent within ± {100 * margin:g} "
            "points by two one-sided t tests:\n",
            markdown_table(["genes", "accuracy", "equivalent", "macro-F1", "equivalent"], paired),
        ]
    return "\n".join(blocks)


def _differences(seeds: pd.DataFrame, margin: float) -> list[list[str]]:
    rows = []
    for genes, part in seeds.groupby("genes"):
        if not {"gnn", "tf"} <= set(part["model"]):
            continue
        row = [str(genes)]
        for metric in ("accuracy", "macro_f1"):
            table = part.pivot(index="seed", columns="model", values=metric)
            found = paired_difference(table["gnn"], table["tf"], margin=margin)
            answer = "-" if found.equivalent is None else "yes" if found.equivalent else "no"
            row += [signed(found.mean, found.low, found.high), answer]
        rows.append(row)
    return rows


def _spread(point: pd.Series, metric: str) -> str:
    mean, sd = point[f"{metric}_mean"], point[f"{metric}_sd"]
    return f"{mean:.3f}" if sd != sd else f"{mean:.3f} ± {number(sd)}"
