"""Rows, table and figure of `hardware_lottery`."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.hardware_lottery.cases import DENSE, EDGES, FUSED, REFERENCES, STREAMED, multiply_adds
from benchmarks.harness.children import OUT_OF_MEMORY, OVER_TIME
from benchmarks.harness.rounds import Ratio, ratio
from benchmarks.harness.text import markdown_table
from scgraph.reporting.drawing import FAINT, SOFT, model_colors, new_figure, open_axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from benchmarks.layers.cases import Case, Sizes

__all__ = ["draw_lottery", "lottery_markdown", "lottery_row", "with_times"]

LINES: dict[str, tuple[str, Any]] = {EDGES: ("^", ":"), DENSE: ("s", "--"), FUSED: ("o", "-"), STREAMED: ("D", "-.")}
PANELS = {
    "milliseconds": "forward and backward, ms",
    "peak_mb": "peak memory, MB",
    "matmul_share": "share of matmul peak, %",
}


def lottery_row(form: Case, sizes: Sizes, status: str, memory: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a form before it is timed."""
    row: dict[str, Any] = {"form": form.name, "family": form.family, "kind": form.kind, "genes": sizes.genes}
    row |= {"cells": sizes.cells, "channels": sizes.channels, "status": status}
    row |= {"multiply_adds": multiply_adds(form, sizes)}
    return row | {key: memory.get(key) for key in ("saved_mb", "peak_mb")}


def with_times(rows: Sequence[dict[str, Any]], found: Mapping[str, Any], peak: float) -> list[dict[str, Any]]:
    """Add the times of one size to its rows.

    Args:
        rows: as `lottery_row` makes them.
        found: what `measure_times` returned, {} where it gave no answer.
        peak: operations a second of a large matrix product.
    """
    timed: list[dict[str, Any]] = []
    times = found.get("times", {})
    for row in rows:
        name, own = row["form"], times.get(row["form"], [])
        reference = times.get(REFERENCES[row["family"]], [])
        seconds = median(own) if own else None
        over = ratio(own, reference) if own and reference else ratio([], [])
        timed.append(
            row
            | {
                "status": found.get("failures", {}).get(name, row["status"]),
                "milliseconds": 1e3 * seconds if seconds else None,
                "rounds": len(own),
                "times": over.median,
                "times_low": over.low,
                "times_high": over.high,
                # Backward multiplies about twice as much as forward: 6 operations a multiply-add.
                "matmul_share": 6 * row["multiply_adds"] / seconds / peak if seconds else None,
                "difference": found.get("differences", {}).get(name),
            }
        )
    return timed


def lottery_markdown(rows: Sequence[dict[str, Any]], described: Mapping[str, Any], peak: float, threads: int) -> str:
    """The text of `table.md` without its notes on the machine."""
    lines = []
    for row in rows:
        cells = [f"`{row['form']}`", f"{row['genes']:,}"]
        if row["milliseconds"] is None:
            lines.append([*cells, str(row["status"]), *["-"] * 5])
            continue
        over = Ratio(row["times"], row["times_low"], row["times_high"], row["rounds"])
        memory = [_digits(row[key]) for key in ("saved_mb", "peak_mb")]
        work = f"{_digits(row['multiply_adds'] / 1e6)} M"
        lines.append([*cells, _digits(row["milliseconds"]), str(over), *memory, work, f"{row['matmul_share']:.1%}"])
    header = ["layer, form", "genes", "ms", "over its reference [95 %]", "saved for backward, MB", "peak, MB"]
    cells_of = f"{described['batch_size']} cell{'s' if described['batch_size'] > 1 else ''}"
    apart = max((row["difference"] for row in rows if row["difference"] is not None), default=None)
    blocks = [
        "# The same layer as edge list, dense and fused\n",
        f"Forward and backward of one layer on the complete graph, C {described['channels']}, 8 heads, R "
        f"{described['rank']}, {cells_of}, float32 on the CPU, {threads} thread{'s' if threads > 1 else ''}. The forms "
        "of a layer have the same parameters and the same input; all are timed in turn in one process, median of "
        f"{max((row['rounds'] for row in rows), default=0)} rounds at most. The reference of a form is "
        f"{' or '.join(f'`{name}`' for name in REFERENCES.values())}.\n",
        markdown_table([*header, "multiply-adds", "of matmul peak"], lines),
        f"The matmul peak is {peak / 1e9:,.0f} G operations a second, the best of the products of large matrices "
        "before and after the forms of each size. Every form of a layer counts the multiply-adds of its equation, "
        "forward, and its share 6 operations for each. Peak memory is that of a process of its own above what it held "
        "before.\n",
    ]
    if apart is not None:
        blocks.append(
            f"Outputs and input gradients differ from the reference by at most {apart:.0e} of its largest number.\n"
        )
    blocks += _findings(rows)
    return "\n".join(blocks)


def draw_lottery(rows: Sequence[dict[str, Any]]) -> Figure:
    """Time, memory and share of the peak against the genes: colour for the layer, marker and line for the form."""
    from matplotlib.lines import Line2D

    families = list(dict.fromkeys(row["family"] for row in rows))
    colors = model_colors(families)
    genes = sorted({row["genes"] for row in rows})
    figure = new_figure(11.6, 4.0)
    axes = figure.subplots(1, len(PANELS))
    for axis, (measure, title) in zip(axes, PANELS.items(), strict=True):
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        for name in dict.fromkeys(row["form"] for row in rows):
            own = [row for row in rows if row["form"] == name and row.get(measure)]
            if not own:
                continue
            marker, line = LINES[own[0]["kind"]]
            factor = 100 if measure == "matmul_share" else 1
            axis.plot(
                [row["genes"] for row in own], [factor * row[measure] for row in own], color=colors[own[0]["family"]],
                marker=marker, linestyle=line, markersize=5, linewidth=1.4,
                markerfacecolor="white" if name.endswith(")") else None,
            )  # fmt: skip
        axis.set_xticks(genes, [f"{number:,}" for number in genes])
        axis.yaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
        axis.set_xlabel("genes a cell")
        axis.set_title(title, loc="left", fontsize=10.5)
        axis.grid(color=FAINT, linewidth=0.7)
        open_axis(axis)
    handles = [Line2D([], [], color=colors[family], linewidth=3) for family in families]
    names = list(families)
    for kind in dict.fromkeys(row["kind"] for row in rows):
        marker, line = LINES[kind]
        handles.append(Line2D([], [], color=SOFT, marker=marker, linestyle=line, markersize=5))
        names.append(kind)
    handles.append(Line2D([], [], color=SOFT, marker="^", linestyle=":", markersize=5, markerfacecolor="white"))
    names.append("edge list (PyG)")
    figure.legend(handles, names, loc="outside right center", frameon=False, fontsize=9)
    return figure


def _findings(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What edges cost at the largest size they ran at, a sentence a layer."""
    sentences = []
    for family, name in REFERENCES.items():
        reference = {row["genes"]: row for row in rows if row["form"] == name and row["milliseconds"]}
        edges = [
            row for row in rows
            if row["family"] == family and row["kind"] == EDGES and row["milliseconds"] and row["genes"] in reference
        ]  # fmt: skip
        if not edges:
            continue
        row = min((row for row in edges if row["genes"] == max(r["genes"] for r in edges)), key=lambda r: r["times"])
        own = reference[row["genes"]]
        known = row["peak_mb"] and own["peak_mb"]
        memory = f" and {row['peak_mb'] / own['peak_mb']:,.0f} times its memory" if known else ""
        sentences.append(
            f"At {row['genes']} genes the quickest edge list of `{family}` takes {row['times']:,.0f} times as long as "
            f"`{name}`{memory}, and reaches {row['matmul_share']:.1%} of the matmul peak in place of "
            f"{own['matmul_share']:.0%}."
        )
    lost = [row for row in rows if row["status"] in (OUT_OF_MEMORY, OVER_TIME)]
    if lost:
        sentences.append("What did not fit into memory or time says so.")
    return [" ".join(sentences) + "\n"] if sentences else []


def _digits(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
