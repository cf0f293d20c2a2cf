"""The tables and the figure of `embed`."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.embed.labelled import LABELLED
from benchmarks.embed.point import COMMANDS, HOW, IN_MEMORY
from benchmarks.harness.text import markdown_table, number
from scgraph.reporting.drawing import FAINT, INK, PETROFF, log_axis, new_figure, open_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    Rows = Sequence[dict[str, Any]]

__all__ = ["draw_embed", "embed_markdown"]

_NONE = float("nan")


def embed_markdown(rows: Rows, threads: int, busy: Sequence[str]) -> str:
    """The text of `embed.md`."""
    memory = [row for row in rows if row["how"] in IN_MEMORY]
    commands = [row for row in rows if row["how"] in (*COMMANDS, *LABELLED)]
    rounds = max((row["round"] + 1 for row in memory), default=0)
    first = [
        [
            how,
            f"{found[0]['genes']:,}",
            _median(found, "cells_per_second"),
            _range(found, "cells_per_second"),
            _median(found, "cells_per_cpu_second"),
        ]
        for how in IN_MEMORY
        if (found := [row for row in memory if row["how"] == how])
    ]
    second = [
        [
            row["how"],
            f"{row['cells']:,}",
            f"{row['genes']:,}",
            *(
                number(row.get(name, _NONE), ",.0f") if row["status"] == "ok" else row["status"]
                for name in ("cells_per_second", "cells_per_cpu_second", "peak_mb", "start_mb")
            ),
        ]
        for row in commands
    ]
    there = {row["how"] for row in rows}
    kinds = "\n".join(f"- {how}: {what}." for how, what in HOW.items() if how in there)
    text = [
        *busy,
        f"Real cells, drawn with replacement; C 64, 2 layers, rank 32, {threads} thread{'s' * (threads != 1)}. Each "
        "row is a process of its own that has loaded PyTorch and the compiled code; memory is the most that was "
        "resident, and what there was before the first cell, in MB. A CPU second is one of any thread: where other "
        "work shares the machine the rate by the clock is too low, and the cells a CPU second times the threads say "
        "what the machine gives alone.\n",
        kinds + "\n",
    ]
    if first:
        head = ["cells in memory", "genes a cell", f"cells/s, median of {rounds}", "range", "cells a CPU second"]
        text.append(markdown_table(head, first))
    head = ["from file to file", "cells", "genes a cell", "cells/s", "cells a CPU second", "peak MB", "at the start"]
    return "\n".join([*text, markdown_table(head, second)])


def _good(rows: Rows, name: str) -> list[float]:
    return [float(row[name]) for row in rows if row["status"] == "ok"]


def _median(rows: Rows, name: str) -> str:
    good = _good(rows, name)
    return number(median(good), ",.0f") if good else str(rows[0]["status"])


def _range(rows: Rows, name: str) -> str:
    good = _good(rows, name)
    return f"{min(good):,.0f} to {max(good):,.0f}" if good else "-"


def draw_embed(rows: Rows) -> Figure:
    """Peak memory of every command against the cells of the file, a panel for each number of genes a cell."""
    good = [row for row in rows if row["how"] in (*COMMANDS, *LABELLED) and row["status"] == "ok"]
    shown = [how for how in (*COMMANDS, *LABELLED) if any(row["how"] == how for row in good)]
    files = sorted({_rounded(row["genes"]) for row in good}, reverse=True) or [0]
    figure = new_figure(3.6 * len(files) + 0.8, 3.6)
    above = 1.12 + 0.09 * len(shown)  # room for the legend
    for axis, genes in zip(figure.subplots(1, len(files), sharey=True, squeeze=False)[0], files, strict=True):
        part = [row for row in good if _rounded(row["genes"]) == genes]
        for how, color in zip(shown, PETROFF, strict=False):
            line = sorted((row for row in part if row["how"] == how), key=lambda row: row["cells"])
            axis.plot(
                [row["cells"] for row in line], [row["peak_mb"] for row in line], marker="o", color=color, label=how
            )
        log_axis(axis, [float(row["cells"]) for row in part])
        axis.set_ylim(0, above * max((row["peak_mb"] for row in good), default=1.0))
        axis.set_xlabel(f"cells of the file, about {genes} genes each")
        axis.grid(color=FAINT, linewidth=0.7, axis="y")
        open_axis(axis)
    first = figure.axes[0]
    first.set_title("peak resident MB, from file to file", loc="left", fontsize=10.5, color=INK)
    first.legend(frameon=False, fontsize=8.5, loc="upper left")
    return figure


def _rounded(genes: float) -> int:
    """Genes a cell to one digit: files drawn from one pool differ by a few, and share a panel."""
    return int(float(f"{genes:.1g}"))
