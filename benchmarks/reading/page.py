"""The table and the figure of `reading`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness.text import markdown_table, number
from benchmarks.reading.ways import OWN, STORE, WAYS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_reading", "reading_markdown"]

_MEASURED = ("cells_per_cpu_second", "rss_mb", "anonymous_mb", "start_mb")


def label(row: Any) -> str:
    """What a row of the table is called."""
    text = f"{row['how']}, {row['workers']} threads" if WAYS[row["how"]].threads else f"{row['how']}"
    return text + (", files not in cache" if row["cold"] else "")


def reading_markdown(frame: pd.DataFrame, mean_genes: float, genes: int, *, load: float | None) -> str:
    """The text of `reading.md`."""
    header = ["how", "cells", "genes", "cells/s", "cells a CPU second", "resident MB", "not of files", "at the start"]
    table = [
        [
            label(row),
            f"{row['cells_in_file']:,}",
            str(row["genes"] or "all"),
            number(row["cells_per_second"], ",.0f") if row["status"] == "ok" else row["status"],
            *(number(row[column], ",.0f") for column in _MEASURED),
        ]
        for _, row in frame.iterrows()
    ]
    passes = [how for how, way in WAYS.items() if way.whole]
    kinds = "\n".join(f"- {how}: {way.means}." for how, way in WAYS.items())
    return (
        f"Cells express {mean_genes:,.0f} genes on average. Each row is a process of its own that has loaded PyTorch; "
        "resident memory is the most there was, with the most seen after any batch of the part that is no pages of "
        "files, and what there was before the first cell. Rows of the store and of memory yield what training gets: "
        f"{genes} sampled genes, masked, as tensors. All others yield whole rows (all), or rows sampled with the "
        "kernel of the store. Rows of the store read every cell once (where the files are not in the cache: for a few "
        f"seconds), and so do {', '.join(passes)}, with nothing read ahead of the clock; the others are read for a few "
        "seconds after a first batch. All files hold the values of the store, log1p of normalised counts. Load "
        f"average of the machine at the end: {load}; where others worked on it too, the rate by the clock is too low, "
        "and cells a CPU second (of all threads of the process together) say more.\n\n"
        + kinds
        + "\n\n"
        + markdown_table(header, table)
    )


def draw_reading(frame: pd.DataFrame) -> Figure:
    """Cells a second of every way, and resident memory of the store against its cells."""
    from scgraph.reporting.drawing import FAINT, INK, PETROFF, log_axis, new_figure, open_axis

    good = frame[(frame["status"] == "ok") & (frame["genes"] > 0)].sort_values("cells_per_second")
    figure = new_figure(11.4, 1.6 + 0.34 * len(good))
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    names = [f"{label(row)}, {row['cells_in_file']:,} cells" for _, row in good.iterrows()]
    colors = [PETROFF[0] if how in STORE or how in OWN else PETROFF[8] for how in good["how"]]
    places = range(len(good))
    left.scatter(good["cells_per_second"], places, color=colors, s=42, label="by the clock", zorder=3)
    hollow: dict[str, Any] = {"facecolors": "none", "edgecolors": colors, "label": "a second of CPU"}
    left.scatter(good["cells_per_cpu_second"], places, s=42, zorder=3, **hollow)
    left.set_yticks(places, names, fontsize=8.5)
    log_axis(left, [*good["cells_per_second"].tolist(), *good["cells_per_cpu_second"].tolist()])
    left.set_title("cells a second, genes sampled", loc="left", fontsize=10.5, color=INK)
    left.legend(frameon=False, fontsize=8.5, loc="lower right")
    for how, color in zip(STORE, PETROFF, strict=False):
        part = frame[(frame["how"] == how) & (frame["status"] == "ok") & ~frame["cold"] & (frame["workers"] > 0)]
        right.plot(part["cells_in_file"], part["rss_mb"], marker="o", color=color, label=how)
    right.axhline(
        float(frame["start_mb"].median()), color=INK, linewidth=0.8, linestyle=":", label="before the first cell"
    )
    log_axis(right, [float(value) for value in frame["cells_in_file"]])
    right.set_ylim(0, 1.25 * float(frame.loc[frame["how"].isin(STORE), "rss_mb"].max()))
    right.set_xlabel("cells of the store")
    right.set_title("resident MB, all cells read", loc="left", fontsize=10.5, color=INK)
    right.legend(frameon=False, fontsize=8.5, loc="lower right")
    for axis in (left, right):
        axis.grid(color=FAINT, linewidth=0.7, axis="x" if axis is left else "y")
        open_axis(axis)
    return figure
