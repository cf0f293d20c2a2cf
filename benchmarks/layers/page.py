"""The tables and the figure of `layers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness.children import NOT_TRIED, OUT_OF_MEMORY, OVER_TIME
from benchmarks.harness.exponents import Exponent, fit_exponent
from benchmarks.harness.text import markdown_table
from benchmarks.layers.cases import DENSE, EDGES, OURS, TORCH, cases
from scgraph.reporting.drawing import FAINT, INK, SOFT, model_colors, new_figure, open_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from benchmarks.layers.cases import Case

    Rows = Sequence[dict[str, Any]]

__all__ = ["MEASURES", "draw_layers", "exponents", "layers_markdown"]

MEASURES = {
    "milliseconds": "Time of forward and backward, ms",
    "saved_mb": "Saved for backward, MB",
    "peak_mb": "Peak memory of the process above what it held before, MB",
}
MARKERS: dict[str, tuple[str, Any]] = {OURS: ("o", "-"), EDGES: ("^", ":"), DENSE: ("s", "--"), TORCH: ("D", "-.")}


def exponents(rows: Rows) -> list[dict[str, Any]]:
    """A row a layer: how time and memory grow with G, by least squares of the logarithms."""
    found = []
    for name in dict.fromkeys(row["case"] for row in rows):
        fitted: dict[str, Any] = {"case": name}
        for measure in MEASURES:
            fit = _fit(rows, name, measure)
            fitted |= {f"{measure}_exponent": fit.value, f"{measure}_error": fit.error, f"{measure}_points": fit.n}
        found.append(fitted)
    return found


def layers_markdown(
    rows: Rows, fitted: Sequence[dict[str, Any]], edges: dict[str, Any] | None, described: dict[str, Any]
) -> str:
    """The text of `table.md`.

    Args:
        rows: one a layer and size.
        fitted: as `exponents` makes it.
        edges: `gnn` as products against `gnn` on edges; None where it was left out.
        described: settings of the run.
    """
    genes = sorted({row["genes"] for row in rows})
    blocks = [
        "# Layers against genes a cell\n",
        f"One layer, C {described['channels']}, R {described['rank']}, {described['batch_size']} "
        f"cell{'s' if described['batch_size'] > 1 else ''}, float32, the static adjacency and its softmax included. "
        "Every point is the median of the steps of a process of its own. Behind the sizes: the exponent e of cost ~ "
        "Gᵉ fitted over them by least squares of the logarithms, its standard error and the number of points.\n",
    ]
    if edges is not None:
        blocks += _edges_block(edges)
    for measure, title in MEASURES.items():
        lines = []
        for fit in fitted:
            by_genes = {row["genes"]: row for row in rows if row["case"] == fit["case"]}
            cells = [_cell(by_genes.get(number), measure) for number in genes]
            exponent = Exponent(*(fit[f"{measure}_{part}"] for part in ("exponent", "error", "points")))
            lines.append([f"`{fit['case']}`", *cells, str(exponent)])
        blocks += [
            f"## {title}\n",
            markdown_table(["layer", *(f"{number:,}" for number in genes), "exponent"], lines),
        ]
    blocks.append(
        f"{OUT_OF_MEMORY}: the point needed more than {_limit(described)}. {OVER_TIME}: it was ended after "
        f"{described['seconds_per_point']:g} s. -: not tried, since a smaller cell had already failed so. The edge "
        "lists and dense adjacencies of PyG are made before the clock starts, and so are the edge weights of "
        "`PyG GCNConv`.\n"
    )
    return "\n".join(blocks)


def draw_layers(rows: Rows) -> Figure:
    """Time and memory against G on log axes: colour for what a layer is, marker and line for whose it is."""
    from matplotlib.lines import Line2D

    known = {case.name: case for case in cases()}
    named = [known[name] for name in dict.fromkeys(row["case"] for row in rows) if name in known]
    families = list(dict.fromkeys(case.family for case in named))
    colors = model_colors(families)
    figure = new_figure(12.0, 5.2)
    axes = figure.subplots(1, 2)
    genes = sorted({row["genes"] for row in rows})
    stopped = [case for case in named if any(_lost(row) for row in rows if row["case"] == case.name)]
    for axis, measure in zip(axes, ("milliseconds", "saved_mb"), strict=True):
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        for case in named:
            own = [row for row in rows if row["case"] == case.name]
            good = [row for row in own if row["status"] == "ok" and row[measure]]
            marker, line = MARKERS[case.kind]
            axis.plot(
                [row["genes"] for row in good], [row[measure] for row in good], color=colors[case.family],
                marker=marker, linestyle=line, markersize=4, linewidth=1.3,
                markerfacecolor="white" if _variant(case) else colors[case.family],
            )  # fmt: skip
            lost = [row["genes"] for row in own if _lost(row)]
            if not lost:
                continue
            height = 1.03 + 0.03 * stopped.index(case)
            axis.plot(
                lost, [height] * len(lost), color=colors[case.family], linestyle="none", marker="x", markersize=6,
                markeredgewidth=1.6, transform=axis.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip
        axis.set_xticks(genes, [str(number) for number in genes], rotation=45)
        axis.minorticks_off()
        axis.set_xlabel("genes a cell")
        axis.set_title(MEASURES[measure], loc="left", fontsize=10.5, pad=10 + 7.5 * len(stopped))
        axis.grid(color=FAINT, linewidth=0.7)
        open_axis(axis)
    handles = [Line2D([], [], color=colors[family], linewidth=3) for family in families]
    names = list(families)
    for kind in dict.fromkeys(case.kind for case in named):
        marker, line = MARKERS[kind]
        handles.append(Line2D([], [], color=SOFT, marker=marker, linestyle=line, markersize=4))
        names.append(kind)
    if any(_variant(case) for case in named):
        handles.append(Line2D([], [], color=SOFT, marker="o", markersize=4, markerfacecolor="white"))
        names.append("variant, see table")
    if stopped:
        handles.append(Line2D([], [], color=INK, linestyle="none", marker="x", markersize=6, markeredgewidth=1.6))
        names.append("out of memory\nor over time")
    figure.legend(handles, names, loc="outside right center", frameon=False, fontsize=9)
    return figure


def _lost(row: dict[str, Any]) -> bool:
    return row["status"] in (OUT_OF_MEMORY, OVER_TIME)


def _variant(case: Case) -> bool:
    return case.kind in (OURS, TORCH) and case.name.endswith(")")


def _fit(rows: Rows, name: str, measure: str) -> Exponent:
    good = [r for r in rows if r["case"] == name and r["status"] == "ok" and r[measure] is not None]
    return fit_exponent([r["genes"] for r in good], [r[measure] for r in good])


def _cell(row: dict[str, Any] | None, measure: str) -> str:
    if row is None or row["status"] == NOT_TRIED:
        return "-"
    if row["status"] != "ok":
        return str(row["status"])
    value = row[measure]
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _edges_block(edges: dict[str, Any]) -> list[str]:
    size = f"{edges['cells']} cells × {edges['genes']} genes × {edges['channels']} channels"
    if edges["status"] != "ok":
        return [f"## `gnn` without edges and on edges, {size}\n", f"The comparison ended {edges['status']}.\n"]
    dense, listed = edges["rows"]
    lines = [
        [f"`{row['case']}`", *(_cell({**row, "status": "ok"}, measure) for measure in MEASURES)]
        for row in edges["rows"]
    ]  # fmt: skip
    peaks = [row["peak_mb"] for row in edges["rows"]]
    over = f"{peaks[1] / peaks[0]:,.0f}×" if None not in peaks and peaks[0] > 0 else "-"
    saved = listed["saved_mb"] / dense["saved_mb"]
    spread = "" if edges["low"] is None else f" [{edges['low']:,.0f}, {edges['high']:,.0f}]"
    lines.append(
        ["edges over products", f"{edges['times']:,.0f}×{spread}", f"{saved:,.0f}×", over]
    )  # fmt: skip
    rounds = dense["rounds"]
    return [
        f"## `gnn` without edges and on edges, {size}\n",
        f"Both in turn in one process, median of {rounds} round{'s' if rounds > 1 else ''}.\n",
        markdown_table(["layer", "ms", "saved for backward, MB", "peak, MB"], lines),
    ]


def _limit(described: dict[str, Any]) -> str:
    limit = described["memory_gb"]
    return f"{limit:g} GB" if limit else "the machine had available"
