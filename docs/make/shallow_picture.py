"""Draw docs/shallow_cells.svg: how well labels are told on cells of which a part of the counts is kept.

`python -m docs.make` writes it. The numbers that are drawn stand in its description, so that a picture of other
numbers is found out without comparing outlines of letters.
"""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING

from docs.make.front_sources import COMPONENTS, NEWEST, read_benches
from docs.make.sources import RESULTS, ROOT
from scgraph.reporting.drawing import FAINT, INK, PETROFF, image_bytes, new_figure, open_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PICTURE", "curves", "draw", "drawn", "is_current", "picture_lines", "write"]

PICTURE = ROOT / "docs" / "shallow_cells.svg"
LEVELS = {"0.1": "10 %", "0.2": "20 %", "0.5": "50 %", "": "all"}
"""Share of the counts of a test cell, as the benches write it; "" is the whole cell."""
BAND = "#c9ced6"
MODELS = {
    "gnn": ("gnn", PETROFF[0], "-", "o"),
    "gnn untrained": ("gnn untrained: its start", PETROFF[6], "--", "s"),
}


def curves() -> dict[str, list[float]]:
    """Return the mean macro-F1 in points over the sets that nothing was chosen on, by row, one number a level."""
    benches = read_benches(NEWEST.features, RESULTS)
    values = benches.of(benches.kept).values
    values = values[(values["metric"] == "macro_f1") & values["use"].isin(["shallow", "labels"])]
    means = values.groupby(["model", "dataset", "level"])["value"].mean().groupby(["model", "level"]).mean()
    rows = {name: [round(float(means[name, level]), 1) for level in LEVELS] for name in (*MODELS, *COMPONENTS)}
    components = list(zip(*(rows.pop(name) for name in COMPONENTS), strict=True))
    return rows | {
        "strongest components": [max(level) for level in components],
        "weakest components": [min(level) for level in components],
    }


def draw() -> Figure:
    """The figure: wide enough for a telephone, its letters as large as the text beside it there."""
    rows = curves()
    figure = new_figure(5.4, 3.7)
    axis = figure.subplots()
    places = range(len(LEVELS))
    low, high = rows["weakest components"], rows["strongest components"]
    for name, (label, color, line, marker) in MODELS.items():
        width, size = (2.6, 7) if name == "gnn" else (1.8, 6)
        axis.plot(places, rows[name], line, color=color, marker=marker, linewidth=width, markersize=size, label=label)
    axis.fill_between(places, low, high, color=BAND, linewidth=0, label="six kinds of principal components")
    axis.set_xticks(places, list(LEVELS.values()), fontsize=12)
    axis.tick_params(axis="y", labelsize=12)
    axis.set_xlabel("counts of a test cell that are kept", fontsize=12, color=INK)
    sets = len(read_benches(NEWEST.features, RESULTS).kept)
    axis.set_title(f"macro-F1 of cell types, mean over {sets} sets", loc="left", fontsize=12, color=INK)
    axis.grid(axis="y", color=FAINT)
    axis.set_xlim(-0.15, len(LEVELS) - 0.85)
    open_axis(axis)
    axis.legend(loc="lower right", frameon=False, fontsize=11.5, labelspacing=0.35, handlelength=1.8)
    return figure


def picture_lines() -> str:
    """Return the picture and the line below it as markdown; both follow from the numbers that are drawn."""
    rows = curves()
    sets = read_benches(NEWEST.features, RESULTS).kept
    said = ", ".join(
        f"{rows['gnn'][at]:.0f} against {rows['strongest components'][at]:.0f} at {level}"
        for at, level in enumerate(LEVELS.values()) if level != "all"
    )  # fmt: skip
    alt = (
        f"Cell types told on cells of which a part of the counts is kept, mean over {len(sets)} sets: macro-F1 of gnn "
        f"and of the strongest of six kinds of principal components, {said}"
    )
    return f"![{alt}]({PICTURE.relative_to(ROOT).as_posix()})\n"


def drawn() -> dict[str, list[float]] | None:
    """Return the numbers of the picture that is there, None for none."""
    if not PICTURE.is_file():
        return None
    found = re.search(r"<dc:description>(.*?)</dc:description>", PICTURE.read_text(encoding="utf-8"), re.S)
    return None if found is None else dict(json.loads(unescape(found[1])))


def is_current() -> bool:
    """Tell whether the picture shows the numbers of the newest results."""
    return drawn() == curves()


def write() -> None:
    """Write the picture."""
    PICTURE.write_bytes(image_bytes(draw(), description=json.dumps(curves())))
